// Package deploy holds what is in the folder deploy against Kubernetes' own types,
// against each other, and against the program.
//
// It is a module of its own: Helm and Kubernetes' types are large, and nothing else
// needs them.
package deploy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"sigs.k8s.io/yaml"
)

var update = flag.Bool("update", false, "write deploy/kubernetes anew")

const root = "../../deploy/"

// manifests are the plain manifests, and the values that the chart makes them with.
var manifests = map[string]map[string]any{
	"job.yaml":         {},
	"indexed-job.yaml": {"shards": 4},
	"cronjob.yaml":     {"kind": "cronjob"},
	"doctor.yaml":      {"kind": "doctor"},
}

// render gives what the chart makes of the values, in one text.
func render(t testing.TB, values map[string]any) (string, error) {
	t.Helper()
	c, err := loader.Load(root + "helm/gcexport")
	if err != nil {
		t.Fatal(err)
	}
	all, err := chartutil.ToRenderValues(c, values, chartutil.ReleaseOptions{Name: "gcexport", Namespace: "default"}, chartutil.DefaultCapabilities.Copy())
	if err != nil {
		t.Fatal(err)
	}
	files, err := engine.Render(c, all)
	if err != nil {
		return "", err
	}
	var text strings.Builder
	for _, name := range []string{"serviceaccount.yaml", "networkpolicy.yaml", "job.yaml"} {
		if body := strings.TrimSpace(files["gcexport/templates/"+name]); body != "" {
			fmt.Fprintf(&text, "---\n%s\n", body)
		}
	}
	return text.String(), nil
}

func mustRender(t testing.TB, values map[string]any) string {
	t.Helper()
	text, err := render(t, values)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// The plain manifests are what the chart makes: with -update they are written.
func TestPlainManifests(t *testing.T) {
	for name, values := range manifests {
		want := "# Made from the chart in deploy/helm by 'make deploy'; change it there.\n" +
			strings.ReplaceAll(mustRender(t, values), "app.kubernetes.io/managed-by: Helm", "app.kubernetes.io/managed-by: kustomize")
		path := filepath.Join(root, "kubernetes/base", name)
		if *update {
			if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, string(got)); diff != "" {
			t.Errorf("%s is not what the chart makes; run 'make deploy' (-chart +file):\n%s", name, diff)
		}
	}
}

// objects are those of a manifest, decoded strictly.
type objects struct {
	account corev1.ServiceAccount
	policy  *networkingv1.NetworkPolicy
	job     *batchv1.Job
	cron    *batchv1.CronJob
}

func decode(t testing.TB, text string) (o objects) {
	t.Helper()
	for _, doc := range strings.Split(text, "---\n") {
		if strings.Trim(doc, "\n") == "" || strings.HasPrefix(doc, "# Made") && !strings.Contains(doc, "kind:") {
			continue
		}
		var kind struct{ Kind string }
		if err := yaml.Unmarshal([]byte(doc), &kind); err != nil {
			t.Fatal(err)
		}
		var into any
		switch kind.Kind {
		case "ServiceAccount":
			into = &o.account
		case "NetworkPolicy":
			o.policy = new(networkingv1.NetworkPolicy)
			into = o.policy
		case "Job":
			o.job = new(batchv1.Job)
			into = o.job
		case "CronJob":
			o.cron = new(batchv1.CronJob)
			into = o.cron
		default:
			t.Fatalf("an object of kind %q", kind.Kind)
		}
		if err := yaml.UnmarshalStrict([]byte(doc), into); err != nil {
			t.Fatalf("%s: %v", kind.Kind, err)
		}
	}
	return o
}

// spec is that of the job, whichever way it is made.
func (o objects) spec(t testing.TB) batchv1.JobSpec {
	t.Helper()
	switch {
	case o.job != nil && o.cron == nil:
		return o.job.Spec
	case o.cron != nil && o.job == nil:
		return o.cron.Spec.JobTemplate.Spec
	}
	t.Fatal("want one Job or CronJob")
	return batchv1.JobSpec{}
}

// What is shipped decodes strictly, and says what the program needs and promises.
func TestShippedManifests(t *testing.T) {
	for name := range manifests {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join(root, "kubernetes/base", name))
			if err != nil {
				t.Fatal(err)
			}
			o := decode(t, string(text))
			spec := o.spec(t)
			if o.policy == nil || o.account.Name != spec.Template.Spec.ServiceAccountName {
				t.Errorf("network policy %v, service account %q", o.policy != nil, o.account.Name)
			}
			checkPolicy(t, spec)
			checkPod(t, spec.Template.Spec)
			for k, v := range o.policy.Spec.PodSelector.MatchLabels {
				if spec.Template.Labels[k] != v {
					t.Errorf("the network policy selects %s=%s, which the pod is not", k, v)
				}
			}
			if o.cron != nil && (o.cron.Spec.ConcurrencyPolicy != batchv1.ForbidConcurrent || o.cron.Spec.TimeZone == nil || *o.cron.Spec.TimeZone != "Etc/UTC") {
				t.Errorf("schedule %+v", o.cron.Spec)
			}
		})
	}
}

// checkPolicy holds the job's policy against the exit codes.
func checkPolicy(t *testing.T, spec batchv1.JobSpec) {
	t.Helper()
	rules := spec.PodFailurePolicy.Rules
	if len(rules) != 2 || rules[0].Action != batchv1.PodFailurePolicyActionIgnore || len(rules[0].OnPodConditions) != 1 ||
		rules[0].OnPodConditions[0].Type != corev1.DisruptionTarget {
		t.Fatalf("a disruption is not ignored first: %+v", rules)
	}
	codes := rules[1].OnExitCodes
	if rules[1].Action != batchv1.PodFailurePolicyActionFailJob || codes == nil || *codes.ContainerName != "gcexport" || !slices.Equal(codes.Values, []int32{2, 3}) {
		t.Errorf("usage and refusals do not fail the job: %+v", rules[1])
	}
	if *spec.Completions > 1 {
		if spec.CompletionMode == nil || *spec.CompletionMode != batchv1.IndexedCompletion || spec.BackoffLimitPerIndex == nil || *spec.Parallelism != *spec.Completions {
			t.Errorf("%d completions without indices of their own", *spec.Completions)
		}
	} else if doctor := spec.Template.Spec.Containers[0].Args[0] == "doctor"; spec.BackoffLimit == nil || (*spec.BackoffLimit > 0) == doctor {
		t.Error("an export that ends with 1, 4 or 143 is not tried again, or a doctor is")
	}
	if spec.TTLSecondsAfterFinished == nil {
		t.Error("finished jobs are kept for ever")
	}
}

// checkPod wants what the restricted policy of pods asks for, and no secret but in
// files.
func checkPod(t *testing.T, pod corev1.PodSpec) {
	t.Helper()
	c := pod.Containers[0]
	s := c.SecurityContext
	switch {
	case pod.RestartPolicy != corev1.RestartPolicyNever, pod.TerminationGracePeriodSeconds == nil, *pod.TerminationGracePeriodSeconds < 15:
		t.Errorf("restart policy %s, grace period %v", pod.RestartPolicy, pod.TerminationGracePeriodSeconds)
	case !*pod.SecurityContext.RunAsNonRoot, pod.SecurityContext.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault,
		!*s.ReadOnlyRootFilesystem, *s.AllowPrivilegeEscalation, !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}):
		t.Errorf("not restricted: %+v, %+v", pod.SecurityContext, s)
	case *pod.AutomountServiceAccountToken:
		t.Error("a token of Kubernetes is mounted, which nobody needs")
	}
	limit := c.Resources.Limits.Memory().Value()
	for _, e := range c.Env {
		if strings.Contains(e.Name, "SECRET") && (!strings.HasSuffix(e.Name, "_FILE") || !strings.HasPrefix(e.Value, c.VolumeMounts[0].MountPath+"/")) {
			t.Errorf("a secret in the environment: %s=%s", e.Name, e.Value)
		}
		if e.Name == "GOMEMLIMIT" {
			var mib int64
			if _, err := fmt.Sscanf(e.Value, "%dMiB", &mib); err != nil || mib<<20 >= limit || mib<<20 < limit*7/10 {
				t.Errorf("GOMEMLIMIT %s for a limit of %d", e.Value, limit)
			}
		}
	}
	if limit == 0 || c.Resources.Requests.Memory().Value() != limit {
		t.Errorf("memory %v", c.Resources)
	}
}

// The chart takes what its values offer.
func TestChart(t *testing.T) {
	text := mustRender(t, map[string]any{
		"kind": "cronjob", "shards": 3, "secret": "mine", "schedule": "5 * * * *", "retries": 2,
		"export":         map[string]any{"workers": 64, "args": []any{"--record=envelope"}, "env": []any{map[string]any{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}}},
		"serviceAccount": map[string]any{"annotations": map[string]any{"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/x"}},
		"podLabels":      map[string]any{"azure.workload.identity/use": "true"},
		"networkPolicy":  map[string]any{"egress": []any{map[string]any{"ports": []any{map[string]any{"protocol": "TCP", "port": 3128}}}}},
		"metrics":        map[string]any{"port": 9090},
		"nodeSelector":   map[string]any{"pool": "batch"}, "image": map[string]any{"tag": "v1.2.3"},
	})
	o := decode(t, text)
	spec := o.spec(t)
	c := spec.Template.Spec.Containers[0]
	checkPolicy(t, spec)
	checkPod(t, spec.Template.Spec)
	for what, ok := range map[string]bool{
		"arguments":   slices.Contains(c.Args, "--record=envelope") && slices.Contains(c.Args, "--workers=64"),
		"environment": slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "HTTPS_PROXY" }),
		"shards":      slices.ContainsFunc(c.Env, func(e corev1.EnvVar) bool { return e.Name == "GCEXPORT_SHARDS" && e.Value == "3" }),
		"identity":    o.account.Annotations["eks.amazonaws.com/role-arn"] != "",
		"label":       spec.Template.Labels["azure.workload.identity/use"] == "true",
		"image":       strings.HasSuffix(c.Image, ":v1.2.3"),
		"secret":      spec.Template.Spec.Volumes[0].Secret.SecretName == "mine",
		"egress":      len(o.policy.Spec.Egress) == 3,
		"node":        spec.Template.Spec.NodeSelector["pool"] == "batch",
		"metrics":     slices.Contains(c.Args, "--listen=:9090") && c.LivenessProbe != nil && len(o.policy.Spec.Ingress) == 1,
		"retries":     *spec.BackoffLimitPerIndex == 2,
		"memory":      c.Resources.Limits.Memory().Value() == (192+64*24)<<20,
	} {
		if !ok {
			t.Errorf("the %s did not arrive in:\n%s", what, text)
		}
	}
	if _, err := render(t, map[string]any{"kind": "deployment"}); err == nil {
		t.Error("an unknown kind is taken")
	}
	if text := mustRender(t, map[string]any{"networkPolicy": map[string]any{"enabled": false}}); strings.Contains(text, "NetworkPolicy") {
		t.Error("there is a network policy that nobody asked for")
	}
}

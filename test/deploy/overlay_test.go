package deploy

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// The overlays build as 'kubectl apply -k' builds them, with each of the manifests,
// and give the service account, or the pod, what the cloud looks for.
func TestOverlays(t *testing.T) {
	for cloud, annotation := range map[string]string{
		"eks": "eks.amazonaws.com/role-arn",
		"gke": "iam.gke.io/gcp-service-account",
		"aks": "azure.workload.identity/client-id",
	} {
		for name := range manifests {
			t.Run(cloud+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				if err := os.CopyFS(dir, os.DirFS(root+"kubernetes")); err != nil {
					t.Fatal(err)
				}
				take(t, filepath.Join(dir, "base/kustomization.yaml"), name)
				built, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), filepath.Join(dir, cloud))
				if err != nil {
					t.Fatal(err)
				}
				text, err := built.AsYaml()
				if err != nil {
					t.Fatal(err)
				}
				o := decode(t, string(text))
				if o.account.Annotations[annotation] == "" || o.policy == nil {
					t.Errorf("service account %+v, policy %v", o.account, o.policy != nil)
				}
				if labels := o.spec(t).Template.Labels; (labels["azure.workload.identity/use"] == "true") != (cloud == "aks") {
					t.Errorf("the pod's labels are %v", labels)
				}
			})
		}
	}
}

// take makes the base take another manifest, as its comment says.
func take(t *testing.T, path, name string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), "[job.yaml]") {
		t.Fatalf("the base takes something else:\n%s", text)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "[job.yaml]", "["+name+"]", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
}

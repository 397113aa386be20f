package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The releases, the image and `make build` are built in the same way.
func TestBuiltAlike(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile("../../" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	tags := regexp.MustCompile(`(?m)^TAGS := (.*)$`).FindStringSubmatch(read("Makefile"))[1]
	if image := read("deploy/container/Containerfile"); !strings.Contains(image, "CGO_ENABLED=0") || !strings.Contains(image, "-trimpath -tags="+tags+" ") {
		t.Errorf("the image is not built with -trimpath and the tags %s", tags)
	}
	var release struct {
		Version int
		Builds  []struct {
			Main, ModTimestamp string
			Env, Flags         []string
			Goos, Goarch       []string
		}
		Archives []struct{ Files []any }
		Checksum struct{ Algorithm string }
		Sboms    []struct{ Artifacts string }
		Signs    []struct{ Artifacts string }
	}
	if err := yaml.Unmarshal([]byte(read(".goreleaser.yaml")), &release); err != nil {
		t.Fatal(err)
	}
	if len(release.Builds) != 1 || len(release.Sboms) != 1 || len(release.Signs) != 1 || release.Signs[0].Artifacts != "checksum" || release.Checksum.Algorithm != "sha256" {
		t.Fatalf("%+v", release)
	}
	b := release.Builds[0]
	if !slices.Contains(b.Env, "CGO_ENABLED=0") || !slices.Contains(b.Flags, "-trimpath") || !slices.Contains(b.Flags, "-tags="+tags) || len(b.Goos)*len(b.Goarch) != 6 {
		t.Errorf("the release is built otherwise: %+v", b)
	}
}

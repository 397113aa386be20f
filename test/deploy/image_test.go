package deploy

import (
	"bytes"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gcexport/gcexport/pkg/genesystest"
)

// The stages of the Containerfile, run without a builder of images. The first: its own
// command makes a static program, and makes the same one again. The second: that
// program alone, as the image's user, in a file system of nothing else that is
// read-only but for the bucket, exports and verifies.
func TestImage(t *testing.T) {
	text, err := os.ReadFile(root + "container/Containerfile")
	if err != nil {
		t.Fatal(err)
	}
	image := t.TempDir()
	program := filepath.Join(image, "gcexport")
	build(t, string(text), program)
	again := filepath.Join(t.TempDir(), "gcexport")
	build(t, string(text), again)
	if one, two := read(t, program), read(t, again); !bytes.Equal(one, two) {
		t.Error("the same source makes two different programs")
	}
	file, err := elf.Open(program)
	if err != nil {
		t.Fatal(err)
	}
	libraries, err := file.ImportedLibraries()
	if err != nil || len(libraries) > 0 {
		t.Errorf("it needs %v, %v", libraries, err)
	}
	for _, p := range file.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("it is not static")
		}
	}
	user := regexp.MustCompile(`(?m)^USER (\d+:\d+)$`).FindSubmatch(text)
	if user == nil || strings.HasPrefix(string(user[1]), "0:") {
		t.Fatalf("the image's user is %q", user)
	}
	exportConfined(t, image, string(user[1]))
}

// build runs the Containerfile's command for this machine.
func build(t *testing.T, containerfile, program string) {
	t.Helper()
	command := regexp.MustCompile(`(?m)^RUN (CGO_ENABLED=0 .* go build .*)$`).FindStringSubmatch(containerfile)
	if command == nil {
		t.Fatal("the Containerfile builds nothing")
	}
	cmd := exec.Command("sh", "-c", strings.Replace(command[1], "-o /gcexport", "-o "+program, 1))
	cmd.Dir, cmd.Env = "../..", append(os.Environ(), "TARGETOS=", "TARGETARCH=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command[1], err, out)
	}
}

// exportConfined runs the image, which is a directory, as a container would.
func exportConfined(t *testing.T, image, user string) {
	t.Helper()
	if err := exec.Command("unshare", "--mount", "true").Run(); err != nil {
		t.Skip("SKIP the image's file system: this user may not mount")
	}
	server := genesystest.New(genesystest.Options{From: time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC), To: time.Date(2024, 3, 3, 0, 0, 0, 0, time.UTC),
		PerDay: 50, Size: genesystest.SizeSmall, RequestsPerMinute: -1, JobTime: time.Millisecond})
	url, stop, err := server.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stop() }()
	bucket := t.TempDir()
	if err := os.Chmod(bucket, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(image, "bucket"), 0o755); err != nil {
		t.Fatal(err)
	}
	span := "--start 2024-03-01 --end 2024-03-03"
	script := fmt.Sprintf(`set -e
mount --make-rprivate /
mount --bind %[1]s %[1]s
mount -o remount,bind,ro %[1]s
mount --bind %[2]s %[1]s/bucket
! touch %[1]s/other 2>/dev/null
run() { chroot --userspec=%[3]s %[1]s /gcexport "$@" --quiet; }
run export /bucket %[4]s
run verify /bucket %[4]s
`, image, bucket, user, span)
	cmd := exec.Command("unshare", "--mount", "sh", "-c", script)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GENESYSCLOUD_OAUTHCLIENT_ID=demo", "GENESYSCLOUD_OAUTHCLIENT_SECRET=demo",
		"GCEXPORT_API_URL=" + url, "GCEXPORT_LOGIN_URL=" + url, "GCEXPORT_RATE=100000"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if left, _ := filepath.Glob(filepath.Join(image, "*")); len(left) != 2 {
		t.Errorf("the image holds %v", left)
	}
	if objects, _ := filepath.Glob(filepath.Join(bucket, "conversations", "*", "*.jsonl.gz")); len(objects) != 2 {
		t.Errorf("the bucket holds %v\n%s", objects, out)
	}
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

package conformance

import (
	"bufio"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// elsewhere are the commands of the README that this test leaves alone, by how
// they begin, and why.
var elsewhere = map[string]string{
	"git clone":               "CI begins with it",
	"make ":                   "CI runs it",
	"go install":              "needs the published module",
	"export ":                 "the environment of this test",
	"gcloud storage":          "needs a real account",
	"az role":                 "needs a real account",
	"kubectl create secret":   "needs a cluster; test/deploy has the names that the pods look for",
	"helm install gcexport d": "needs a cluster; test/deploy renders the chart",
}

// Every command that the README shows does what it says there, in that order. Only
// the bucket's name is another one.
func TestReadme(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(os.Getenv(rootEnv), "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	buckets := map[string]stores.Store{}
	for _, s := range stores.All(t) {
		buckets[s.Name] = s
	}
	w := newWorld(t, buckets["s3"], genesystest.Options{PerDay: 3, Size: genesystest.SizeSmall})
	dir := t.TempDir()
	sh := shell(t, dir, w, buckets)
	ran := 0
	for _, line := range shellLines(string(text)) {
		command, _, _ := strings.Cut(line, "      #")
		if slices.ContainsFunc(slices.Collect(maps.Keys(elsewhere)), func(start string) bool { return strings.HasPrefix(command, start) }) {
			continue
		}
		if _, ok := buckets["azblob"]; !ok && strings.Contains(command, "azblob://") {
			t.Logf("SKIP without Azurite: %s", command)
			continue
		}
		ran++
		sh(command)
	}
	if ran < 10 {
		t.Errorf("only %d commands were found", ran)
	}
	for _, made := range []string{"out/conversations", "report.html", "kit", "lake.sql"} {
		if _, err := os.Stat(filepath.Join(dir, made)); err != nil {
			t.Errorf("no command has made it: %v", err)
		}
	}
}

// shellLines are the lines of all blocks of shell commands.
func shellLines(markdown string) (lines []string) {
	for _, block := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(markdown, -1) {
		lines = append(lines, strings.Split(strings.TrimSpace(block[1]), "\n")...)
	}
	return lines
}

// shell gives what runs a command in the directory, and wants it to end well.
func shell(t *testing.T, dir string, w *world, buckets map[string]stores.Store) func(command string) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "PATH="+filepath.Dir(path)+":"+os.Getenv("PATH"), "GCEXPORT_API_URL="+w.url, "GCEXPORT_LOGIN_URL="+w.url,
		"GCEXPORT_RATE=100000", "GCEXPORT_JOBS=64", "GENESYSCLOUD_OAUTHCLIENT_ID=demo", "GENESYSCLOUD_OAUTHCLIENT_SECRET=demo")
	url := regexp.MustCompile(`'?(s3|gs|azblob)://my-(?:bucket|container)/genesys(?:\?[^']*)?'?`)
	for _, s := range buckets {
		for k, v := range s.Env {
			env = append(env, k+"="+v)
		}
	}
	return func(command string) {
		t.Helper()
		mine := command
		if !strings.HasPrefix(command, "gcexport warehouse") { // which looks at no bucket
			mine = url.ReplaceAllStringFunc(command, func(shown string) string {
				return "'" + buckets[url.FindStringSubmatch(shown)[1]].At("genesys").URL + "'"
			})
		}
		mine = strings.ReplaceAll(mine, "| duckdb lake.duckdb", "> lake.sql") // test/warehouses runs what it prints
		mine = strings.ReplaceAll(mine, "127.0.0.1:8080", "127.0.0.1:0")
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "exec "+mine)
		cmd.Dir, cmd.Env = dir, env
		if strings.HasPrefix(command, "gcexport simulate") {
			if err := listens(cmd); err != nil {
				t.Errorf("%s: %v", command, err)
			}
			return
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s\n%s: %v\n%s", command, mine, err, out)
		}
	}
}

// listens starts a server, and ends it once it has said where it listens.
func listens(cmd *exec.Cmd) error {
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	line, _ := bufio.NewReader(stdout).ReadString('\n')
	_ = cmd.Process.Signal(os.Interrupt)
	_ = cmd.Wait()
	if !strings.HasPrefix(line, "listening on http://") {
		return fmt.Errorf("it says %q", line)
	}
	return nil
}

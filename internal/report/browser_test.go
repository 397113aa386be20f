package report_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/report"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/interval"
)

// onlooker shows the report in a frame as wide as the query says, and writes what a
// person would see of it into its own title.
const onlooker = `<!doctype html><iframe id="f" src="/report" style="border:0;height:900px"></iframe><script>
const f = document.getElementById("f"); f.style.width = location.search.slice(1) + "px";
f.onload = () => {
  const d = f.contentDocument, w = f.contentWindow;
  document.title = JSON.stringify({
    width: d.documentElement.clientWidth, content: d.documentElement.scrollWidth,
    fetched: w.performance.getEntriesByType("resource").length,
    verdict: d.querySelector(".verdict").innerText,
    verdictEnds: d.querySelector(".verdict").getBoundingClientRect().bottom,
    colours: new Set([...d.querySelectorAll(".cal i")].map(c => w.getComputedStyle(c).backgroundColor)).size,
    days: [...d.querySelectorAll(".cal i")].filter(c => c.getBoundingClientRect().width > 10).length,
    bars: [...d.querySelectorAll(".bars i")].filter(c => c.getBoundingClientRect().height > 1).length,
  });
};
</script>`

// seen is what the onlooker writes.
type seen struct {
	Width, Content, Fetched, Colours, Days, Bars int
	Verdict                                      string
	VerdictEnds                                  float64
}

// A browser shows the page: what matters first at the top, a colour for each state,
// nothing beyond the edge of a phone, and without a request for anything.
func TestBrowser(t *testing.T) {
	browser := findBrowser(t)
	d, err := report.Gather(t.Context(), bucketful(t), &export.ObjectOptions{}, "s3://a-bucket-with-a-rather-long-name/and/a/prefix/that/is/even/longer/than/that", interval.Interval{})
	if err != nil {
		t.Fatal(err)
	}
	var page bytes.Buffer
	if err := d.WriteHTML(&page); err != nil {
		t.Fatal(err)
	}
	var asked sync.Map
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		switch asked.Store(r.URL.Path, true); r.URL.Path {
		case "/report":
			_, _ = w.Write(page.Bytes())
		case "/":
			_, _ = fmt.Fprint(w, onlooker)
		default:
			http.NotFound(w, r)
		}
	}))
	defer server.Close()
	for _, width := range []int{360, 1200} {
		s := look(t, browser, fmt.Sprintf("%s/?%d", server.URL, width))
		if s.Content > s.Width || s.Width < width-20 {
			t.Errorf("%d pixels wide: %d of content in %d", width, s.Content, s.Width)
		}
		if s.Verdict != "3 of 7 days are not there, or in part" || s.VerdictEnds > 300 {
			t.Errorf("%d pixels wide: the verdict %q ends at %v", width, s.Verdict, s.VerdictEnds)
		}
		if s.Fetched != 0 || s.Colours != 5 || s.Days != 7 || s.Bars != 5 {
			t.Errorf("%d pixels wide: %+v", width, s)
		}
	}
	asked.Range(func(path, _ any) bool {
		if path != "/" && path != "/report" && path != "/favicon.ico" { // of the frame around
			t.Errorf("the page asks for %v", path)
		}
		return true
	})
}

// findBrowser gives the path of Chromium. CI has it.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	if os.Getenv("REQUIRE_STORES") != "" {
		t.Fatal("no Chromium")
	}
	t.Skip("SKIP report in a browser: no Chromium")
	return ""
}

// look opens the onlooker in the browser, and gives what it has written.
func look(t *testing.T, browser, url string) (s seen) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	profile, err := os.MkdirTemp("", "browser")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(profile) // as far as it goes: some process of the browser may still write
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-extensions",
		"--user-data-dir="+profile, "--window-size=1400,1000", "--virtual-time-budget=5000", "--dump-dom", url)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	dom, err := cmd.Output()
	title := regexp.MustCompile(`<title>(.*?)</title>`).FindSubmatch(dom)
	if err != nil || title == nil {
		t.Fatalf("browser: %v\n%s\n%s", err, dom, stderr.String())
	}
	if err := json.Unmarshal(bytes.ReplaceAll(title[1], []byte("&quot;"), []byte(`"`)), &s); err != nil {
		t.Fatalf("%s: %v", title[1], err)
	}
	return s
}

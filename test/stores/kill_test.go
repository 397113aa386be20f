package conformance

import (
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gcexport/gcexport/internal/object"
	"github.com/gcexport/gcexport/internal/store"
	"github.com/gcexport/gcexport/pkg/export"
	"github.com/gcexport/gcexport/pkg/genesystest"
	"github.com/gcexport/gcexport/test/stores/stores"
)

// killsEnv is how many processes TestKills kills, for each store and number of
// processes. The more there are, the more buckets they are spread over.
const killsEnv = "GCEXPORT_KILLS"

// killsPerBucket is after how many kills the export has to get through.
const killsPerBucket = 10

// maxAgain is how much of the pages may be fetched again: what a kill costs is
// the pages of the chunks that were being read at that instant, and several
// processes read a chunk in vain where they come to it at the same moment.
// Chunks whose job still runs cost no page, those that are committed nothing. It
// is a mean, and means nothing for a few kills.
const maxAgain, meaningful = 0.15, 50

// Processes are killed at random instants, alone or with others on the same
// range, and started again. Then one run completes the export, everything is
// there once, every object is whole and as its manifest says, and verify agrees.
func TestKills(t *testing.T) {
	kills := 3
	if n, err := strconv.Atoi(os.Getenv(killsEnv)); err == nil {
		kills = n
	} else if testing.Short() {
		t.Skip("takes a while")
	}
	for _, name := range []string{"file", "s3", "gs", "azblob"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, processes := range []int{1, 3} {
				k := &killer{name: name, processes: processes, rand: rand.New(rand.NewPCG(uint64(processes), uint64(len(name))))}
				for k.kills < kills {
					k.campaign(t, min(killsPerBucket, kills-k.kills))
					if t.Failed() || k.kills == 0 {
						return
					}
				}
				again := float64(k.pages-k.needed) / float64(k.needed)
				t.Logf("%d processes: %d kills, %d pages for %d: %.1f %% again", processes, k.kills, k.pages, k.needed, 100*again)
				if k.kills >= meaningful && again > maxAgain {
					t.Errorf("%.1f %% of the pages were fetched again", 100*again)
				}
			}
		})
	}
}

// Names that only grow, from three processes at once, on each store; and with kills, if
// they are asked for: each may cost the two minutes for which others wait for a name to
// be used.
func TestOrder(t *testing.T) {
	kills, err := strconv.Atoi(os.Getenv(killsEnv))
	if err != nil {
		kills = 0
	}
	for _, name := range []string{"file", "s3", "gs", "azblob"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k := &killer{name: name, processes: 3, ordered: true, rand: rand.New(rand.NewPCG(3, uint64(len(name))))}
			k.campaign(t, kills)
		})
	}
}

// killer counts what happens in the campaigns of one store.
type killer struct {
	name          string
	processes     int
	ordered       bool // names only grow
	rand          *rand.Rand
	kills         int
	pages, needed int
}

// campaign exports into an empty bucket, with so many kills on the way.
func (k *killer) campaign(t *testing.T, kills int) {
	t.Helper()
	s, ok := storeNamed(t, k.name)
	if !ok {
		return
	}
	w := newWorld(t, s, genesystest.Options{PerDay: 240, Size: genesystest.SizeSmall, Latency: 3 * time.Millisecond})
	flags := []string{"--chunk", "3h", "--workers", "8", "--gzip-level", "1"}
	if k.ordered { // parts take their places one after the other
		flags = append(flags, "--partition", "export-day", "--chunk", "12h")
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range k.processes {
		wg.Go(func() {
			for {
				mu.Lock()
				last := kills <= 0
				life := 200*time.Millisecond + time.Duration(k.rand.ExpFloat64()*float64(3*time.Second))
				kills--
				mu.Unlock()
				if last {
					return
				}
				if killed(t, w.command(t.Context(), t, flags...), life) {
					mu.Lock()
					k.kills++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if k.ordered {
		for range k.processes {
			wg.Go(func() {
				if out, err := w.command(t.Context(), t, flags...).CombinedOutput(); err != nil {
					t.Errorf("%v\n%s", err, out)
				}
			})
		}
		wg.Wait()
	}
	w.run(t, 0, append(flags, "--workers", "80")...)
	w.checkHolds(t)
	w.checkManifests(t)
	w.verify(t)
	k.pages += w.pages()

	// What a run without kills reads is what had to be read.
	w.ForgetRequests()
	w.store = stores.Directory(t)
	w.run(t, 0, append(flags, "--workers", "80")...)
	k.needed += w.pages()
}

// storeNamed gives an empty bucket of the store.
func storeNamed(t *testing.T, name string) (stores.Store, bool) {
	t.Helper()
	for _, s := range stores.All(t) {
		if s.Name == name {
			return s, true
		}
	}
	return stores.Store{}, false
}

// killed runs the program and kills it after a while. It reports whether the
// program was still running then.
func killed(t *testing.T, cmd *exec.Cmd, life time.Duration) bool {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Error(err)
		return false
	}
	timer := time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.ExitCode() != -1) {
		t.Errorf("ended by itself: %v\n%s", err, out.String())
	}
	return err != nil
}

func (w *world) pages() (n int) {
	for _, r := range w.Requests() {
		if r.Kind == genesystest.Page {
			n++
		}
	}
	return n
}

// checkManifests wants each part to be listed once, by a manifest that tells
// the truth about the object, and nothing to be left to do.
func (w *world) checkManifests(t *testing.T) {
	t.Helper()
	layout := export.Layout{Dataset: export.Conversations}
	st := w.store.Open(t, store.Options{})
	names, err := w.store.Raw.Objects(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]int{}
	for _, name := range names {
		_, own := layout.ParseManifest(name)
		if _, supplement := layout.ParseSupplement(name); !own && !supplement {
			continue
		}
		m, err := export.ReadManifest(t.Context(), st.Bucket, name, &st.Object)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range m.Parts {
			listed[p.Key]++
			if err := isAsListed(t, st, p); err != nil {
				t.Errorf("%s: %s: %v", name, p.Key, err)
			}
		}
	}
	for _, name := range names {
		if n, part := layout.ParsePart(name); part && listed[name] != 1 && !isBlank(t, st, n, name) {
			t.Errorf("%s is listed %d times", name, listed[name])
		}
	}
	inv, err := export.TakeInventory(t.Context(), st.Bucket, layout)
	if err != nil || len(inv.Open) > 0 || len(inv.Unlisted) > 0 {
		t.Errorf("open %v, unlisted %v, %v", inv.Open, inv.Unlisted, err)
	}
}

// isBlank reports whether an object is one without lines, for the sake of its name.
func isBlank(t *testing.T, st *store.Store, n export.Name, key string) bool {
	t.Helper()
	if n.Place == 0 {
		return false
	}
	data, err := object.Read(t.Context(), st.Bucket, key, &st.Object, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	zr, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		t.Fatalf("%s: %v", key, err)
	}
	lines, err := io.ReadAll(zr)
	return err == nil && len(lines) == 0
}

func isAsListed(t *testing.T, st *store.Store, p export.Part) error {
	data, err := object.Read(t.Context(), st.Bucket, p.Key, &st.Object, 1<<30)
	if err != nil {
		return err
	}
	sum := md5.Sum(data)
	if got := hex.EncodeToString(sum[:]); int64(len(data)) != p.Bytes || got != p.MD5 {
		return fmt.Errorf("%d bytes, MD5 %s; the manifest says %d, %s", len(data), got, p.Bytes, p.MD5)
	}
	return nil
}

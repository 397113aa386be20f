package export_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gocloud.dev/blob/driver"
	"gocloud.dev/gcerrors"

	"github.com/gcexport/gcexport/pkg/export"
)

// A verdict is what becomes of an operation on the bucket.
type verdict int

const (
	granted    verdict = iota
	refused            // an error, and no effect
	lost               // an error, after it took effect
	diedBefore         // the process is no more, and there is no effect
	diedAfter          // the process is no more, after it took effect
)

func (v verdict) String() string {
	return [...]string{"ok", "refused", "answer lost", "dies before", "dies after"}[v]
}

// An operation of a process on the bucket, blocked until it has a verdict.
type operation struct {
	kind, key string
	verdict   chan verdict
}

// A process is one exporter with its own view of the shared bucket.
type process struct {
	name    string
	records map[string]bool // the lines that its source gives
	cancel  context.CancelCauseFunc

	world   *modelWorld
	free    bool                           // its operations need no verdict
	fate    func(kind, key string) verdict // gives them, after a while; else they are asked for
	pending *operation                     // the one that waits
	dead    bool
	done    bool
	summary export.Summary
	err     error
	history [32]byte // all that it has seen of the bucket
}

// A modelObject is an object and what it is for the state of the model: its
// content without what differs from schedule to schedule.
type modelObject struct {
	data     []byte
	meta     map[string]string
	kind     string
	identity string
}

// modelWorld is a bucket in memory whose every operation waits for a verdict.
type modelWorld struct {
	mu      sync.Mutex
	objects map[string]modelObject
	mutant  mutant
	plain   bool // keeps no metadata, as directories
	broken  []string
	created []string // keys, in the order in which they could be seen
	log     []string
}

// A mutant is a bucket that breaks a promise which the protocol relies on, or
// takes a step of the protocol away. The checker has to find each of them out.
type mutant struct {
	overwrites  bool                    // create-only is ignored
	truncates   bool                    // objects are cut
	swallows    func(key string) bool   // creates are confirmed and not done
	substitutes func(key string) []byte // what reads give instead
	flatters    bool                    // listings have manifests look as if they listed every part
}

var (
	errRefused = errors.New("store refuses")
	errLost    = errors.New("answer lost")
	errDead    = errors.New("process is dead")
	errAbsent  = errors.New("absent")
	errThere   = errors.New("there already")
)

// modelBucket is a process's driver.
type modelBucket struct {
	driver.Bucket // methods that the exporter does not call
	p             *process
}

func (b modelBucket) Close() error            { return nil }
func (b modelBucket) ErrorAs(error, any) bool { return false }
func (b modelBucket) ErrorCode(err error) gcerrors.ErrorCode {
	switch {
	case errors.Is(err, errAbsent):
		return gcerrors.NotFound
	case errors.Is(err, errThere):
		return gcerrors.FailedPrecondition
	}
	return gcerrors.Unknown
}

// do waits for the verdict on an operation, and carries it out. What act
// returns is what the process learns.
func (p *process) do(kind, key string, act func() (learned string, err error)) error {
	w := p.world
	v := granted
	w.mu.Lock()
	defer w.mu.Unlock()
	if p.fate != nil && !p.dead {
		w.mu.Unlock()
		v = p.fate(kind, key)
		w.mu.Lock()
		if p.dead { // meanwhile
			return errDead
		}
		p.dead = v == diedBefore || v == diedAfter
	} else if !p.free && !p.dead {
		op := &operation{kind, key, make(chan verdict)}
		p.pending = op
		w.mu.Unlock()
		v = <-op.verdict
		w.mu.Lock()
		p.pending = nil
	} else if p.dead {
		return errDead
	}
	var err error
	var learned string
	if v == granted || v == lost || v == diedAfter {
		learned, err = act()
	}
	switch v {
	case refused:
		err = errRefused
	case lost:
		learned, err = "", errLost
	case diedBefore, diedAfter:
		err = errDead
	}
	text := fmt.Sprintf("%s: %s %s: %v, %v %s", p.name, kind, key, v, err, learned)
	if !aside(key) {
		p.history = sha256.Sum256(append(p.history[:], text...))
	}
	w.log = append(w.log, text)
	return err
}

func (b modelBucket) ListPaged(_ context.Context, o *driver.ListOptions) (*driver.ListPage, error) {
	page := &driver.ListPage{}
	err := b.p.do("list", o.Prefix, func() (string, error) {
		var learned strings.Builder
		for _, key := range slices.Sorted(maps.Keys(b.p.world.objects)) {
			if !strings.HasPrefix(key, o.Prefix) {
				continue
			}
			obj := b.p.world.objects[key]
			size := int64(len(obj.data))
			if b.p.world.mutant.flatters {
				size = b.p.world.parts()
			}
			page.Objects = append(page.Objects, &driver.ListObject{Key: key, Size: size, ModTime: time.Now()})
			fmt.Fprint(&learned, key, " ", size, obj.identity, ",")
		}
		return learned.String(), nil
	})
	return page, err
}

func (b modelBucket) Attributes(_ context.Context, key string) (a *driver.Attributes, err error) {
	err = b.p.do("stat", key, func() (string, error) {
		obj, ok := b.p.world.objects[key]
		if !ok {
			return "", errAbsent
		}
		a = &driver.Attributes{Size: int64(len(obj.data)), Metadata: obj.meta, ContentType: obj.kind}
		return obj.identity, nil
	})
	return a, err
}

func (b modelBucket) NewRangeReader(_ context.Context, key string, offset, length int64, _ *driver.ReaderOptions) (driver.Reader, error) {
	var data []byte
	err := b.p.do("read", key, func() (string, error) {
		obj, ok := b.p.world.objects[key]
		if !ok {
			return "", errAbsent
		}
		data = obj.data
		if f := b.p.world.mutant.substitutes; f != nil && f(key) != nil {
			data = f(key)
		}
		return obj.identity, nil
	})
	return &modelReader{bytes.NewReader(data[min(offset, int64(len(data))):]), int64(len(data))}, err
}

type modelReader struct {
	*bytes.Reader
	size int64
}

func (r *modelReader) Close() error { return nil }
func (r *modelReader) As(any) bool  { return false }
func (r *modelReader) Attributes() *driver.ReaderAttributes {
	return &driver.ReaderAttributes{Size: r.size, ModTime: time.Now()}
}

func (b modelBucket) NewTypedWriter(ctx context.Context, key, kind string, o *driver.WriterOptions) (driver.Writer, error) {
	return &modelWriter{ctx: ctx, b: b, key: key, kind: kind, options: o}, nil
}

type modelWriter struct {
	bytes.Buffer
	ctx       context.Context
	b         modelBucket
	key, kind string
	options   *driver.WriterOptions
}

func (w *modelWriter) Upload(r io.Reader) error { _, err := w.ReadFrom(r); return err }

func (w *modelWriter) Close() error {
	if w.ctx.Err() != nil {
		return w.ctx.Err()
	}
	return w.b.p.do("create", w.key, func() (string, error) { return "", w.b.p.world.create(w) })
}

func (w *modelWorld) create(mw *modelWriter) error {
	if _, there := w.objects[mw.key]; there {
		if mw.options.IfNotExist && (!w.mutant.overwrites || aside(mw.key)) {
			return errThere
		}
		w.broken = append(w.broken, "overwritten: "+mw.key)
	}
	if w.mutant.swallows != nil && w.mutant.swallows(mw.key) {
		return nil
	}
	obj := modelObject{data: bytes.Clone(mw.Bytes()), kind: mw.kind}
	if w.mutant.truncates && strings.HasSuffix(mw.key, ".gz") {
		obj.data = obj.data[:len(obj.data)-1]
	}
	if !w.plain {
		obj.meta = mw.options.Metadata
	}
	obj.identity = identity(mw.key, mw.b.p.name, obj.data)
	w.objects[mw.key] = obj
	w.created = append(w.created, mw.key)
	return nil
}

// parts counts the data objects.
func (w *modelWorld) parts() (n int64) {
	for key := range w.objects {
		if strings.HasSuffix(key, ".gz") {
			n++
		}
	}
	return n
}

// identity is the content, with a manifest's run replaced by the process's name
// and its time left out.
func identity(key, name string, data []byte) string {
	if strings.HasSuffix(key, ".json") {
		var m map[string]any
		if err := json.Unmarshal(data, &m); err != nil {
			panic(err)
		}
		m["run"] = name
		delete(m, "fetched_at")
		data, _ = json.Marshal(m)
	}
	sum := sha256.Sum256(data)
	return fmt.Sprintf("%x", sum[:8])
}

// state is all that the future depends on, apart from the processes.
func (w *modelWorld) state() string {
	var b strings.Builder
	for _, key := range slices.Sorted(maps.Keys(w.objects)) {
		if !aside(key) {
			fmt.Fprintln(&b, key, w.objects[key].identity)
		}
	}
	return b.String()
}

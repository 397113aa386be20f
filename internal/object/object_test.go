package object

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gocloud.dev/blob"
	"gocloud.dev/blob/memblob"
	"gocloud.dev/gcerrors"
)

const key = "conversations/dt=2024-03-01/part.jsonl.gz"

func options() *Options {
	return &Options{Writer: blob.WriterOptions{ContentType: "application/gzip"}}
}

func content(n int) []byte {
	p := make([]byte, n)
	for i := range p {
		p[i] = byte(i * 7 / 3)
	}
	return p
}

func writeAll(p []byte) func(io.Writer) error {
	return func(w io.Writer) error { _, err := w.Write(p); return err }
}

func TestWriteCreates(t *testing.T) {
	for _, n := range []int{0, 1, pieceBytes, pieceBytes + 1, 3 << 20} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			b := memblob.OpenBucket(nil)
			defer b.Close()
			o := options()
			o.Writer.Metadata = map[string]string{"run": "r1"}
			if err := Write(t.Context(), b, key, o, writeAll(content(n))); err != nil {
				t.Fatal(err)
			}
			got, err := Read(t.Context(), b, key, o, int64(n))
			if err != nil || !bytes.Equal(got, content(n)) {
				t.Fatalf("read back %d bytes, %v", len(got), err)
			}
			a, err := b.Attributes(t.Context(), key)
			if err != nil {
				t.Fatal(err)
			}
			if a.ContentType != "application/gzip" || a.ContentEncoding != "" || a.Metadata["run"] != "r1" || a.Metadata[markKey] == "" {
				t.Errorf("attributes %+v", a)
			}
			if len(o.Writer.Metadata) != 1 || o.Writer.IfNotExist {
				t.Errorf("template was changed: %+v", o.Writer)
			}
		})
	}
}

func TestWriteRefusesOptions(t *testing.T) {
	for name, o := range map[string]*Options{
		"nil":              nil,
		"no content type":  {},
		"content encoding": {Writer: blob.WriterOptions{ContentType: "a/b", ContentEncoding: "gzip"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{}
			err := Write(t.Context(), f.bucket(), key, o, func(io.Writer) error { t.Error("called"); return nil })
			if err == nil {
				t.Fatal("accepted")
			}
		})
	}
}

// The fake publishes whatever it has unless its context is over, so this fails
// if an abort shows the end of the stream before it cancels.
func TestAbortLeavesNothing(t *testing.T) {
	cause := errors.New("bad page")
	ends := map[string]func(cancel context.CancelFunc) error{
		"error":  func(context.CancelFunc) error { return cause },
		"panic":  func(context.CancelFunc) error { panic(cause) },
		"cancel": func(cancel context.CancelFunc) error { cancel(); return nil },
		"goexit": func(context.CancelFunc) error { runtime.Goexit(); return nil },
	}
	for name, end := range ends {
		for _, n := range []int{0, 1, pieceBytes - 1, pieceBytes, 5 * pieceBytes} {
			t.Run(fmt.Sprintf("%s/%d", name, n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := &fake{}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					var err error
					var wg sync.WaitGroup
					wg.Go(func() {
						defer func() {
							if r := recover(); r != nil {
								err = r.(error)
							}
						}()
						err = Write(ctx, f.bucket(), key, options(), func(w io.Writer) error {
							if err := writeAll(content(n))(w); err != nil {
								return err
							}
							return end(cancel)
						})
					})
					wg.Wait()
					if e, there := f.get(key); there {
						t.Errorf("object of %d bytes is there", len(e.data))
					}
					switch name {
					case "cancel":
						if !errors.Is(err, context.Canceled) {
							t.Errorf("error %v", err)
						}
					case "error", "panic":
						if err != cause { //nolint:errorlint // must come back untouched
							t.Errorf("error %v", err)
						}
					}
				})
			})
		}
	}
}

func TestCancelCauseIsKept(t *testing.T) {
	f := &fake{}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("pod goes down")
	err := Write(ctx, f.bucket(), key, options(), func(w io.Writer) error {
		cancel(cause)
		_, err := w.Write([]byte("x"))
		if !errors.Is(err, cause) {
			t.Errorf("writer gave %v", err)
		}
		return nil // an error that the producer swallows is an error still
	})
	if !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestStoreFailsOnTheWay(t *testing.T) {
	for name, tc := range map[string]struct {
		with, want error
	}{
		"broken":      {errFake, errFake},
		"exists":      {errPrecondition, ErrExists},
		"ended early": {nil, nil},
	} {
		for _, swallow := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", name, swallow), func(t *testing.T) {
				f := &fake{failAt: 300_000, failWith: tc.with}
				if errors.Is(tc.want, ErrExists) {
					f.put(key, entry{data: []byte("other")})
				}
				if tc.with == nil {
					f.commit = errFake // a driver that stops reading, and fails only then
				}
				err := Write(t.Context(), f.bucket(), key, options(), func(w io.Writer) error {
					n, err := w.Write(content(3 << 20))
					if err == nil || n < 300_000 || n > 300_000+pieceBytes {
						t.Errorf("writer took %d bytes, %v", n, err)
					}
					if swallow {
						return nil
					}
					return fmt.Errorf("write line: %w", err)
				})
				if err == nil || (tc.want != nil && !errors.Is(err, tc.want)) {
					t.Errorf("got %v", err)
				}
				if e, there := f.get(key); there && string(e.data) != "other" {
					t.Error("object is there")
				}
			})
		}
	}
}

func TestCommitIsSettledByLooking(t *testing.T) {
	foreign := entry{[]byte("other"), map[string]string{markKey: "OTHER"}}
	for name, tc := range map[string]struct {
		f      *fake
		before *entry
		want   error // nil = success
	}{
		"lost answer":                    {f: &fake{commit: errAnswerLost, commits: true}},
		"lost answer, then precondition": {f: &fake{commit: errPrecondition, commits: true}},
		"failed":                         {f: &fake{commit: errFake}, want: errFake},
		"exists":                         {f: &fake{}, before: &foreign, want: ErrExists},
		"exists, no metadata kept":       {f: &fake{noMeta: true}, before: &entry{data: []byte("hello")}, want: ErrExists},
		"cannot look":                    {f: &fake{commit: errAnswerLost, commits: true, blind: true}, want: errAnswerLost},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if tc.before != nil {
					tc.f.put(key, *tc.before)
				}
				err := Write(t.Context(), tc.f.bucket(), key, options(), writeAll([]byte("hello")))
				if !errors.Is(err, tc.want) {
					t.Fatalf("got %v, want %v", err, tc.want)
				}
				if tc.before != nil {
					if e, _ := tc.f.get(key); !bytes.Equal(e.data, tc.before.data) {
						t.Errorf("object changed to %q", e.data)
					}
				}
				if tc.want != nil && strings.Count(err.Error(), "write object") != 1 {
					t.Errorf("not wrapped once: %v", err)
				}
			})
		})
	}
}

func TestRivalCommitSeenAtSecondLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{commit: errors.New("409 conflict")}
		go func() {
			time.Sleep(lookAgain / 2)
			f.put(key, entry{data: []byte("rival")})
		}()
		err := Write(t.Context(), f.bucket(), key, options(), writeAll([]byte("mine")))
		if !errors.Is(err, ErrExists) {
			t.Errorf("got %v", err)
		}
	})
}

func TestOneOfManyWritersWins(t *testing.T) {
	b := memblob.OpenBucket(nil)
	defer b.Close()
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		wg.Go(func() {
			errs[i] = Write(t.Context(), b, key, options(), writeAll([]byte{byte(i)}))
		})
	}
	wg.Wait()
	got, err := Read(t.Context(), b, key, nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	for i, err := range errs {
		if won := int(got[0]) == i; won != (err == nil) || (!won && !errors.Is(err, ErrExists)) {
			t.Errorf("writer %d, winner %d: %v", i, got[0], err)
		}
	}
}

func TestStall(t *testing.T) {
	const limit = time.Minute
	for name, tc := range map[string]struct {
		f    *fake
		fn   func(io.Writer) error
		want error
		took time.Duration // at most
	}{
		"store takes no bytes": {f: &fake{hangAt: 10}, fn: writeAll(content(1 << 20)), want: ErrStalled, took: limit},
		"commit hangs":         {f: &fake{hangCommit: true}, fn: writeAll(content(10)), want: ErrStalled, took: limit + lookAgain},
		"producer may dawdle": {f: &fake{}, took: time.Hour, fn: func(w io.Writer) error {
			for range 10 {
				time.Sleep(limit + time.Second)
				if _, err := w.Write(content(10)); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := options()
				o.Stall = limit
				start := time.Now()
				err := Write(t.Context(), tc.f.bucket(), key, o, tc.fn)
				if !errors.Is(err, tc.want) || time.Since(start) > tc.took {
					t.Fatalf("got %v after %v", err, time.Since(start))
				}
				if _, there := tc.f.get(key); there != (tc.want == nil) {
					t.Errorf("object there: %v", there)
				}
			})
		})
	}
}

func TestCancelWhileTheStoreTakesNothing(t *testing.T) {
	for name, f := range map[string]*fake{"bytes": {hangAt: 10}, "commit": {hangCommit: true}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				err := Write(ctx, f.bucket(), key, options(), writeAll(content(1<<20)))
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestWriterIsDeadAfterwards(t *testing.T) {
	var leaked io.Writer
	f := &fake{}
	if err := Write(t.Context(), f.bucket(), key, options(), func(w io.Writer) error { leaked = w; return nil }); err != nil {
		t.Fatal(err)
	}
	if n, err := leaked.Write([]byte("late")); n != 0 || err == nil {
		t.Errorf("took %d bytes, %v", n, err)
	}
	if !f.opts.IfNotExist {
		t.Error("not create-only")
	}
}

func TestReadGoesOn(t *testing.T) {
	for name, tc := range map[string]struct {
		f    *fake
		want int // connections
	}{
		"whole":        {&fake{}, 1},
		"breaks":       {&fake{cutAt: 3000}, 4},
		"stands still": {&fake{cutAt: 3000, hangRead: true}, 4},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tc.f.put(key, entry{data: content(10_000)})
				o := options()
				o.Stall = time.Minute
				got, err := Read(t.Context(), tc.f.bucket(), key, o, 10_000)
				if err != nil || !bytes.Equal(got, content(10_000)) || tc.f.reads != tc.want {
					t.Errorf("%d bytes in %d reads, %v", len(got), tc.f.reads, err)
				}
			})
		})
	}
}

func TestReadFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{}
		b := f.bucket()
		if _, err := Read(t.Context(), b, "nowhere", nil, 10); gcerrors.Code(err) != gcerrors.NotFound {
			t.Errorf("absent: %v", err)
		}
		f.put(key, entry{data: content(11)})
		if _, err := Read(t.Context(), b, key, nil, 10); err == nil {
			t.Error("a larger object was read")
		}
		r, err := Open(t.Context(), b, key, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Read(make([]byte, 4)); err != nil {
			t.Fatal(err)
		}
		r.disconnect()
		f.put(key, entry{data: content(20)})
		if _, err := io.ReadAll(r); !errors.Is(err, errChanged) {
			t.Errorf("changed: %v", err)
		}
	})
}

package genesys

import (
	"crypto/x509"
	"errors"
	"testing"
	"time"
)

func TestClassify(t *testing.T) {
	want := map[int]class{
		400: final, 401: expired, 403: final, 404: final, 408: transient, 409: final, 413: final, 415: final,
		429: paced, 500: suspect, 501: final, 502: transient, 503: transient, 504: transient, 520: transient,
		301: final, 302: final,
	}
	for status, c := range want {
		if got := classify(status); got != c {
			t.Errorf("classify(%d) = %v, want %v", status, got, c)
		}
	}
}

func TestTally(t *testing.T) {
	status := func(s int) error { return &Error{Op: "x", Status: s} }
	conn := func(err error) error { return &ConnError{Op: "x", Err: err} }
	for _, tc := range []struct {
		name     string
		err      error
		attempts int // until it gives up
	}{
		{"gateway", status(502), 10},
		{"timeout", status(408), 10},
		{"internal", status(500), 3},
		{"too many", status(429), 60},
		{"unauthorised", status(401), 2},
		{"forbidden", status(403), 1},
		{"refused token", &Error{Op: opToken, Status: 401}, 1},
		{"connection", conn(errors.New("reset")), 10},
		{"stalled", conn(ErrStalled), 10},
		{"nonsense", conn(ErrAnswer), 3},
		{"too large", conn(errTooLarge), 1},
		{"certificate", conn(x509.HostnameError{}), 1},
		{"unknown", errors.New("?"), 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			tally, n := tally{limit: 10}, 1
			for ; n < 1000; n++ {
				if _, again := tally.next(tc.err, 0, 0.5); !again {
					break
				}
			}
			if n != tc.attempts {
				t.Errorf("%d attempts, want %d", n, tc.attempts)
			}
		})
	}
	t.Run("patience is a time", func(t *testing.T) {
		tally := tally{limit: 10, patience: time.Hour}
		for range 1000 {
			if _, again := tally.next(status(429), 59*time.Minute, 0); !again {
				t.Fatal("gave up")
			}
		}
		if _, again := tally.next(status(429), time.Hour, 0); again {
			t.Error("did not give up")
		}
	})
	t.Run("patience does not use up the budget of failures", func(t *testing.T) {
		tally := tally{limit: 3}
		for range 30 {
			tally.next(status(429), 0, 0)
		}
		if _, again := tally.next(status(503), 0, 0); !again {
			t.Error("gave up")
		}
	})
}

func TestBackoff(t *testing.T) {
	for n, bound := range map[int]time.Duration{
		-1: time.Second, 0: time.Second, 1: time.Second, 2: 2 * time.Second, 6: 32 * time.Second,
		7: time.Minute, 64: time.Minute, 1 << 30: time.Minute,
	} {
		if got := backoff(n, 0); got != 0 {
			t.Errorf("backoff(%d, 0) = %v", n, got)
		}
		if got := backoff(n, 0.999999); got > bound || got < bound-time.Millisecond {
			t.Errorf("backoff(%d, 1) = %v, want about %v", n, got, bound)
		}
	}
}

func TestPacedWait(t *testing.T) {
	for _, tc := range []struct {
		name       string
		n          int
		retryAfter time.Duration
		rnd        float64
		want       time.Duration
	}{
		{"the server's word", 1, 42 * time.Second, 0.5, 42 * time.Second},
		{"no word, first", 1, 0, 0, time.Second},
		{"no word, later", 6, 0, 0.5, 16 * time.Second},
		{"a word that does not help", 6, time.Second, 0.5, 16 * time.Second},
		{"never a busy loop", 50, 0, 0, time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := pacedWait(tc.n, tc.retryAfter, tc.rnd); got != tc.want {
				t.Errorf("%v, want %v", got, tc.want)
			}
		})
	}
}

func TestParseRetryAfter(t *testing.T) {
	now := time.Date(2024, 3, 1, 12, 0, 0, 0, time.UTC)
	const limit = 5 * time.Minute
	for value, want := range map[string]time.Duration{
		"":                               0,
		"42":                             42 * time.Second,
		" 7 ":                            7 * time.Second,
		"1.5":                            1500 * time.Millisecond,
		"0":                              0,
		"-3":                             0,
		"86400":                          limit,
		"1e300":                          limit,
		"inf":                            limit,
		"-inf":                           0,
		"nan":                            0,
		"soon":                           0,
		"300001":                         limit,
		"Fri, 01 Mar 2024 12:01:00 GMT":  time.Minute,
		"Fri, 01 Mar 2024 11:00:00 GMT":  0,
		"Fri, 01 Mar 2999 11:00:00 GMT":  limit,
		"Friday, 01-Mar-24 12:00:30 GMT": 30 * time.Second,
	} {
		if got := parseRetryAfter(value, now, limit); got != want {
			t.Errorf("parseRetryAfter(%q) = %v, want %v", value, got, want)
		}
	}
}

func FuzzRetryAfter(f *testing.F) {
	for _, seed := range []string{"", "1", "-1", "1e400", "0x1p9", "Fri, 01 Mar 2024 12:01:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "NaN"} {
		f.Add(seed, int64(300), int64(1709294400))
	}
	f.Fuzz(func(t *testing.T, value string, limitSeconds, now int64) {
		limit := time.Duration(limitSeconds%(1<<32)) * time.Second
		if limit < 0 {
			limit = -limit
		}
		got := parseRetryAfter(value, time.Unix(now%(1<<40), 0), limit)
		if got < 0 || got > limit {
			t.Errorf("parseRetryAfter(%q) = %v, limit %v", value, got, limit)
		}
	})
}

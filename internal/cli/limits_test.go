package cli

import (
	"fmt"
	"testing"
)

func TestCourteous(t *testing.T) {
	for _, row := range []struct{ allowed, shards, want int }{
		{0, 1, 0}, {1, 1, 1}, {2, 1, 2}, {3, 1, 2}, {5, 1, 4}, {10, 1, 8}, {10, 4, 2}, {10, 20, 1}, {100, 1, 10}, {100, 4, 10},
	} {
		t.Run(fmt.Sprintf("%d for %d", row.allowed, row.shards), func(t *testing.T) {
			if got := courteous(row.allowed, row.shards); got != row.want {
				t.Errorf("%d, want %d", got, row.want)
			}
		})
	}
}

func TestChosen(t *testing.T) {
	for _, row := range []struct {
		flag, organisation, n int
		from                  string
	}{{5, 8, 5, "flag"}, {0, 8, 8, "organisation"}, {0, 0, 2, "default"}} {
		t.Run(row.from, func(t *testing.T) {
			if n, from := chosen(row.flag, row.organisation, 2); n != row.n || from != row.from {
				t.Errorf("%d from %s", n, from)
			}
		})
	}
}

func TestPercent(t *testing.T) {
	v := percentValue{high: 90}
	for _, row := range []struct {
		text string
		want int
		ok   bool
	}{{"40%", 40, true}, {"0", 0, true}, {"90", 90, true}, {"91%", 0, false}, {"-1", 0, false}, {"0.4", 0, false}, {"", 0, false}} {
		t.Run(row.text, func(t *testing.T) {
			v.value = 0
			if err := v.Set(row.text); (err == nil) != row.ok || v.value != row.want {
				t.Errorf("%d, %v", v.value, err)
			}
		})
	}
}

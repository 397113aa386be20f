package doctor_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/gcexport/gcexport/internal/doctor"
)

func right(context.Context) (string, error) { return "fine", nil }

func wrong(context.Context) (string, error) { return "", errors.New("broken") }

func slow(ctx context.Context) (string, error) { <-ctx.Done(); return "", ctx.Err() }

func warn(context.Context) (string, error) {
	return "", &doctor.Advice{Detail: "works", Hint: "could be better"}
}

func TestRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := doctor.Doctor{Limit: 6 * time.Second, Total: 15 * time.Second,
			Explain: func(err error) (string, string) { return err.Error(), "mend it" }}
		var told []string
		d.Found = func(f doctor.Finding) { told = append(told, f.Check) }
		got, err := d.Run(t.Context(), []doctor.Check{
			{Name: "a", Do: right},
			{Name: "b", Do: warn, Needs: []string{"a"}},
			{Name: "c", Do: wrong, Needs: []string{"b"}},
			{Name: "d", Do: right, Needs: []string{"a", "c"}},
			{Name: "e", Do: right, Needs: []string{"d"}},
			{Name: "f", Do: slow},
			{Name: "g", Do: slow},
			{Name: "h", Do: slow},
			{Name: "i", Do: right},
		})
		var lines []string
		for _, f := range got {
			lines = append(lines, strings.TrimRight(strings.Join([]string{f.Check, string(f.Status), f.Detail, f.Hint}, " "), " "))
		}
		want := []string{"a right fine", "b warning works could be better", "c wrong broken mend it", "d skipped c comes first",
			"e skipped d comes first", "f wrong no answer within 6s mend it", "g wrong no answer within 6s mend it",
			"h wrong no answer within 6s mend it", "i skipped the other checks took more than 15s"}
		if diff := cmp.Diff(want, lines); diff != "" || err != nil || len(told) != len(want) {
			t.Errorf("%v, %d told (-want +got):\n%s", err, len(told), diff)
		}
	})
}

func TestRunStops(t *testing.T) {
	stop := errors.New("stop")
	ctx, cancel := context.WithCancelCause(t.Context())
	d := doctor.Doctor{Limit: time.Minute, Total: time.Minute, Explain: func(err error) (string, string) { return err.Error(), "" }}
	got, err := d.Run(ctx, []doctor.Check{{Name: "a", Do: right}, {Name: "b", Do: func(context.Context) (string, error) { cancel(stop); return "", stop }}, {Name: "c", Do: right}})
	if err != stop || len(got) != 1 {
		t.Errorf("%d findings, %v", len(got), err)
	}
}

func TestWrite(t *testing.T) {
	f := doctor.Finding{Check: "token", Status: doctor.Wrong, Detail: "refused", Hint: "mend it"}
	for color, want := range map[bool]string{
		false: "wrong    token          refused\n                        → mend it\n",
		true:  "\x1b[31mwrong\x1b[0m    token          refused\n                        → mend it\n",
	} {
		var b strings.Builder
		if err := doctor.WriteText(&b, f, color); err != nil || b.String() != want {
			t.Errorf("color %t: %q, %v", color, b.String(), err)
		}
	}
	var b strings.Builder
	if err := doctor.WriteJSON(&b, f); err != nil || b.String() != `{"check":"token","status":"wrong","detail":"refused","hint":"mend it"}`+"\n" {
		t.Errorf("%q, %v", b.String(), err)
	}
}

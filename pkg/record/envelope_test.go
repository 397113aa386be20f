package record

import (
	"testing"
	"time"
)

// TestInstant compares the fast way with the time package's.
func TestInstant(t *testing.T) {
	forms := []string{
		"2024-03-01T12:34:56.789Z", "2024-02-29T23:59:59.999Z", "2023-02-29T00:00:00.000Z", "0000-01-01T00:00:00.000Z",
		"9999-12-31T00:00:00.000Z", "2024-04-31T00:00:00.000Z", "2024-00-10T00:00:00.000Z", "2024-10-00T00:00:00.000Z",
		"2024-03-01T12:34:56Z", "2024-03-01T12:34:56.789+02:00", "2024-03-01T12:34:56.7890Z", "2024-03-01T24:00:00.000Z",
		"2024-03-01", "", "soon",
	}
	for _, form := range forms {
		compareInstant(t, form)
		for i := range form {
			for _, c := range []byte("0123456789:-.TZ/a ") {
				compareInstant(t, form[:i]+string(c)+form[i+1:])
			}
		}
	}
}

// TestInstantOfEveryDay goes through the 400 years after which the calendar
// repeats itself, and the ends of those that can be written.
func TestInstantOfEveryDay(t *testing.T) {
	for _, first := range []int{1, 1800, 9599} {
		day := time.Date(first, 1, 1, 7, 8, 9, 1e6, time.UTC)
		for range 400*365 + 97 {
			if got, ok := apiTime(day.AppendFormat(nil, `"2006-01-02T15:04:05.000Z"`)); !ok || got != day {
				t.Fatalf("%v is read as %v, %t", day, got, ok)
			}
			day = day.AddDate(0, 0, 1)
		}
	}
}

func compareInstant(t *testing.T, form string) {
	t.Helper()
	var want time.Time
	if want.UnmarshalText([]byte(form)) != nil {
		want = time.Time{}
	}
	if got := instant([]byte(`"` + form + `"`)); !got.Equal(want) || got.Location() != time.UTC {
		t.Errorf("instant(%s) = %v, want %v", form, got, want)
	}
}

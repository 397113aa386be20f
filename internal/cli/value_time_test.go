package cli

import (
	"testing"
	"time"
)

// Words for days are midnights in UTC.
func TestTimeWords(t *testing.T) {
	for word, ago := range map[string]int{"today": 0, "yesterday": 1} {
		var v timeValue
		before := time.Now().UTC()
		if err := v.Set(word); err != nil {
			t.Fatal(err)
		}
		if after := time.Now().UTC(); before.Day() != after.Day() {
			t.Skip("midnight has passed meanwhile")
		}
		want := time.Date(before.Year(), before.Month(), before.Day()-ago, 0, 0, 0, 0, time.UTC)
		if !v.Equal(want) || v.Location() != time.UTC {
			t.Errorf("%s is %v, want %v", word, v.Time, want)
		}
	}
	if err := new(timeValue).Set("tomorrow"); err == nil {
		t.Error("tomorrow is taken")
	}
}

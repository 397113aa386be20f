package record

import (
	"strings"
	"testing"
	"time"
)

func TestLine(t *testing.T) {
	s := NewScanner(Options{})
	s.window = 16 // so that lines span windows
	long := `{"a":"` + strings.Repeat("x", 300) + `","conversationStart":"2024-03-01T00:00:00.000Z","conversationId":"i"}`
	for _, line := range []string{`{"conversationId":"i","conversationStart":"2024-03-01T00:00:00.000Z"}`, long} {
		rec, err := s.Line([]byte(line))
		if err != nil {
			t.Fatal(err)
		}
		if string(rec.JSON) != line || string(rec.ID) != "i" || !rec.Start.Equal(time.Date(2024, 3, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("Line(%s) = %s, %s, %v", line, rec.JSON, rec.ID, rec.Start)
		}
	}
	for _, line := range []string{"", "{", long[:200], "[]", "1", "{}x", "{}{}", "{}\n", "{} ", " {}", `{"a": 1}`, "{}" + strings.Repeat(" ", 99), long + ",", `{"a":"` + "\xff" + `"}`} {
		if rec, err := s.Line([]byte(line)); err == nil {
			t.Errorf("Line(%q) = %s", line, rec.JSON)
		}
	}
}

package genesys

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

func TestSecretDoesNotPrint(t *testing.T) {
	const text = "hunter2"
	s := NewSecret(text)
	hidden := struct {
		Public  Secret
		private Secret
		config  Config
		token   token
	}{s, s, Config{ClientSecret: s}, newToken(text, time.Now(), time.Now())}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p"} {
		fmt.Fprintf(&out, verb+verb+verb+verb+"\n", s, &s, hidden, &hidden)
	}
	if err := json.NewEncoder(&out).Encode(map[string]any{"s": s, "p": &s, "h": hidden.Public}); err != nil {
		t.Fatal(err)
	}
	slog.New(slog.NewJSONHandler(&out, nil)).Info("m", "s", s, "p", &s, "c", struct{ S Secret }{s})
	slog.New(slog.NewTextHandler(&out, nil)).Info("m", "s", s, "p", &s, "h", hidden)
	fmt.Fprintln(&out, s.String(), s.GoString(), fmt.Errorf("x %w %v", fmt.Errorf("y"), s))
	for _, leak := range []string{text, fmt.Sprintf("%x", text), fmt.Sprintf("%X", text)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("the secret shows as %q in:\n%s", leak, out.String())
		}
	}
	if s.Reveal() != text || s.Empty() || !(Secret{}).Empty() || (Secret{}).Reveal() != "" {
		t.Error("the secret is not what was hidden")
	}
}

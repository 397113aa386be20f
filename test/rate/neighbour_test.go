package rate

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// usersPath is what the neighbour asks for, and no exporter does.
const usersPath = "/api/v2/users"

// visit is the neighbour: a program with the same client and a pace of its own,
// which obeys 429 and nothing else.
func (r *result) visit(t *testing.T, ctx context.Context) {
	token := r.token(t)
	tick := time.NewTicker(time.Minute / time.Duration(r.neighbour))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test"+usersPath, nil)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header.Set("Authorization", "Bearer "+token)
		resp, err := r.server.Client().Do(req)
		if err != nil {
			continue // the end
		}
		resp.Body.Close()
		switch resp.StatusCode {
		case 200:
			r.theirs++
		case 429:
			r.refused++
			seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
			select {
			case <-ctx.Done():
			case <-time.After(time.Duration(seconds) * time.Second):
			}
		}
	}
}

func (r *result) token(t *testing.T) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "POST", "http://login.test/oauth/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Error(err)
		return ""
	}
	req.SetBasicAuth("demo", "demo")
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := r.server.Client().Do(req)
	if err != nil {
		t.Error(err)
		return ""
	}
	defer resp.Body.Close()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		t.Error(err)
	}
	return answer.Token
}

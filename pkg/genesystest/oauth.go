package genesystest

import (
	"encoding/base64"
	"net/url"
	"strings"
	"time"
)

// A token is one access token.
type token struct {
	client  string
	expires time.Time
	revoked bool
	window  *window
}

// issueToken is the client credentials grant.
func (x *exchange) issueToken() answer {
	client, secret, hasBasic := x.r.BasicAuth()
	x.note(func(r *Request) { r.Client = client })
	form, bad := x.grantForm()
	switch {
	case bad != nil:
		return *bad
	case !hasBasic:
		return x.oauthError(x.s.opt.BadClientStatus, "invalid_client", "client authentication is required")
	case form.Get("grant_type") == "":
		return x.oauthError(400, "invalid_request", "grant_type is missing")
	case form.Get("grant_type") != "client_credentials":
		return x.oauthError(400, "unsupported_grant_type", "grant_type is not supported")
	case !x.s.knowsClient(client, secret):
		return x.oauthError(x.s.opt.BadClientStatus, "invalid_client", "client not found or secret is wrong")
	}
	if a := x.admitToken(client); a != nil {
		return *a
	}
	value := x.s.grant(client)
	return ok(map[string]any{
		"access_token": value, "token_type": "bearer", "expires_in": int64(x.s.opt.TokenLife / time.Second),
	})
}

// grantForm reads the parameters of the grant, which stand in the body, or in
// the query when there is no body. Credentials do not belong among them.
func (x *exchange) grantForm() (url.Values, *answer) {
	if len(x.body) == 0 {
		return x.r.URL.Query(), nil
	}
	kind, _, _ := strings.Cut(x.r.Header.Get("Content-Type"), ";")
	if strings.TrimSpace(kind) != "application/x-www-form-urlencoded" {
		a := x.oauthError(415, "invalid_request", "content type is not application/x-www-form-urlencoded")
		return nil, &a
	}
	form, err := url.ParseQuery(string(x.body))
	if err != nil {
		a := x.oauthError(400, "invalid_request", "the body is not a form")
		return nil, &a
	}
	return form, nil
}

// oauthError makes an error in the form that only OAuth has.
func (x *exchange) oauthError(status int, code, text string) answer {
	return answer{status: status, body: encode(map[string]string{
		"error": code, "description": text, "error_description": text,
	})}
}

// knowsClient takes credentials as they are and, as RFC 6749 has it, escaped.
func (s *Server) knowsClient(id, secret string) bool {
	match := func(id, secret string) bool {
		if id == s.opt.ClientID {
			return secret == s.opt.ClientSecret
		}
		want, known := s.opt.Clients[id]
		return known && secret == want
	}
	if match(id, secret) {
		return true
	}
	plainID, err1 := url.QueryUnescape(id)
	plainSecret, err2 := url.QueryUnescape(secret)
	return err1 == nil && err2 == nil && match(plainID, plainSecret)
}

// grant makes a new token.
func (s *Server) grant(client string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	var b []byte
	for i := range uint64(8) {
		h := hash(s.opt.Seed, 't', s.issued, i)
		for range 8 {
			b = append(b, byte(h))
			h >>= 8
		}
	}
	value := base64.RawURLEncoding.EncodeToString(b)
	t := &token{client: client, expires: time.Now().Add(s.opt.TokenLife), window: new(window)}
	if s.opt.PerClient {
		t.window = s.sharedWindow("api " + client)
	}
	s.tokens[value] = t
	return value
}

// RevokeTokens makes every token issued so far invalid.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tokens {
		t.revoked = true
	}
}

// authenticate checks the bearer token.
func (x *exchange) authenticate() *answer {
	value, found := strings.CutPrefix(x.r.Header.Get("Authorization"), "Bearer ")
	if !found || value == "" {
		a := x.fail(401, "authentication.required", "No authentication bearer token specified in authorization header.")
		return &a
	}
	s := x.s
	s.mu.Lock()
	t := s.tokens[value]
	code := ""
	switch {
	case t == nil || t.revoked:
		code = "bad.credentials"
	case !time.Now().Before(t.expires):
		code = "credentials.expired"
	default:
		x.token = t
		x.log.Client = t.client
	}
	s.mu.Unlock()
	if code != "" {
		a := x.fail(401, code, "Invalid login credentials.")
		return &a
	}
	return nil
}

package genesys

import (
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// newTransport is the default transport, tuned for many callers of few hosts.
// Connections are not limited: there are as many as callers at once.
func newTransport(cfg Config) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.Proxy = proxy
	t.MaxIdleConns = 2 * cfg.MaxIdleConns // API and login
	t.MaxIdleConnsPerHost = cfg.MaxIdleConns
	t.ResponseHeaderTimeout = cfg.StallTimeout
	t.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	t.ForceAttemptHTTP2 = true
	// One connection carries all callers then: notice when it is dead.
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 15 * time.Second}
	t.DisableCompression = true // bodies are wanted as they came
	return t
}

// proxy is http.ProxyFromEnvironment, whose error would quote the password of a
// malformed URL.
func proxy(r *http.Request) (*url.URL, error) {
	u, err := http.ProxyFromEnvironment(r)
	if err != nil {
		return nil, errors.New("the proxy in the environment is not a URL")
	}
	return u, nil
}

func newHTTPClient(t http.RoundTripper, version string) *http.Client {
	return &http.Client{
		Transport: &agent{next: t, name: "gcexport/" + version},
		// Neither service redirects; what does would be given a secret.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// An agent signs requests with a User-Agent, and asks for a plain body where
// nothing else was asked for: package oauth2 does not inflate.
type agent struct {
	next http.RoundTripper
	name string
}

// RoundTrip implements http.RoundTripper.
func (a *agent) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", a.name)
	if r.Header.Get("Accept-Encoding") == "" {
		r.Header.Set("Accept-Encoding", "identity")
	}
	return a.next.RoundTrip(r)
}

package genesys

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"
)

// A Visit is what a host has answered.
type Visit struct {
	// Status is the HTTP status; any will do.
	Status int
	// Date is the clock of the host, to the second; zero if it did not say.
	Date time.Time
	// Proxy is the host of the proxy on the way; "" if there is none.
	Proxy string
}

// See sees whether a host can be reached, by the way that a [Client] takes: it
// asks for the base URL and takes any answer. The error is a *[ConnError], or
// says what is wrong with the URL.
func See(ctx context.Context, base, version string) (Visit, error) {
	u, err := baseURL(base)
	if err != nil {
		return Visit{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String()+"/", nil)
	if err != nil {
		return Visit{}, err
	}
	failed := func(err error) error {
		if e, ok := errors.AsType[*url.Error](err); ok {
			err = e.Err
		}
		return &ConnError{Op: "reach host", Method: req.Method, Host: u.Host, Path: "/", Attempts: 1, Err: err}
	}
	var v Visit
	by, err := proxy(req)
	if err != nil {
		return Visit{}, failed(err)
	}
	if by != nil {
		v.Proxy = by.Host
	}
	t := newTransport(withDefaults(Config{}))
	defer t.CloseIdleConnections()
	resp, err := newHTTPClient(t, version).Do(req)
	if err != nil {
		return v, failed(err)
	}
	defer resp.Body.Close()
	v.Status = resp.StatusCode
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		v.Date = date
	}
	return v, nil
}

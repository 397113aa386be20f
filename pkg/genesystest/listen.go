package genesystest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"
)

// Listen serves on a TCP address; "" is any free port of 127.0.0.1. It returns
// the base URL, which is that of the API and of its login host, and a function
// that stops serving and waits until nothing of it is left.
func (s *Server) Listen(addr string) (url string, stop func() error, err error) {
	l, err := net.Listen("tcp", or(addr, "127.0.0.1:0"))
	if err != nil {
		return "", nil, fmt.Errorf("listen: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	server := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	stop = func() error {
		cancel() // ends whatever hangs or drips
		grace, done := context.WithTimeout(context.Background(), 2*time.Second)
		defer done()
		err := server.Shutdown(grace)
		if err != nil {
			err = server.Close()
		}
		if e := <-served; !errors.Is(e, http.ErrServerClosed) {
			return e
		}
		return err
	}
	return "http://" + l.Addr().String(), stop, nil
}

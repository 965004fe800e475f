package servers

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"time"
)

// Fault is what happens to one request. The zero value is nothing.
type Fault struct {
	DropRequest  bool        // the connection breaks before the server sees anything
	DropResponse bool        // the server does what was asked, and the answer is lost
	Status       int         // answered instead of the server, with Code and Header
	Code         string      // an S3 error code
	Header       http.Header // of an answer with Status; or set in the server's answer
	Truncate     int         // the answer's body breaks off after so many bytes
	Pause        time.Duration
	Hang         bool  // nothing comes until the client goes away
	RequestPace  *Pace // how the request's body is taken; nil: at once
	ResponsePace *Pace // how the answer's body is given
}

// Pace is how bytes move: After bytes at once, then Amount at a time, each after
// a pause; without an Amount nothing more. A server does not notice that a
// client goes away whose body it does not read, so it breaks off by itself.
type Pace struct {
	After, Amount int
	Pause         time.Duration
	Break         time.Duration // breaks off after so long; 0: never
}

// paced is a body that moves at a pace.
type paced struct {
	io.ReadCloser
	ctx  context.Context
	pace Pace
	end  <-chan time.Time
}

func newPaced(ctx context.Context, body io.ReadCloser, pace Pace) *paced {
	p := &paced{ReadCloser: body, ctx: ctx, pace: pace}
	if pace.Break > 0 {
		p.end = time.After(pace.Break)
	}
	return p
}

func (p *paced) Read(b []byte) (int, error) {
	if p.pace.After > 0 {
		n, err := p.ReadCloser.Read(b[:min(len(b), p.pace.After)])
		p.pace.After -= n
		return n, err
	}
	var pause <-chan time.Time // never
	if p.pace.Amount > 0 {
		pause = time.After(p.pace.Pause)
	}
	select {
	case <-pause:
	case <-p.end:
		return 0, errDropped
	case <-p.ctx.Done():
		return 0, p.ctx.Err()
	}
	n, err := io.ReadFull(p.ReadCloser, b[:min(len(b), p.pace.Amount)])
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return n, err
}

var errDropped = errors.New("dropped by a fault")

// Faults stands between a client and a server. Plan is asked for each request,
// numbered from 1; it may be called concurrently.
type Faults struct {
	Next http.RoundTripper
	Plan func(n int, r *http.Request) Fault

	mu sync.Mutex
	n  int
}

// Requests is how many there have been.
func (f *Faults) Requests() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.n
}

// RoundTrip implements http.RoundTripper.
func (f *Faults) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	fault := f.Plan(n, r)
	if fault.Pause > 0 {
		select {
		case <-time.After(fault.Pause):
		case <-r.Context().Done():
		}
	}
	if r.Body != nil && (fault.DropRequest || fault.Hang || fault.Status != 0) {
		_, _ = io.Copy(io.Discard, r.Body) // the client believes that it was sent
		r.Body.Close()
	}
	switch {
	case fault.Hang:
		<-r.Context().Done()
		return nil, r.Context().Err()
	case fault.DropRequest:
		return nil, errDropped
	case fault.Status != 0:
		return fault.answer(r), nil
	}
	if fault.RequestPace != nil && r.Body != nil {
		r.Body = newPaced(r.Context(), r.Body, *fault.RequestPace)
	}
	resp, err := f.Next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if fault.DropResponse {
		_, _ = io.Copy(io.Discard, resp.Body) // whatever it says is lost
		resp.Body.Close()
		return nil, errDropped
	}
	for name, values := range fault.Header {
		resp.Header[name] = values
	}
	if fault.ResponsePace != nil {
		resp.Body = newPaced(r.Context(), resp.Body, *fault.ResponsePace)
	}
	if fault.Truncate > 0 {
		resp.Body = &truncated{resp.Body, fault.Truncate}
	}
	return resp, nil
}

func (f Fault) answer(r *http.Request) *http.Response {
	rec := httptest.NewRecorder()
	for name, values := range f.Header {
		rec.Header()[name] = values
	}
	rec.Header().Set("Content-Type", "application/xml")
	rec.WriteHeader(f.Status)
	fmt.Fprintf(rec, "<Error><Code>%s</Code><Message>a fault</Message></Error>", f.Code)
	resp := rec.Result()
	resp.Request = r
	return resp
}

type truncated struct {
	io.ReadCloser
	left int
}

func (t *truncated) Read(p []byte) (int, error) {
	if t.left == 0 {
		return 0, errDropped
	}
	n, err := t.ReadCloser.Read(p[:min(len(p), t.left)])
	t.left -= n
	return n, err
}

// Proxy serves s through faults, on a port of its own: for clients in another
// process, and for what only a real connection can show. Clients sign the
// proxy's address, which is passed on.
func Proxy(t T, s *S3, plan func(n int, r *http.Request) Fault) (*S3, *Faults) {
	t.Helper()
	transport := s.transport()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, s.Endpoint)
	}
	f := &Faults{Next: transport, Plan: plan}
	server := httptest.NewUnstartedServer(&proxy{f, s})
	server.Config.ConnState = smallBuffers
	out := *s
	if s.Insecure {
		server.Start()
	} else {
		c := makeCertificates(t)
		pair, err := tls.LoadX509KeyPair(c.cert, c.key)
		if err != nil {
			t.Fatal(err)
		}
		server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
		server.StartTLS()
		out.CAFile, out.RootCAs = c.ca, c.pool
	}
	t.Cleanup(func() {
		server.CloseClientConnections() // some may hang
		server.Close()
		transport.CloseIdleConnections()
	})
	out.Endpoint = server.Listener.Addr().String()
	return &out, f
}

// smallBuffers keeps the kernel from taking what a slow server does not.
func smallBuffers(c net.Conn, state http.ConnState) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	if t, ok := c.(*net.TCPConn); ok && state == http.StateNew {
		_ = t.SetReadBuffer(256 << 10)
		_ = t.SetWriteBuffer(256 << 10)
	}
}

type proxy struct {
	faults *Faults
	to     *S3
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	out := r.Clone(r.Context())
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "https", r.Host
	if p.to.Insecure {
		out.URL.Scheme = "http"
	}
	if r.ContentLength == 0 {
		out.Body = http.NoBody
	}
	resp, err := p.faults.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler) // breaks the connection, without a word
	}
	defer resp.Body.Close()
	for name, values := range resp.Header {
		w.Header()[name] = values
	}
	if resp.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(resp.ContentLength, 10))
	}
	w.WriteHeader(resp.StatusCode)
	if _, err := io.Copy(w, resp.Body); err != nil {
		_ = http.NewResponseController(w).Flush() // what there is reaches the client
		panic(http.ErrAbortHandler)
	}
}

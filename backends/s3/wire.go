package s3

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"
)

// leastProgress is how many bytes must move within Config.Stall. With any one
// byte for progress a server could hold a client for ever.
const leastProgress = 1 << 10

// ErrStalled means that nothing moved for as long as Config.Stall allows.
var ErrStalled = errors.New("the storage stalled")

// newWire returns a client that follows no redirect and keeps no cookie, and
// what closes its idle connections. HTTP/2 is not used: it would put all jobs on
// one connection.
func newWire(c Config) (*http.Client, func()) {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: min(c.Stall, 15*time.Second), Control: boundUnsent}).DialContext,
		TLSHandshakeTimeout: min(c.Stall, 15*time.Second),
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs},
		MaxIdleConns:        c.Jobs,
		MaxIdleConnsPerHost: c.Jobs,
		// A PUT on a connection that the server is closing has no clear answer.
		// AWS closes idle ones after some 20 s: be earlier.
		IdleConnTimeout:    15 * time.Second,
		DisableCompression: true,
		WriteBufferSize:    64 << 10,
		ReadBufferSize:     64 << 10,
	}
	var rt http.RoundTripper = t
	if c.Wrap != nil {
		rt = c.Wrap(t)
	}
	return &http.Client{
		Transport:     rt,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, t.CloseIdleConnections
}

// watchdog ends a request on which fewer than leastProgress bytes move while
// the client waits for a whole stall. What the client does between two reads of
// an answer does not count. It is safe for concurrent use: the transport may
// still read what is to be sent when the answer is there.
type watchdog struct {
	stall time.Duration
	end   context.CancelCauseFunc
	now   func() time.Time

	mu       sync.Mutex
	timer    *time.Timer
	answered bool
	moved    int           // bytes since the last progress
	left     time.Duration // until they are too few
	since    time.Time     // when the client began to wait
}

// watch returns a context that ends with [ErrStalled] unless there is progress.
// The client waits from now on.
func watch(ctx context.Context, stall time.Duration, now func() time.Time) (context.Context, *watchdog) {
	ctx, end := context.WithCancelCause(ctx)
	w := &watchdog{stall: stall, end: end, now: now, left: stall, since: now()}
	w.timer = time.AfterFunc(stall, func() { end(fmt.Errorf("%w: no progress for %v", ErrStalled, stall)) })
	return ctx, w
}

// feed counts bytes that were sent.
func (w *watchdog) feed(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.moved += n; w.moved >= leastProgress && !w.answered {
		w.moved = 0
		w.timer.Reset(w.stall)
	}
}

// rest ends the client's waiting for an answer.
func (w *watchdog) rest() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.answered, w.moved, w.left = true, 0, w.stall
}

// wait begins the client's waiting for more of an answer; got ends it.
func (w *watchdog) wait() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since = w.now()
	w.timer.Reset(w.left)
}

func (w *watchdog) got(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	if w.moved += n; w.moved >= leastProgress {
		w.moved, w.left = 0, w.stall
		return
	}
	w.left = max(w.left-w.now().Sub(w.since), 1)
}

func (w *watchdog) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer.Stop()
	w.end(nil)
}

// payload is what a request sends. The transport may go on reading after it has
// returned an answer or an error; once stopped, it no longer touches the
// caller's bytes.
type payload struct {
	dog  *watchdog
	sent func()

	mu    sync.Mutex
	bytes []byte // nil: stopped
}

// open returns the payload from its first byte, as http.Request.GetBody does.
func (p *payload) open() (io.ReadCloser, error) { return &upload{payload: p}, nil }

func (p *payload) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.bytes = nil
}

type upload struct {
	*payload
	off int
}

func (u *upload) Read(b []byte) (int, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.bytes == nil {
		return 0, net.ErrClosed
	}
	if u.off == len(u.bytes) {
		return 0, io.EOF
	}
	u.sent()
	n := copy(b, u.bytes[u.off:])
	u.dog.feed(n)
	u.off += n
	return n, nil
}

func (u *upload) Close() error { return nil }

// download is an answer's body: exactly as long as was announced, and watched.
type download struct {
	body   io.ReadCloser
	ctx    context.Context // the caller's
	inner  context.Context // ended by dog
	dog    *watchdog
	left   int64 // bytes to come; -1: until the end
	failed func(error) error
	err    error // of all later reads
}

func (d *download) Read(p []byte) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	if d.left == 0 {
		return 0, io.EOF
	}
	if d.left > 0 && int64(len(p)) > d.left {
		p = p[:d.left]
	}
	d.dog.wait()
	n, err := d.body.Read(p)
	d.dog.got(n)
	if d.left > 0 {
		d.left -= int64(n)
	}
	switch {
	case err == nil || err == io.EOF && d.left <= 0:
	case err == io.EOF:
		err = d.failed(fmt.Errorf("%d bytes are missing: %w", d.left, io.ErrUnexpectedEOF))
	default:
		err = d.failed(cause(d.ctx, d.inner, err))
	}
	if err != nil {
		d.err = err
	}
	if d.left == 0 {
		err = nil // the next read says EOF
	}
	return n, err
}

func (d *download) Close() error {
	err := d.body.Close()
	d.dog.close()
	return err
}

// cause is why a request ended: the caller's context, the watchdog, or err.
func cause(outer, inner context.Context, err error) error {
	if e := outer.Err(); e != nil {
		return e
	}
	if e := context.Cause(inner); errors.Is(e, ErrStalled) {
		return e
	}
	return err
}

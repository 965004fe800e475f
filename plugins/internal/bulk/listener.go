package bulk

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	// tokenWait is how long a connection may take to say its token.
	tokenWait = 5 * time.Second
	// maxPending is how many connections may be about to say theirs.
	maxPending = 64
	// acceptAgain is the pause after a failed accept, as for want of descriptors.
	acceptAgain = 10 * time.Millisecond
)

// Token is a random name for one transfer.
type Token [TokenSize]byte

// Listener is a plugin's end: it hands each connection to the transfer whose
// token it begins with, and drops any other. Its methods are safe for concurrent
// use.
type Listener struct {
	l       *net.UnixListener
	address string
	pending chan struct{}
	done    sync.WaitGroup

	mu      sync.Mutex
	waiting map[Token]chan net.Conn // nil: closed
	opening map[net.Conn]bool       // connections without a token
}

// Address is what Dial takes.
func (l *Listener) Address() string { return l.address }

// Expect draws the token of a transfer. Wait returns its connection, which the
// caller closes; forget ends the wait and must be called.
func (l *Listener) Expect() (token Token, wait func(context.Context) (net.Conn, error), forget func()) {
	rand.Read(token[:])
	come := make(chan net.Conn, 1)
	l.mu.Lock()
	if l.waiting != nil {
		l.waiting[token] = come
	}
	l.mu.Unlock()
	wait = func(ctx context.Context) (net.Conn, error) {
		select {
		case c := <-come:
			return c, nil
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	forget = func() {
		l.mu.Lock()
		delete(l.waiting, token)
		l.mu.Unlock()
		select {
		case c := <-come:
			c.Close()
		default:
		}
	}
	return token, wait, forget
}

// Close ends the listener and waits for what it started. Connections that were
// handed out stay open.
func (l *Listener) Close() error {
	err := l.l.Close()
	l.mu.Lock()
	l.waiting = nil
	for c := range l.opening {
		c.Close()
	}
	l.mu.Unlock()
	l.done.Wait()
	return err
}

func newListener(l *net.UnixListener, address string) *Listener {
	out := &Listener{
		l: l, address: address, pending: make(chan struct{}, maxPending),
		waiting: map[Token]chan net.Conn{}, opening: map[net.Conn]bool{},
	}
	out.done.Go(out.accept)
	return out
}

func (l *Listener) accept() {
	for {
		c, err := l.l.AcceptUnix()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return
			}
			time.Sleep(acceptAgain)
			continue
		}
		if checkUser(c) != nil || !l.admit(c) {
			c.Close()
			continue
		}
		l.done.Go(func() {
			defer func() { <-l.pending }()
			if err := l.hand(c); err != nil {
				c.Close()
			}
		})
	}
}

// admit says whether there is room for another connection without a token.
func (l *Listener) admit(c net.Conn) bool {
	select {
	case l.pending <- struct{}{}:
	default:
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting == nil {
		<-l.pending
		return false
	}
	l.opening[c] = true
	return true
}

// hand gives a connection to the transfer that it names.
func (l *Listener) hand(c net.Conn) error {
	var token Token
	late := time.AfterFunc(tokenWait, func() { c.Close() })
	_, err := io.ReadFull(c, token[:])
	if !late.Stop() && err == nil {
		err = context.DeadlineExceeded
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.opening, c)
	if err != nil {
		return fmt.Errorf("reading a token: %w", err)
	}
	come, ok := l.waiting[token]
	if !ok {
		return errors.New("no transfer has this token")
	}
	delete(l.waiting, token)
	come <- c
	return nil
}

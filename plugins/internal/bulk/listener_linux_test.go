package bulk_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"testing"

	"github.com/aivault/aivault/plugins/internal/bulk"
)

func listen(t *testing.T) *bulk.Listener {
	t.Helper()
	l, err := bulk.Listen()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func dial(t *testing.T, l *bulk.Listener, token bulk.Token) net.Conn {
	t.Helper()
	c, err := bulk.Dial(t.Context(), l.Address(), os.Getpid(), token[:])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// dropped fails unless the other side closes the connection.
func dropped(t *testing.T, what string, c net.Conn) {
	t.Helper()
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("%s: %d bytes, %v; want a connection that is closed", what, n, err)
	}
}

func TestTokensFindTheirTransfers(t *testing.T) {
	l := listen(t)
	one, waitOne, forgetOne := l.Expect()
	defer forgetOne()
	two, waitTwo, forgetTwo := l.Expect()
	defer forgetTwo()
	for name, c := range map[string]struct {
		token bulk.Token
		wait  func(context.Context) (net.Conn, error)
	}{"two": {two, waitTwo}, "one": {one, waitOne}} {
		near := dial(t, l, c.token)
		far, err := c.wait(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := far.Write([]byte(name)); err != nil {
			t.Error(err)
		}
		far.Close()
		if got, err := io.ReadAll(near); err != nil || string(got) != name {
			t.Errorf("transfer %s: %q, %v", name, got, err)
		}
	}
	dropped(t, "a token used before", dial(t, l, one))
	dropped(t, "no token", dial(t, l, bulk.Token{}))
}

func TestForgottenTransfer(t *testing.T) {
	l := listen(t)
	token, wait, forget := l.Expect()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := wait(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("wait of a transfer given up: %v", err)
	}
	forget()
	dropped(t, "a transfer given up", dial(t, l, token))
}

func TestDialOnlyWhatThePluginListensOn(t *testing.T) {
	l := listen(t)
	var token bulk.Token
	for what, err := range map[string]error{
		"another process": func() error { _, err := bulk.Dial(t.Context(), l.Address(), os.Getpid()+1, token[:]); return err }(),
		"no address":      func() error { _, err := bulk.Dial(t.Context(), "", os.Getpid(), token[:]); return err }(),
		"a NUL byte":      func() error { _, err := bulk.Dial(t.Context(), "a\x00b", os.Getpid(), token[:]); return err }(),
		"a short token":   func() error { _, err := bulk.Dial(t.Context(), l.Address(), os.Getpid(), token[1:]); return err }(),
		"nobody there":    func() error { _, err := bulk.Dial(t.Context(), l.Address()+"x", os.Getpid(), token[:]); return err }(),
	} {
		if err == nil {
			t.Errorf("%s: connected", what)
		}
	}
}

// Close also ends connections that never said their token; TestMain sees what it
// left running.
func TestCloseEndsWhatNeverSpoke(t *testing.T) {
	l := listen(t)
	c, err := net.Dial("unix", "@"+l.Address())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("half a token")); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	dropped(t, "a connection without a token", c)
}

package servers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
)

// T is what a server asks of whom it is started for. Every testing.TB is one;
// [Run] makes one for a command.
type T interface {
	Helper()
	Context() context.Context // ends when what was started has to
	TempDir() string          // a new directory, gone at the end
	Cleanup(func())           // at the end, last come first
	Failed() bool
	Logf(format string, args ...any)
	Fatal(args ...any) // does not return
	Fatalf(format string, args ...any)
}

// Run gives do what a test would have: files and servers that are gone when it
// returns, and a way to give up, as Run's error. Directories are made in dir (if
// empty: where temporary files are), messages go to log. do must call Fatal on
// its own goroutine.
func Run(ctx context.Context, dir string, log io.Writer, do func(T) error) error {
	ctx, cancel := context.WithCancel(ctx)
	h := &host{ctx: ctx, dir: dir, log: log}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer h.end()
		defer cancel()
		if err := do(h); err != nil {
			h.err = err
		}
	}()
	<-done
	return h.err
}

// host is the T of a command.
type host struct {
	ctx      context.Context
	dir      string
	log      io.Writer
	cleanups []func()
	err      error
}

func (h *host) end() {
	for i := len(h.cleanups) - 1; i >= 0; i-- {
		h.cleanups[i]()
	}
}

func (h *host) Helper()                           {}
func (h *host) Context() context.Context          { return h.ctx }
func (h *host) Cleanup(f func())                  { h.cleanups = append(h.cleanups, f) }
func (h *host) Failed() bool                      { return h.err != nil }
func (h *host) Logf(format string, args ...any)   { fmt.Fprintf(h.log, format+"\n", args...) }
func (h *host) Fatalf(format string, args ...any) { h.fail(fmt.Errorf(format, args...)) }
func (h *host) Fatal(args ...any)                 { h.fail(errors.New(fmt.Sprint(args...))) }

func (h *host) fail(err error) {
	h.err = err
	runtime.Goexit()
}

func (h *host) TempDir() string {
	dir, err := os.MkdirTemp(h.dir, "aivault-")
	if err != nil {
		h.fail(err)
	}
	h.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			h.Logf("%v", err)
		}
	})
	return dir
}

package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interruption is the cause of a context that a signal ended.
type interruption struct{ signal os.Signal }

func (i *interruption) Error() string {
	if i.signal == syscall.SIGTERM {
		return "terminated"
	}
	return "interrupted"
}

// code is what a shell reports of a process that the signal killed.
func (i *interruption) code() int {
	if i.signal == syscall.SIGTERM {
		return codeTerminated
	}
	return codeInterrupted
}

// untilSignal returns a context that the first SIGINT or SIGTERM ends, so that
// commands stop where they can be resumed. The second ends the process, as if
// nobody listened.
func untilSignal(parent context.Context) (ctx context.Context, stop func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done, gone := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(gone)
		select {
		case s := <-signals:
			signal.Stop(signals)
			cancel(&interruption{s})
		case <-done:
			signal.Stop(signals)
		}
	}()
	return ctx, func() {
		close(done)
		<-gone
		cancel(nil)
	}
}

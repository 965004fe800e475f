package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"golang.org/x/term"
)

// isTerminal says whether a stream is a terminal.
func isTerminal(f *os.File) bool { return f != nil && term.IsTerminal(int(f.Fd())) }

// mayAsk says whether somebody is there to answer: standard input is a terminal
// that nothing else reads, questions can be seen, and --no-input was not given.
func (r *run) mayAsk() bool {
	return !r.set.noInput && r.stdinFor == "" && isTerminal(r.sys.stdin) && isTerminal(r.sys.errOut)
}

// askPassphrase asks for a passphrase, which is not shown.
func (r *run) askPassphrase(ctx context.Context, question string) (string, error) {
	if !r.mayAsk() {
		return "", errors.New("nobody is there to ask")
	}
	fd := int(r.sys.stdin.Fd())
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("asking for a passphrase: %w", err)
	}
	fmt.Fprint(r.sys.stderr, question+": ")
	answer, err := interruptible(ctx, func() (string, error) {
		b, err := term.ReadPassword(fd)
		return string(b), err
	})
	if err != nil {
		err = errors.Join(err, term.Restore(fd, before))
	}
	fmt.Fprintln(r.sys.stderr)
	return answer, err
}

// confirm asks for a name to be typed before something is destroyed. Where nobody
// is there to ask, --yes must have said so.
func (r *run) confirm(name string) error {
	if !r.mayAsk() {
		return hint(usage("this destroys something, and nobody is there to confirm it"), "use --yes")
	}
	fmt.Fprintf(r.sys.stderr, "Type %s to go on: ", printable(name))
	answer, err := interruptible(r.ctx, func() (string, error) { return bufio.NewReader(r.sys.stdin).ReadString('\n') })
	if err != nil {
		return fmt.Errorf("asking for confirmation: %w", err)
	}
	if strings.TrimSpace(answer) != name {
		return usage("that is not %s: nothing was done", name)
	}
	return nil
}

// interruptible reads from a terminal until ctx ends. A terminal cannot be made
// to stop reading: then the goroutine stays, and the program is about to end.
func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := read()
		got <- answer{text, err}
	}()
	select {
	case a := <-got:
		return a.text, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

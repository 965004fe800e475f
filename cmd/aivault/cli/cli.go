// Package cli is the command line of aivault. It is the only place that reads
// the environment, configuration files and terminals, that wires stores and
// keepers to a vault, and that turns errors into exit codes.
//
// The rules of this user interface:
//
//   - Results go to stdout; progress, warnings, questions and errors to stderr.
//   - Bad input is one line that says what was wrong and what to do, exit code
//     2, and nothing has changed.
//   - Nothing is asked without a terminal, nor under --no-input.
//   - Names, exit codes and JSON fields are a contract with scripts.
//   - What storage gave us is hostile: it is printed without control characters.
//
// One file holds one command, or one idea that commands share. A command is a
// value of type command: what it is called and how it is used, with an example,
// and one function. Everything else (parsing, help, completion) derives from it.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"time"

	"github.com/aivault/aivault/cmd/aivault/cli/argv"
	"github.com/aivault/aivault/cmd/aivault/cli/progress"
)

// system is the world around one run of the program.
type system struct {
	args   []string // without the program's name
	env    func(name string) (string, bool)
	unset  func(name string) // takes a variable out of the environment that child processes get
	stdin  *os.File
	stdout io.Writer
	stderr *progress.Screen
	errOut *os.File // where stderr writes: for what a terminal is asked, and for child processes
	now    clock
	config string // the configuration file; "": none
}

type clock = func() time.Time

// Main runs the program that the process was started for and returns its exit code.
func Main() int {
	s := &system{
		args: os.Args[1:], env: os.LookupEnv, unset: func(name string) { os.Unsetenv(name) },
		stdin: os.Stdin, stdout: os.Stdout, stderr: progress.NewScreen(os.Stderr), errOut: os.Stderr, now: time.Now,
		config: below(configDir(), "config.toml"),
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	return s.main(ctx)
}

func (s *system) main(ctx context.Context) (code int) {
	r := newRun(s)
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(s.stderr, "aivault: internal error: %v\n%s", p, debug.Stack())
			code = codeFailure
		}
	}()
	err := r.dispatch(ctx)
	if err == nil {
		err = r.out.failed()
	}
	cause := context.Cause(ctx)
	if r.ctx != nil {
		cause = context.Cause(r.ctx)
	}
	r.close()
	return r.report(err, cause)
}

// dispatch finds the command that was called and runs it.
func (r *run) dispatch(ctx context.Context) error {
	root := program()
	line, err := argv.Normalise(root.tree(), r.sys.args)
	if err != nil {
		return hint(err, helpHint(nil))
	}
	if line.Help {
		return root.help(r.out, line.Path)
	}
	err = root.app(r).RunContext(ctx, append([]string{root.name}, line.Tokens()...))
	if errors.Is(err, errUsage) {
		return hint(err, helpHint(line.Path))
	}
	return err
}

package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/aivault/aivault/cmd/aivault/cli/machine"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
)

// run is one run of the program: its surroundings, its settings, and what is
// opened when it is first needed.
type run struct {
	sys *system
	out *output
	set settings
	log *slog.Logger

	stdinFor string          // what consumes standard input; "" so far nothing
	memory   *machine.Dir    // nil: no place for it
	ctx      context.Context // of the command; nil before it starts
	stop     context.CancelCauseFunc
	closers  []func()

	allowance *allowance // of --limit-rate; nil until something needs it

	storePlugin machine.Plugin // what this command trusts to reach the vault's store; zero: what the machine remembers
	pinsPlugins bool           // the command may be what pins the plugin of the store that it uses
}

func newRun(s *system) *run {
	return &run{sys: s, out: &output{w: s.stdout, screen: s.stderr}, log: slog.New(newLogHandler(s.stderr, slog.LevelWarn, false))}
}

var (
	errStopped = errors.New("stopped")
	errTimeout = errors.New("the time that --timeout allows is over")
)

// start reads the settings for a command and returns the context to run it in.
func (r *run) start(ctx context.Context, flags *cli.Context, path []string) (context.Context, error) {
	config, err := readConfig(r.sys.config)
	if err != nil {
		return ctx, err
	}
	if r.set, err = resolve(flags, r.sys.env, config); err != nil {
		return ctx, err
	}
	r.log = slog.New(newLogHandler(r.sys.stderr, r.set.logLevel, r.set.json))
	r.out.command, r.out.json, r.out.quiet = path, r.set.json, r.set.quiet
	if r.set.stateDir != "" {
		dir, err := filepath.Abs(r.set.stateDir)
		if err != nil {
			return ctx, err
		}
		r.memory = machine.New(dir)
	}
	if r.set.timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, r.set.timeout, fmt.Errorf("%w (%s)", errTimeout, r.set.timeout))
		r.closers = append(r.closers, cancel)
	}
	ctx, r.stop = context.WithCancelCause(ctx)
	r.closers = append(r.closers, func() { r.stop(errStopped) })
	r.ctx = ctx
	return ctx, nil
}

// close lets go of what the run opened, the last first.
func (r *run) close() {
	for _, c := range slices.Backward(r.closers) {
		c()
	}
	r.closers = nil
}

// memoryFailure ends a command whose machine remembers something that must be
// looked at first.
type memoryFailure struct{ error }

func (m *memoryFailure) Unwrap() error { return m.error }

// unchanged is what a command returns that could have changed something and
// found nothing to do.
func (r *run) unchanged() error {
	if r.set.exitCode {
		return errNothingToDo
	}
	return nil
}

// takeStdin lets one consumer have standard input.
func (r *run) takeStdin(what string) error {
	if r.stdinFor != "" {
		return usage("%s and %s cannot both read standard input", r.stdinFor, what)
	}
	r.stdinFor = what
	return nil
}

// location reads the name of a vault: of those this machine knows, the
// variables first.
func (r *run) location(text string) (naming.Location, error) {
	return naming.ParseLocation(text, func(name string) (string, bool, error) {
		if v, _ := r.sys.env(vaultVariable(name)); v != "" {
			return v, true, nil
		}
		if r.memory == nil {
			return "", false, nil
		}
		v, ok, err := r.memory.Named(name)
		return v.URL, ok, err
	})
}

// vaultVariable is the variable that says where the vault called name is.
func vaultVariable(name string) string {
	return "AIVAULT_VAULT_" + strings.ToUpper(strings.NewReplacer("-", "_", ".", "_").Replace(name))
}

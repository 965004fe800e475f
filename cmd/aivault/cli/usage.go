package cli

import (
	"errors"
	"fmt"

	"github.com/aivault/aivault/vault"
)

// errUsage marks input that cannot be right whatever the vault holds.
var errUsage = errors.New("usage")

// errNothingToDo is the result of a command that found nothing to do, with
// --exit-code.
var errNothingToDo = errors.New("nothing to do")

type usageError struct{ error }

func (e *usageError) Is(target error) bool { return target == errUsage }
func (e *usageError) Unwrap() error        { return e.error }

// usage makes an error that is errUsage and says one sentence.
func usage(format string, a ...any) error { return &usageError{fmt.Errorf(format, a...)} }

type conflictError struct{ error }

func (e *conflictError) Is(target error) bool { return target == vault.ErrConflict }
func (e *conflictError) Unwrap() error        { return e.error }

// conflict makes an error that is vault.ErrConflict and says one sentence: what
// this machine knows stands against what was asked for.
func conflict(format string, a ...any) error { return &conflictError{fmt.Errorf(format, a...)} }

// hinted carries the line that helps.
type hinted struct {
	error
	hint string
}

func (h *hinted) Unwrap() error { return h.error }

// hint adds a line that helps, unless err has one.
func hint(err error, text string) error {
	var h *hinted
	if err == nil || errors.As(err, &h) {
		return err
	}
	return &hinted{err, text}
}

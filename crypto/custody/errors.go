package custody

import (
	"errors"
	"fmt"
	"time"
)

// Kinds of keeper errors; test with errors.Is. Only ErrDestroyed proves that a
// key is gone: denied, unreachable, damaged and not found prove nothing.
var (
	// ErrDestroyed: the key is pending or destroyed; no use of it will succeed again
	// unless the keeper's owner cancels a pending destruction.
	ErrDestroyed = errors.New("key destroyed")
	// ErrNotFound: the keeper answered, is whole as far as it can tell, and never
	// issued this ref.
	ErrNotFound = errors.New("key not found")
	// ErrDenied: this caller may not.
	ErrDenied = errors.New("keeper denied access")
	// ErrMismatch: key, context and bytes do not belong together.
	ErrMismatch = errors.New("wrapping does not open under this key and context")
	// ErrInvalid: a label, ref, prefix or secret outside the limits of the contract.
	ErrInvalid = errors.New("invalid keeper request")
	// ErrUnavailable: no clear answer, which includes a keeper that is not where it
	// should be (no directory, an empty bucket). The request may have been applied;
	// each may be repeated.
	ErrUnavailable = errors.New("keeper unavailable")
	// ErrRateLimited: refused for now, not applied. One that says how long to wait is
	// a [RateLimit].
	ErrRateLimited = errors.New("limited by the keeper's rate")
	// ErrCorrupt: what the keeper stored of this key is damaged or in part lost. It
	// says nothing about whether the key is gone.
	ErrCorrupt = errors.New("keeper's record of the key is damaged")
	// ErrUnfit: the place is no fit one for keys, by its settings; the error says which.
	ErrUnfit = errors.New("unfit to keep keys")
	// ErrNoKeeper, an ErrUnavailable: the place answers and no keeper is there, not
	// yet or not any more. Where one should be it is no more than unavailable.
	ErrNoKeeper = fmt.Errorf("%w: there is none", ErrUnavailable)
)

// RateLimit is an ErrRateLimited that says when to come again.
type RateLimit struct {
	RetryAfter time.Duration // more than zero
	Err        error         // what the keeper said; may be nil
}

func (l *RateLimit) Error() string {
	text := fmt.Sprintf("%v: try again in %v", ErrRateLimited, l.RetryAfter)
	if l.Err != nil {
		text += ": " + l.Err.Error()
	}
	return text
}

// Unwrap yields ErrRateLimited and the cause.
func (l *RateLimit) Unwrap() []error {
	if l.Err == nil {
		return []error{ErrRateLimited}
	}
	return []error{ErrRateLimited, l.Err}
}

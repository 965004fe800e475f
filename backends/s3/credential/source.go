package credential

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

var (
	// ErrNone means that no place had credentials. The error says which places
	// were looked at.
	ErrNone = errors.New("no credentials found")
	// ErrExpired means that the credentials have expired and no others could be had.
	ErrExpired = errors.New("credentials have expired")
	// ErrUnavailable means that a service which hands out credentials could not
	// be reached or was not able to answer; it may later.
	ErrUnavailable = errors.New("credentials service unavailable")
)

const (
	// early is how long before their expiry credentials are renewed, at most.
	early = 5 * time.Minute
	// pause is how long a failed renewal waits while the old credentials still hold.
	pause = 30 * time.Second
)

// Source hands out credentials, and renews them before they expire. It is safe
// for concurrent use; one caller renews while the others wait.
type Source struct {
	retrieve func(context.Context) (Value, error)
	now      func() time.Time
	turn     chan struct{} // holds one token: a mutex that a context can interrupt

	value   Value
	held    bool      // value was retrieved and not invalidated
	renewal time.Time // when to look for a newer value; zero: never
}

// Format implements fmt.Formatter for every verb: fmt would print the fields of
// what is held, secrets included.
func (s *Source) Format(f fmt.State, _ rune) { io.WriteString(f, "source of credentials") }

func newSource(now func() time.Time, retrieve func(context.Context) (Value, error)) *Source {
	return &Source{retrieve: retrieve, now: now, turn: make(chan struct{}, 1)}
}

// Static is a Source of one value that never changes.
func Static(accessKey, secretKey, token string) *Source {
	v := Value{AccessKey: accessKey, SecretKey: secretKey, Token: token}
	return newSource(time.Now, func(context.Context) (Value, error) {
		if accessKey == "" || secretKey == "" {
			return Value{}, ErrNone
		}
		return v, nil
	})
}

// Get returns credentials that have not expired. Errors wrap [ErrNone],
// [ErrExpired] or [ErrUnavailable] where one of these is the reason.
func (s *Source) Get(ctx context.Context) (Value, error) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return Value{}, ctx.Err()
	}
	defer func() { <-s.turn }()

	now := s.now()
	if s.held && (s.renewal.IsZero() || now.Before(s.renewal)) {
		return s.value, nil
	}
	v, err := s.retrieve(ctx)
	if err == nil && !v.Expires.IsZero() && !now.Before(v.Expires) {
		err = fmt.Errorf("%w: what was found was valid until %s", ErrExpired, v.Expires.UTC().Format(time.RFC3339))
	}
	if err != nil {
		if s.held && now.Before(s.value.Expires) && ctx.Err() == nil {
			s.renewal = now.Add(pause)
			return s.value, nil
		}
		if s.held && !errors.Is(err, ErrExpired) && ctx.Err() == nil {
			err = fmt.Errorf("%w, and renewing them failed: %w", ErrExpired, err)
		}
		return Value{}, err
	}
	s.value, s.held, s.renewal = v, true, time.Time{}
	if !v.Expires.IsZero() {
		s.renewal = v.Expires.Add(-min(early, v.Expires.Sub(now)/5))
	}
	return v, nil
}

// Invalidate says that the storage refused v as expired, so that the next Get
// looks again. It does nothing if v has been replaced meanwhile.
func (s *Source) Invalidate(ctx context.Context, v Value) {
	select {
	case s.turn <- struct{}{}:
	case <-ctx.Done():
		return
	}
	defer func() { <-s.turn }()
	if s.held && s.value.same(v) {
		s.held = false
	}
}

package custody

import "errors"

// Kinds of keeper errors; test with errors.Is. Only ErrDestroyed proves that a
// key is gone: denied, unreachable and not found prove nothing.
var (
	ErrDestroyed   = errors.New("key destroyed")
	ErrNotFound    = errors.New("key not found")
	ErrDenied      = errors.New("keeper denied access")
	ErrMismatch    = errors.New("wrapping does not open under this key and context")
	ErrInvalid     = errors.New("invalid keeper request")
	ErrUnavailable = errors.New("keeper unavailable")
	ErrRateLimited = errors.New("limited by the keeper's rate")
)

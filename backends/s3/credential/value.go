// Package credential finds the credentials that sign requests to S3 and keeps
// them fresh: environment, shared AWS files (static keys, SSO,
// credential_process, role_arn), web identity, container and instance roles,
// in the order in which the AWS SDKs look for them
// (https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html).
//
// It differs from those, and from minio-go's chain, on purpose: it reads the
// environment only through the lookup it is given, so that a second storage can
// have variables of its own; finding nothing is [ErrNone], never anonymous
// access; a variable or profile that is half set is an error, not a reason to
// look further; and an instance role is offered to AWS endpoints alone, because
// its session token travels with each request.
package credential

import (
	"fmt"
	"io"
	"log/slog"
	"time"
)

// Value signs requests. It prints as its access key only.
type Value struct {
	AccessKey string
	SecretKey string
	Token     string    // of a session; may be empty
	Expires   time.Time // zero: does not expire
}

// Format implements fmt.Formatter for every verb, so that no secret is printed.
func (v Value) Format(f fmt.State, _ rune) { io.WriteString(f, v.String()) }

// String names the access key and hides the rest.
func (v Value) String() string { return fmt.Sprintf("credentials of %q (secret hidden)", v.AccessKey) }

// MarshalText implements encoding.TextMarshaler, and with it JSON, like String.
func (v Value) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// LogValue implements slog.LogValuer like String.
func (v Value) LogValue() slog.Value { return slog.StringValue(v.String()) }

// same reports whether both sign alike.
func (v Value) same(o Value) bool {
	return v.AccessKey == o.AccessKey && v.SecretKey == o.SecretKey && v.Token == o.Token
}

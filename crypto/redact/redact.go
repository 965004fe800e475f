// Package redact gives secret types one way to print: not at all.
//
// A type that embeds [Secret] prints as [Text] through every verb of fmt, in
// JSON, in text encodings and in slog. Methods alone are not enough: fmt cannot
// call them on an unexported field, and with %p it does not try. A secret type
// therefore also keeps its bytes behind a closure, which reflection cannot open
// and == cannot compare.
package redact

import (
	"fmt"
	"io"
	"log/slog"
)

// Text is what stands in place of a secret.
const Text = "[redacted]"

// Secret is embedded by types that must not print. It has no state.
type Secret struct{}

// Format implements [fmt.Formatter] for every verb.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, Text) }

// String implements [fmt.Stringer].
func (Secret) String() string { return Text }

// GoString implements [fmt.GoStringer].
func (Secret) GoString() string { return Text }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + Text + `"`), nil }

// MarshalText implements [encoding.TextMarshaler].
func (Secret) MarshalText() ([]byte, error) { return []byte(Text), nil }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(Text) }

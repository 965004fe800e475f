package wire

import (
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// clean makes a text for people one line of at most maxText bytes that can cross
// the wire, and that a terminal shows without being told what to do.
func clean(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\r' || r == '\t':
			return ' '
		case r == utf8.RuneError || !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, s)
	if len(s) <= maxText {
		return s
	}
	const dots = "…"
	end := maxText - len(dots)
	for !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + dots
}

// cleanAll is clean for a list of at most maxTexts.
func cleanAll(texts []string) []string {
	var out []string
	for _, s := range texts[:min(len(texts), maxTexts)] {
		out = append(out, clean(s))
	}
	return out
}

// texts refuses a list of texts that is longer than allowed, or whose texts are
// not as clean makes them.
func texts(what string, list []string) ([]string, error) {
	if len(list) > maxTexts {
		return nil, protocol("%d texts in %s", len(list), what)
	}
	for i, s := range list {
		if s == "" || clean(s) != s {
			return nil, protocol("text %d of %s is not one line of 1 to %d bytes", i, what, maxText)
		}
	}
	return list, nil
}

func protocol(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrProtocol, fmt.Sprintf(format, args...))
}

// The zero time does not cross: its message is absent.
func toTime(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func fromTime(what string, t *timestamppb.Timestamp) (time.Time, error) {
	if t == nil {
		return time.Time{}, nil
	}
	if err := t.CheckValid(); err != nil {
		return time.Time{}, protocol("%s is no time", what)
	}
	return t.AsTime(), nil
}

// fromDuration reads a span of time that may be negative.
func fromDuration(what string, d *durationpb.Duration) (time.Duration, error) {
	if d == nil {
		return 0, nil
	}
	if err := d.CheckValid(); err != nil {
		return 0, protocol("%s is no span of time", what)
	}
	return d.AsDuration(), nil
}

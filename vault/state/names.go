package state

import (
	"errors"
	"fmt"
	"strings"
)

// ErrBadName marks a name outside the rules.
var ErrBadName = errors.New("invalid name")

const (
	// MaxName is the length of the longest artefact name, in bytes.
	MaxName = 200
	// MaxShortName is the length of the longest member, group or channel name, in bytes.
	MaxShortName = 64
	// DefaultChannel is the channel that a bare artefact name means.
	DefaultChannel = "main"
)

// CheckName checks an artefact's name: segments joined by '/', each of lower
// case letters, digits, '-', '_' and '.', none starting with '.' or '-'.
func CheckName(name string) error {
	if name == "" || len(name) > MaxName {
		return fmt.Errorf("artefact name %q: %w: it must have 1 to %d characters", name, ErrBadName, MaxName)
	}
	for seg := range strings.SplitSeq(name, "/") {
		if err := checkSegment(seg); err != nil {
			return fmt.Errorf("artefact name %q: %w", name, err)
		}
	}
	return nil
}

// CheckShortName checks the name of a member, group or channel: one segment of
// an artefact's name, at most MaxShortName bytes.
func CheckShortName(name string) error {
	if len(name) > MaxShortName {
		return fmt.Errorf("name %q: %w: longer than %d characters", name, ErrBadName, MaxShortName)
	}
	if err := checkSegment(name); err != nil {
		return fmt.Errorf("name %q: %w", name, err)
	}
	return nil
}

func checkSegment(seg string) error {
	if seg == "" || seg[0] == '.' || seg[0] == '-' {
		return fmt.Errorf("%w: no part may be empty or start with '.' or '-'", ErrBadName)
	}
	for _, r := range seg {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.') {
			return fmt.Errorf("%w: %q is not a lower-case letter, digit, '-', '_' or '.'", ErrBadName, r)
		}
	}
	return nil
}

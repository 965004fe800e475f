package backends

import (
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Kind classifies a store error. Its numbers are fixed: they cross the plugin
// wire. A Kind is itself an error, so errors.Is(err, backends.Exists) works.
type Kind uint8

const (
	NotExist      Kind = 1  // no such key or version; also fs.ErrNotExist
	Exists        Kind = 2  // put-if-absent found something
	Denied        Kind = 3  // credentials lack the right
	Invalid       Kind = 4  // key, size, range or option refused
	Unavailable   Kind = 5  // certainly not applied; may work later
	Indeterminate Kind = 6  // may or may not have been applied
	Retained      Kind = 7  // a lock forbids it
	Archived      Kind = 8  // in a tier that needs restoring first
	Corrupt       Kind = 9  // the store itself says the bytes are damaged
	Full          Kind = 10 // no room, or a quota
)

var kindNames = map[Kind]string{
	NotExist: "does not exist", Exists: "already exists", Denied: "access denied", Invalid: "invalid request",
	Unavailable: "unavailable", Indeterminate: "outcome unknown", Retained: "retained by a lock",
	Archived: "archived", Corrupt: "corrupt", Full: "storage full",
}

func (k Kind) Error() string {
	if s, ok := kindNames[k]; ok {
		return s
	}
	return fmt.Sprintf("store error kind %d", uint8(k))
}

// Is lets errors.Is(NotExist, fs.ErrNotExist) hold.
func (k Kind) Is(target error) bool { return k == NotExist && target == fs.ErrNotExist }

// Error says what was being done to which key, and why it failed.
type Error struct {
	Op         string        // "put", "get", "list", "erase", "probe"
	Key        string        // key or prefix
	Kind       Kind          //
	RetryAfter time.Duration // the store asked to wait: limited by rate; zero otherwise
	Stalled    bool          // nothing moved for as long as the store was told to wait
	Expired    bool          // Denied because the credentials have expired
	Err        error         // cause; may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("%s %s: %v", e.Op, e.Key, e.Kind)
	}
	return fmt.Sprintf("%s %s: %v: %v", e.Op, e.Key, e.Kind, e.Err)
}

// Unwrap yields the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}

// KindOf returns the kind of a store error, or 0 if err is not one.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	var k Kind
	if errors.As(err, &k) {
		return k
	}
	return 0
}

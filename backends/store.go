// Package backends defines the store contract: the one way aivault touches
// storage. A store is a flat map from key to bytes in which nothing is ever
// overwritten; everything aivault promises about concurrency rests on [Store.Put]
// being put-if-absent, atomic and durable.
//
// Implementations live beside this package (mem, dir, s3) or in plugin
// processes; backendtest is the conformance suite that each of them passes.
// A store is hostile until verified: callers check every byte it returns.
package backends

import (
	"context"
	"io"
	"iter"
	"time"
)

const (
	// MaxObject is the largest object a store is asked to hold, in bytes.
	MaxObject = 32 << 20
	// MaxKey is the length of the longest key, in bytes.
	MaxKey = 200
)

// Ref names one object version. An empty Version means the current one.
type Ref struct {
	Key     string
	Version string
}

// Info describes one object version, or (Marker) a delete marker. From a
// one-level listing, Key ends in '/' for a common prefix and all else is zero.
type Info struct {
	Ref
	Size        int64     // bytes
	Modified    time.Time // storage time
	Marker      bool      // a delete marker: the key reads as absent
	RetainUntil time.Time // a lock forbids erasing before; zero: none known
}

// ListOptions narrows a listing. The zero value lists every current object.
type ListOptions struct {
	Limit    int  // stop after so many results; 0: no limit; negative: Invalid
	OneLevel bool // report all keys that share the part up to the first '/' after the prefix once, as that part; with Versions: Invalid
	Versions bool // every version and marker; newest first within a key
}

// Remnant is an object version that Erase could not remove yet.
type Remnant struct {
	Ref
	Until time.Time // when a lock or soft delete ends; zero: unknown
	Why   string    // in words, for a person
}

// Capabilities is what Probe measured.
type Capabilities struct {
	PutIfAbsent      bool          // of racing writers to one key exactly one won, and a later one was refused
	ReadAfterWrite   bool          // get and list showed an object as soon as Put returned
	BytesIntact      bool          // what was written came back bit for bit
	OrderedList      bool          // listings came in bytewise order, paged correctly
	EraseWorks       bool          // an erased key is gone, with all its versions
	RefusesBadHash   bool          // a body that does not match its declared checksum is refused (true where not applicable)
	Versioned        bool          // old versions are kept
	Locked           bool          // a default retention or object lock is in force
	SoftDelete       bool          // deletions leave something recoverable
	Replicated       bool          // copies go elsewhere
	ExpiryRule       bool          // a lifecycle rule would expire objects under the prefix
	RefusesAnonymous bool          // an unsigned request was refused (true where not applicable)
	ClockSkew        time.Duration // storage time minus this machine's time
	Notes            []string      // what could not be measured and why, in words
}

// Refusals lists, in words, why a vault cannot keep its promises on a store
// with these capabilities. Empty means fit for use.
func (c Capabilities) Refusals() []string {
	var out []string
	for _, r := range []struct {
		ok  bool
		why string
	}{
		{c.PutIfAbsent, "conditional writes are ignored: two writers can overwrite each other (If-None-Match: * must be enforced)"},
		{c.ReadAfterWrite, "an object just written is not visible: listings or reads lag behind writes"},
		{c.BytesIntact, "stored bytes differ from what was sent"},
		{c.OrderedList, "listings are not in bytewise order or lose keys between pages"},
		{c.EraseWorks, "an erased object can still be read or listed"},
		{c.RefusesBadHash, "a body that does not match its checksum is accepted"},
		{c.RefusesAnonymous, "requests without valid credentials are accepted"},
		{!c.ExpiryRule, "a lifecycle rule would expire objects of the vault"},
	} {
		if !r.ok {
			out = append(out, r.why)
		}
	}
	return out
}

// Store keeps objects. Keys match [CheckKey]. All methods are safe for
// concurrent use, observe ctx, start no goroutine that outlives the call, and
// return errors whose kind (see [Kind]) errors.Is can tell. A call that ctx ended
// returns an error that is also ctx.Err(): Unavailable, or Indeterminate where
// it may have been applied. Invalid means that nothing was done.
type Store interface {
	// Put stores body under key if nothing is there, atomically and durably:
	// after nil every reader sees all of it, and a crash does not lose it. It
	// makes one attempt. Exists: something is there. Indeterminate: bytes left
	// without a clear answer (a cancelled Put is this); read the key to learn
	// more. Unavailable: certainly not applied. Full: no room. The body is not
	// kept nor changed. len(body) ≤ MaxObject, else Invalid; zero is allowed.
	// The Info returned may lack Modified.
	Put(ctx context.Context, key string, body []byte) (Info, error)

	// Get reads n bytes from off, or to the end if n < 0. A range that reaches
	// past the end is cut short; off beyond the end is Invalid. The Info is of
	// the whole object. NotExist also where the newest version is a marker and
	// ref names no version. The caller closes the reader; a short read, and one
	// that ctx cut off, ends in an error other than io.EOF.
	Get(ctx context.Context, ref Ref, off, n int64) (io.ReadCloser, Info, error)

	// List yields the keys that start with prefix, which need not end a segment,
	// in bytewise order. What is there from the call to the end is yielded; what
	// comes or goes meanwhile may be. It stops at the first error, yielded last,
	// and observes ctx between results.
	List(ctx context.Context, prefix string, o ListOptions) iter.Seq2[Info, error]

	// Erase removes every version and marker of exactly these keys, any number
	// of them. Absent keys are no error. What a lock or a soft delete retains is
	// returned; that is no error either. It may be repeated. An error leaves some
	// of the keys erased; one that is Invalid, none.
	Erase(ctx context.Context, keys ...string) ([]Remnant, error)

	// Probe measures what the store really does, under keys of its own below
	// "probe/", and leaves nothing behind. It may take seconds.
	Probe(ctx context.Context) (Capabilities, error)
}

// Package custody defines the keeper contract: a service that holds keys which
// never leave it, wraps and unwraps small secrets with them, and can destroy
// them for good. It is the small erasable memory beside a large storage that
// forgets nothing (Reardon et al., CCS 2013).
//
// Implementations live below this package (local, object) or in plugin
// processes; custodytest is the conformance suite that each of them passes.
package custody

import (
	"context"
	"iter"
	"time"
)

const (
	// MaxSecret is the largest secret a keeper wraps, in bytes.
	MaxSecret = 64
	// MaxWrapped is the largest wrapping a keeper returns, in bytes.
	MaxWrapped = 16 << 10
	// MaxLabel is the longest label, in bytes; labels match [a-z0-9-]+.
	MaxLabel = 100
	// MaxRef is the longest key ref and the longest instance id, in bytes.
	MaxRef = 200
	// MaxEvidence is the most evidence that a destruction returns, in bytes.
	MaxEvidence = 4 << 10
)

// KeyRef names a key within one keeper instance for ever: 1 to MaxRef printable
// ASCII bytes without spaces, opaque to all but the keeper.
type KeyRef string

// KeyState is what a keeper knows of a key.
type KeyState uint8

const (
	Unknown   KeyState = 0 // no such key was ever here, as far as the keeper can tell
	Alive     KeyState = 1
	Pending   KeyState = 2 // cannot be used, is not gone yet: see Until; its owner may still cancel
	Destroyed KeyState = 3 // gone for ever
)

// KeyStatus is the answer to Status.
type KeyStatus struct {
	Ref   KeyRef
	Label string
	State KeyState
	Since time.Time // of creation if Alive, of destruction if Destroyed, else zero
	Until time.Time // when a Pending key dies; zero: unknown, or as soon as Destroy is repeated
}

// Destruction is a keeper's acknowledgement. State is Destroyed, or Pending
// until a date, zero where the keeper cannot tell it: then Evidence says what
// the key still waits for. It speaks for this instance alone, not for its
// backups.
type Destruction struct {
	Ref   KeyRef
	State KeyState
	At    time.Time // when acknowledged, by the keeper's clock where it has one
	Until time.Time
	// Evidence is what the keeper returned, verbatim, for the record; no secrets,
	// at most MaxEvidence bytes.
	Evidence []byte
}

// Profile is what a keeper says of itself. Certificates quote it.
type Profile struct {
	Instance        string        // identifies this keeper instance for ever; pinned in the journal; of the form of a KeyRef
	Kind            string        // "local", "object", "pkcs11", …
	Algorithm       string        // of wrapping, e.g. "age-mlkem768x25519"
	Strength        int           // bits; ≥ 128
	PostQuantum     bool          // symmetric ≥ 128 bit, or hybrid; else refused at init
	KeyThroughHost  bool          // key material passes through this client's memory
	BackupRetention string        // in words: how long a copy of a destroyed key may live on; "unknown" if so
	DeletionDelay   time.Duration // how long Destroy stays Pending; 0: at once
	Certificates    []string      // e.g. "FIPS 140-3 #4567"
	Notes           []string      // limits that a certificate must state, one sentence each
}

// Keeper keeps keys. All methods are safe for concurrent use, by any number of
// processes where the keeper is shared, observe ctx, start no goroutine that
// outlives the call, and neither keep nor change the byte slices they are
// given. All may be repeated. Calls on one key are linearizable: what starts
// after a Destroy returned sees a dead key.
//
// Names are judged before anything else (ErrInvalid); then whether the key is
// dead: of a dead key Unwrap says ErrDestroyed whatever the wrapping, so that
// any bytes serve to prove it.
type Keeper interface {
	// Create makes a key and returns its ref. Idempotent in label: the same
	// label gives the same key, also after a crash, also from racing callers.
	// The key is durable when its ref is returned. ErrDestroyed if that label's
	// key is pending or destroyed: a label is never used for a second key.
	Create(ctx context.Context, label string) (KeyRef, error)
	// Wrap seals secret (1 to MaxSecret bytes, else ErrInvalid) under the key,
	// bound to context (exactly 32 bytes) as associated data. Two wrappings of
	// one secret differ. Errors as of Unwrap.
	Wrap(ctx context.Context, ref KeyRef, context [32]byte, secret []byte) ([]byte, error)
	// Unwrap is the inverse. ErrDestroyed: the key is pending or destroyed.
	// ErrNotFound: never heard of. ErrDenied: may not. ErrMismatch: key,
	// context and bytes do not belong together.
	Unwrap(ctx context.Context, ref KeyRef, context [32]byte, wrapped []byte) ([]byte, error)
	// Destroy destroys the key for good. Repeating it is no error and returns
	// the same acknowledgement in substance; it also finishes what a crash or a
	// fault interrupted. After an error the key may be alive, pending or
	// destroyed. ErrNotFound: never heard of.
	Destroy(ctx context.Context, ref KeyRef) (Destruction, error)
	// Status tells a key's state; Unknown is a state, not an error.
	Status(ctx context.Context, ref KeyRef) (KeyStatus, error)
	// List yields every key once, destroyed ones included where the keeper
	// remembers them, whose label starts with prefix, in no order. Keys made or
	// destroyed meanwhile may or may not show. An error comes last.
	List(ctx context.Context, labelPrefix string) iter.Seq2[KeyRef, error]
	// Profile describes the keeper; the same instance for ever.
	Profile(ctx context.Context) (Profile, error)
}

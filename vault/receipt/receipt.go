// Package receipt keeps receipts of pulls: who took plaintext of which version
// out of a vault, when and where to (vault/FORMAT.md §7.10). A receipt is an
// object of its own, signed by who pulled and sealed to the vault's metadata
// identity; it is put before any key is unwrapped. Receipts race with nothing:
// each has a random name.
package receipt

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

const (
	format      = "aivault-receipt/1"
	payloadType = "application/vnd.aivault.receipt+json"

	// MaxLabels bounds names and values of a receipt's labels together, in bytes.
	MaxLabels = 1024
	maxObject = 64 << 10
)

// ErrMalformed marks an object that is no receipt of this artefact by a member.
var ErrMalformed = errors.New("not a receipt")

// Receipt says that a member was about to pull a version.
type Receipt struct {
	Format   string            `json:"format"`
	ID       canonical.ID      `json:"id"` // the last part of its key
	Artefact canonical.Digest  `json:"artefact"`
	Version  canonical.ID      `json:"version"`
	Digest   canonical.Digest  `json:"digest"` // the version digest
	By       canonical.Digest  `json:"by"`     // key id of the member
	Time     entry.Time        `json:"time"`   // by the clock of the machine that pulled
	Host     string            `json:"host,omitempty"`
	Labels   map[string]string `json:"labels,omitempty"`
}

// Key is where the receipt stands.
func (r *Receipt) Key() string { return Prefix(r.Artefact) + r.ID.String() }

// Prefix is where the receipts of an artefact stand.
func Prefix(aid canonical.Digest) string { return ledger.ArtefactPrefix(aid) + "rc/" }

// Check refuses labels and host names that are too long, or do not print.
func (r *Receipt) Check() error {
	size := len(r.Host)
	for _, k := range slices.Sorted(maps.Keys(r.Labels)) {
		size += len(k) + len(r.Labels[k])
		if k == "" || !prints(k) || !prints(r.Labels[k]) {
			return fmt.Errorf("label %q of a receipt: it is empty or does not print", k)
		}
	}
	if size > MaxLabels || !prints(r.Host) {
		return fmt.Errorf("host and labels of a receipt take %d bytes: at most %d, all of which print", size, MaxLabels)
	}
	return nil
}

func prints(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) })
}

// Seal returns the receipt as it is stored: signed, and sealed by seal.
func Seal(ctx context.Context, r Receipt, signer dsse.Signer, seal func(plain []byte) ([]byte, error)) ([]byte, error) {
	r.Format = format
	if err := r.Check(); err != nil {
		return nil, err
	}
	payload, err := canonical.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encoding a receipt: %w", err)
	}
	env, err := dsse.Sign(ctx, payloadType, payload, signer)
	if err != nil {
		return nil, fmt.Errorf("signing a receipt: %w", err)
	}
	b, err := env.Marshal()
	if err != nil {
		return nil, fmt.Errorf("signing a receipt: %w", err)
	}
	return seal(append([]byte(format+"\n"), b...))
}

// decode checks the plaintext of a receipt of the artefact aid. Its signature
// must be that of a key that is or was a member's.
func decode(plain []byte, aid canonical.Digest, v *state.Vault) (*Receipt, error) {
	rest, ok := strings.CutPrefix(string(plain), format+"\n")
	if !ok {
		if strings.HasPrefix(string(plain), "aivault-receipt/") {
			return nil, entry.ErrUpgrade
		}
		return nil, ErrMalformed
	}
	env, err := dsse.Parse([]byte(rest))
	if err != nil || env.PayloadType != payloadType {
		return nil, fmt.Errorf("%w: its envelope is malformed", ErrMalformed)
	}
	var r Receipt
	if err := canonical.Unmarshal(env.Payload, &r); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	key := v.Key(r.By)
	if key == nil || env.Verify(key) != nil {
		return nil, fmt.Errorf("%w: no member has signed it", ErrMalformed)
	}
	if r.Format != format || r.Artefact != aid || r.Check() != nil {
		return nil, fmt.Errorf("%w: it is of artefact %s", ErrMalformed, r.Artefact)
	}
	return &r, nil
}

// Stored is a receipt and where it stands.
type Stored struct {
	Key string
	Receipt
}

// List yields the receipts of an artefact, in the order of their keys, which says
// nothing. One that does not verify is yielded, with its key alone, beside an
// error that wraps ErrMalformed, after which the listing goes on; any other error
// ends it.
func List(ctx context.Context, store backends.Store, vault *ledger.Vault, aid canonical.Digest) iter.Seq2[Stored, error] {
	return func(yield func(Stored, error) bool) {
		v := vault.State()
		for info, err := range store.List(ctx, Prefix(aid), backends.ListOptions{}) {
			if err != nil {
				yield(Stored{}, err)
				return
			}
			s := Stored{Key: info.Key}
			r, err := read(ctx, store, vault, v, aid, info.Key)
			if errors.Is(err, backends.NotExist) {
				continue
			}
			if err == nil {
				s.Receipt = *r
			}
			if !yield(s, err) || err != nil && !errors.Is(err, ErrMalformed) {
				return
			}
		}
	}
}

func read(ctx context.Context, store backends.Store, vault *ledger.Vault, v *state.Vault, aid canonical.Digest, key string) (*Receipt, error) {
	sealed, err := ledger.ReadObject(ctx, store, key, maxObject)
	if err != nil {
		if errors.Is(err, backends.Corrupt) {
			return nil, fmt.Errorf("%s: %w: %w", key, ErrMalformed, err)
		}
		return nil, err
	}
	plain, err := vault.OpenMetadata(ctx, sealed)
	if errors.Is(err, seal.ErrNoMatch) || errors.Is(err, seal.ErrCorrupt) || errors.Is(err, seal.ErrFormat) {
		return nil, fmt.Errorf("%s: %w: %w", key, ErrMalformed, err)
	}
	if err != nil {
		return nil, err
	}
	r, err := decode(plain, aid, v)
	if err == nil && r.Key() != key {
		err = fmt.Errorf("%w: it is the one at %s", ErrMalformed, r.Key())
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	return r, nil
}

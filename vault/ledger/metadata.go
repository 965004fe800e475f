package ledger

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/redact"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// MetadataPrefix is where metadata identities stand.
const MetadataPrefix = "meta/"

const (
	metadataFormat = "aivault-metadata/1"
	// maxMetadataTries bounds how many objects one reading of the journal tries to open.
	maxMetadataTries = 256
	// maxMetadataObject bounds a metadata object, in bytes, and maxOlder the identities it holds.
	maxMetadataObject = 4 << 20
	maxOlder          = 4096
)

// metadataObject is the plaintext of meta/<mid> (vault/FORMAT.md §3.3).
type metadataObject struct {
	Format   string           `json:"format"`
	MID      canonical.ID     `json:"mid"`
	Identity string           `json:"identity"`
	Older    []olderMetadata  `json:"older"`
	NameKey  canonical.Digest `json:"name_key"`
}

type olderMetadata struct {
	MID      canonical.ID `json:"mid"`
	Identity string       `json:"identity"`
}

// metadata holds the metadata identities of a vault.
//
// Anyone who knows a member's public line can put an object under MetadataPrefix
// that opens for the member. So an object serves for nothing but reading the
// vault's journal until a valid entry of that journal is found to bind its
// SHA-256; name key and identities come from such objects alone.
type metadata struct {
	redact.Secret
	session *Session

	mu    sync.Mutex
	bound []mdKey  // identities that the journal binds, newest first
	name  [32]byte // zero until the first object is bound

	// Of the present reading of the journal:
	loose  []*loose // objects that opened, not known to be bound
	queue  []string // keys under MetadataPrefix to try, newest first
	listed bool
	tries  int

	recalled bool            // what this client kept was looked at
	closed   map[string]bool // keys of objects that did not open for this member, since a reading last failed
}

type mdKey struct {
	mid canonical.ID
	key seal.Key
}

// loose is an object that opened.
type loose struct {
	object *metadataObject
	sealed []byte
	keys   []seal.Key // parsed so far: the identity, and then the older ones
}

// NewMetadata makes a metadata identity and returns its binding and the object
// to put under MetadataPrefix. It carries every identity that the journal binds
// so far, and the vault's name key, which is drawn once.
func (v *Vault) NewMetadata(ctx context.Context, recipients []string) (state.Metadata, []byte, error) {
	bound := v.State().Metadata
	v.meta.mu.Lock()
	defer v.meta.mu.Unlock()
	if err := v.meta.bindAll(ctx, bound); err != nil {
		return state.Metadata{}, nil, err
	}
	older := make([]olderMetadata, 0, len(bound))
	for _, b := range slices.Backward(bound) {
		k := v.meta.find(b.MID)
		if k == nil {
			return state.Metadata{}, nil, fmt.Errorf("%w: metadata identity %s", ErrNoAccess, b.MID)
		}
		older = append(older, olderMetadata{MID: b.MID, Identity: k.Reveal()})
	}
	return newMetadata(v.Cipher, canonical.Digest(v.meta.name), older, recipients)
}

// FirstMetadata makes the metadata identity of a new vault.
func FirstMetadata(cipher seal.Cipher, recipient string) (state.Metadata, []byte, error) {
	k, err := cipher.Generate()
	if err != nil {
		return state.Metadata{}, nil, err
	}
	return newMetadata(cipher, canonical.Digest(k.RevealSeed()), []olderMetadata{}, []string{recipient})
}

func newMetadata(cipher seal.Cipher, nameKey canonical.Digest, older []olderMetadata, recipients []string) (state.Metadata, []byte, error) {
	key, err := cipher.Generate()
	if err != nil {
		return state.Metadata{}, nil, err
	}
	mid := canonical.NewID()
	plain, err := canonical.Marshal(metadataObject{Format: metadataFormat, MID: mid, Identity: key.Reveal(), Older: older, NameKey: nameKey})
	if err != nil {
		return state.Metadata{}, nil, err
	}
	sealed, err := cipher.Seal(plain, recipients...)
	if err != nil {
		return state.Metadata{}, nil, fmt.Errorf("sealing a metadata identity: %w", err)
	}
	return state.Metadata{MID: mid, Recipient: key.Recipient(), SHA256: canonical.Sum(sealed)}, sealed, nil
}

// MetadataKey returns the key of the object that holds a metadata identity.
func MetadataKey(mid canonical.ID) string { return MetadataPrefix + mid.String() }

// ErrMetadata marks an object under MetadataPrefix that is damaged, or missing
// where there must be one.
var ErrMetadata = errors.New("metadata identity does not verify")

// find returns the bound identity with this id, or nil.
func (m *metadata) find(mid canonical.ID) seal.Key {
	for _, k := range m.bound {
		if k.mid == mid {
			return k.key
		}
	}
	return nil
}

func (m *metadata) nameKey() [32]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.name
}

// open opens an object that is sealed to a bound identity. Errors are those of seal.Key.
func (m *metadata) open(sealed []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.tryBound(sealed)
}

func (m *metadata) tryBound(sealed []byte) ([]byte, error) {
	plain, err := []byte(nil), error(seal.ErrNoMatch)
	for _, k := range m.bound {
		if plain, err = k.key.Open(sealed); !errors.Is(err, seal.ErrNoMatch) {
			break
		}
	}
	return plain, err
}

// openSlot opens an object of the vault's own journal, for which any identity
// serves that this member can get hold of: what it says is judged by the chain
// and its signatures. An error that journal.Unverified marks is about the object.
func (m *metadata) openSlot(ctx context.Context, sealed []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for {
		plain, err := m.tryBound(sealed)
		if errors.Is(err, seal.ErrNoMatch) {
			plain, err = m.tryLoose(sealed)
		}
		if err == nil {
			return plain, nil
		}
		if !errors.Is(err, seal.ErrNoMatch) {
			return nil, journal.Unverified(err)
		}
		found, loadErr := m.load(ctx)
		if loadErr != nil {
			return nil, loadErr
		}
		if !found {
			return nil, journal.Unverified(err)
		}
	}
}

func (m *metadata) tryLoose(sealed []byte) ([]byte, error) {
	for _, l := range m.loose {
		for i := 0; ; i++ {
			key := m.key(l, i)
			if key == nil {
				break
			}
			if plain, err := key.Open(sealed); !errors.Is(err, seal.ErrNoMatch) {
				return plain, err
			}
		}
	}
	return nil, seal.ErrNoMatch
}

// key returns the identity number i of an object that opened, or nil.
func (m *metadata) key(l *loose, i int) seal.Key {
	if i < len(l.keys) {
		return l.keys[i]
	}
	if i > len(l.object.Older) {
		return nil
	}
	text := l.object.Identity
	if i > 0 {
		text = l.object.Older[i-1].Identity
	}
	k, err := m.session.Cipher.Parse(text)
	if err != nil {
		return nil
	}
	l.keys = append(l.keys, k)
	return k
}

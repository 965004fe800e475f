package ledger

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/redact"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// MetadataPrefix is where metadata identities stand.
const MetadataPrefix = "meta/"

const metadataFormat = "aivault-metadata/1"

// maxMetadataTries bounds how many objects a cold client tries to open.
const maxMetadataTries = 32

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

// metadata holds the opened metadata identities of a vault, newest first.
type metadata struct {
	redact.Secret
	session *Session

	mu    sync.Mutex
	keys  []mdKey
	name  [32]byte
	tried map[string]bool // objects under meta/ that were read
}

type mdKey struct {
	mid canonical.ID
	key seal.Key
}

// NewMetadata makes a metadata identity and returns its binding and the object
// to put under MetadataPrefix. It carries every identity that the journal binds
// so far, and the vault's name key, which is drawn once.
func (v *Vault) NewMetadata(ctx context.Context, recipients []string) (state.Metadata, []byte, error) {
	bound := v.State().Metadata
	v.meta.mu.Lock()
	defer v.meta.mu.Unlock()
	older := make([]olderMetadata, len(bound))
	for i, b := range bound {
		for older[i].MID != b.MID {
			if k := slices.IndexFunc(v.meta.keys, func(k mdKey) bool { return k.mid == b.MID }); k >= 0 {
				older[i] = olderMetadata{MID: b.MID, Identity: v.meta.keys[k].key.Reveal()}
				continue
			}
			// The entry that binds an identity is sealed to the one before it.
			if found, err := v.meta.load(ctx); err != nil || !found {
				return state.Metadata{}, nil, errors.Join(fmt.Errorf("%w: metadata identity %s", ErrNoAccess, b.MID), err)
			}
		}
	}
	slices.Reverse(older)
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

// open opens an object sealed to a metadata identity. If none that is known
// opens it, it looks for others.
func (m *metadata) open(ctx context.Context, sealed []byte) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.keys) > 0 {
		if plain, err := m.try(sealed); !errors.Is(err, seal.ErrNoMatch) {
			return plain, err
		}
	}
	// What this client kept may be out of date, and storage time does not tell
	// the newest of objects that were put within one tick.
	for {
		found, err := m.load(ctx)
		if err != nil {
			return nil, err
		}
		if plain, err := m.try(sealed); !errors.Is(err, seal.ErrNoMatch) || !found {
			return plain, err
		}
	}
}

func (m *metadata) try(sealed []byte) ([]byte, error) {
	var plain []byte
	var err error
	for _, k := range m.keys {
		if plain, err = k.key.Open(sealed); !errors.Is(err, seal.ErrNoMatch) {
			return plain, err
		}
	}
	return nil, err
}

// load opens the newest metadata object, of those not tried before, that is
// sealed to this member, and reports whether it found one. It holds all older
// identities, so one is enough; the journal decides which of them the vault
// really has.
func (m *metadata) load(ctx context.Context) (found bool, err error) {
	if m.tried == nil {
		m.tried = map[string]bool{}
		if m.recall() {
			return true, nil
		}
	}
	var infos []backends.Info
	for info, err := range m.session.Store.List(ctx, MetadataPrefix, backends.ListOptions{}) {
		if err != nil {
			return false, err
		}
		if !m.tried[info.Key] {
			infos = append(infos, info)
		}
	}
	slices.SortStableFunc(infos, func(a, b backends.Info) int { return b.Modified.Compare(a.Modified) })
	var last error
	for i, info := range infos {
		if i == maxMetadataTries {
			break
		}
		m.tried[info.Key] = true
		sealed, err := ReadObject(ctx, m.session.Store, info.Key, 0)
		var obj *metadataObject
		if err == nil {
			obj, err = m.decode(info.Key, sealed)
		}
		if err != nil {
			if !errors.Is(err, seal.ErrNoMatch) && !isContent(err) {
				delete(m.tried, info.Key)
				return false, err
			}
			last = err
			continue
		}
		if m.session.Cache != nil {
			m.session.Cache.Put(cachedMetadata, sealed)
		}
		return true, m.add(obj)
	}
	if len(m.keys) > 0 {
		return false, nil
	}
	if len(infos) == 0 {
		return false, fmt.Errorf("%w: %w: nothing stands under %s", journal.ErrUnverifiable, ErrMetadata, MetadataPrefix)
	}
	if !errors.Is(last, seal.ErrNoMatch) {
		return false, fmt.Errorf("%w: %w: %w", journal.ErrUnverifiable, ErrMetadata, last)
	}
	return false, fmt.Errorf("%w: %w", ErrNoAccess, last)
}

// isContent reports whether an error is about the bytes of an object, not about reaching it.
func isContent(err error) bool {
	return errors.Is(err, seal.ErrFormat) || errors.Is(err, seal.ErrCorrupt) || errors.Is(err, canonical.ErrNotCanonical) || errors.Is(err, ErrMetadata)
}

// ErrMetadata marks an object under MetadataPrefix that is damaged, or missing
// where there must be one.
var ErrMetadata = errors.New("metadata identity does not verify")

// cachedMetadata is the name under which a client keeps the object it opened last.
const cachedMetadata = "metadata"

// recall opens the object that this client kept. It costs no request; if the
// vault has a newer one by now, what is sealed to that will not open and load
// runs again.
func (m *metadata) recall() bool {
	if m.session.Cache == nil {
		return false
	}
	sealed, ok := m.session.Cache.Get(cachedMetadata)
	if !ok {
		return false
	}
	obj, err := m.decode("", sealed)
	return err == nil && m.add(obj) == nil
}

// decode opens and checks a metadata object. key is "" where the caller does not know it.
func (m *metadata) decode(key string, sealed []byte) (*metadataObject, error) {
	plain, err := m.session.Self.OpenShared(sealed)
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", cmp.Or(key, "a metadata identity"), err)
	}
	var obj metadataObject
	if err := canonical.Unmarshal(plain, &obj); err != nil {
		return nil, fmt.Errorf("%s: %w", key, err)
	}
	if obj.Format != metadataFormat || key != "" && MetadataKey(obj.MID) != key {
		return nil, fmt.Errorf("%s: %w: format %q, id %s", key, ErrMetadata, obj.Format, obj.MID)
	}
	return &obj, nil
}

func (m *metadata) add(obj *metadataObject) error {
	all := append([]olderMetadata{{MID: obj.MID, Identity: obj.Identity}}, obj.Older...)
	var keys []mdKey
	for _, o := range all {
		if i := slices.IndexFunc(m.keys, func(k mdKey) bool { return k.mid == o.MID }); i >= 0 {
			keys = append(keys, m.keys[i])
			continue
		}
		k, err := m.session.Cipher.Parse(o.Identity)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrMetadata, err)
		}
		keys = append(keys, mdKey{mid: o.MID, key: k})
	}
	for _, k := range m.keys {
		if !slices.ContainsFunc(keys, func(x mdKey) bool { return x.mid == k.mid }) {
			keys = append(keys, k)
		}
	}
	m.keys, m.name = keys, [32]byte(obj.NameKey)
	return nil
}

// bind checks that what was opened is what the journal binds: an identity under
// a bound id must have the bound recipient.
func (m *metadata) bind(bound []state.Metadata) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range bound {
		for _, k := range m.keys {
			if k.mid == b.MID && k.key.Recipient() != b.Recipient {
				return fmt.Errorf("%w: metadata identity %s is another than the journal binds", state.ErrUnverifiable, b.MID)
			}
		}
	}
	return nil
}

func (m *metadata) nameKey() [32]byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.name
}

// ReadObject reads a whole object of at most limit bytes (0: backends.MaxObject).
func ReadObject(ctx context.Context, store backends.Store, key string, limit int64) ([]byte, error) {
	if limit == 0 {
		limit = backends.MaxObject
	}
	r, info, err := store.Get(ctx, backends.Ref{Key: key}, 0, -1)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	if info.Size > limit {
		return nil, fmt.Errorf("%s: %d bytes, more than the %d such an object can have: %w", key, info.Size, limit, backends.Corrupt)
	}
	var buf bytes.Buffer
	buf.Grow(int(max(info.Size, 0)))
	if _, err := io.Copy(&buf, io.LimitReader(r, limit+1)); err != nil {
		return nil, fmt.Errorf("reading %s: %w", key, err)
	}
	if int64(buf.Len()) != info.Size {
		return nil, fmt.Errorf("%s: %d bytes where the store announced %d: %w", key, buf.Len(), info.Size, backends.Corrupt)
	}
	return buf.Bytes(), nil
}

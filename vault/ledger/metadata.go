package ledger

import (
	"bytes"
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

// begin starts a new reading of the vault's journal.
func (m *metadata) begin() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.loose, m.queue, m.listed, m.tries = nil, nil, false, 0
	if m.closed == nil {
		m.closed = map[string]bool{}
	}
}

// failed ends a reading that did not succeed: what did not open may have been
// shown damaged, and is tried again.
func (m *metadata) failed() {
	m.mu.Lock()
	defer m.mu.Unlock()
	clear(m.closed)
}

// cachedMetadata is the name under which a client keeps the object that was bound last.
const cachedMetadata = "metadata"

// load opens one more metadata object, and reports whether it found one: first
// what this client kept, then the newest, by storage time, that is sealed to
// this member. It holds all older identities, so mostly one is enough.
func (m *metadata) load(ctx context.Context) (found bool, err error) {
	if !m.recalled && m.session.Cache != nil {
		m.recalled = true
		if sealed, ok := m.session.Cache.Get(cachedMetadata); ok {
			if object, err := m.decode(sealed); err == nil {
				m.loose = append(m.loose, &loose{object: object, sealed: sealed})
				return true, nil
			}
		}
	}
	if !m.listed {
		if err := m.list(ctx); err != nil {
			return false, err
		}
		m.listed = true
	}
	last := error(seal.ErrNoMatch)
	for len(m.queue) > 0 && m.tries < maxMetadataTries {
		key := m.queue[0]
		sealed, err := ReadObject(ctx, m.session.Store, key, maxMetadataObject)
		if err != nil && !errors.Is(err, backends.NotExist) && !errors.Is(err, backends.Corrupt) {
			return false, err
		}
		m.queue = m.queue[1:]
		m.tries++
		var object *metadataObject
		if err == nil {
			object, err = m.decode(sealed)
		}
		if err == nil && MetadataKey(object.MID) != key {
			err = fmt.Errorf("%w: %s holds identity %s", ErrMetadata, key, object.MID)
		}
		if err == nil {
			m.loose = append(m.loose, &loose{object: object, sealed: sealed})
			return true, nil
		}
		m.closed[key] = true
		last = fmt.Errorf("opening %s: %w", key, err)
	}
	switch {
	case len(m.bound)+len(m.loose) > 0:
		return false, nil
	case len(m.closed) == 0:
		return false, fmt.Errorf("%w: %w: nothing stands under %s", journal.ErrUnverifiable, ErrMetadata, MetadataPrefix)
	case !errors.Is(last, seal.ErrNoMatch):
		return false, fmt.Errorf("%w: %w: %w", journal.ErrUnverifiable, ErrMetadata, last)
	}
	return false, fmt.Errorf("%w: %w", ErrNoAccess, last)
}

// list queues the objects under MetadataPrefix that may open.
func (m *metadata) list(ctx context.Context) error {
	var infos []backends.Info
	for info, err := range m.session.Store.List(ctx, MetadataPrefix, backends.ListOptions{}) {
		if err != nil {
			return err
		}
		if !m.closed[info.Key] {
			infos = append(infos, info)
		}
	}
	slices.SortStableFunc(infos, func(a, b backends.Info) int { return b.Modified.Compare(a.Modified) })
	m.queue = nil
	for _, info := range infos {
		m.queue = append(m.queue, info.Key)
	}
	return nil
}

// decode opens and checks a metadata object.
func (m *metadata) decode(sealed []byte) (*metadataObject, error) {
	plain, err := m.session.Self.OpenShared(sealed)
	if err != nil {
		return nil, err
	}
	var o metadataObject
	if err := canonical.Unmarshal(plain, &o); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMetadata, err)
	}
	if o.Format != metadataFormat || len(o.Older) > maxOlder {
		return nil, fmt.Errorf("%w: format %q, %d older identities", ErrMetadata, o.Format, len(o.Older))
	}
	return &o, nil
}

// settle takes from what was opened what the journal binds, and drops the rest.
// bound is in the order of the journal; member says that the newest identity
// must be sealed to this client.
func (m *metadata) settle(ctx context.Context, bound []state.Metadata, member bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer func() { m.loose, m.queue = nil, nil }()
	var newest error
	for i, b := range slices.Backward(bound) {
		if m.find(b.MID) != nil {
			break
		}
		err := m.bind(ctx, b, bound)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrNoAccess) && !errors.Is(err, ErrMetadata) {
			return err
		}
		if i == len(bound)-1 {
			newest = err
		}
	}
	if newest != nil && (member || len(m.bound) == 0) {
		return newest
	}
	return nil
}

// bindAll binds every identity of the journal that this client can get hold of.
func (m *metadata) bindAll(ctx context.Context, bound []state.Metadata) error {
	for _, b := range slices.Backward(bound) {
		if m.find(b.MID) != nil || m.closed[MetadataKey(b.MID)] {
			continue
		}
		if err := m.bind(ctx, b, bound); err != nil && !errors.Is(err, ErrNoAccess) && !errors.Is(err, ErrMetadata) {
			return err
		}
	}
	return nil
}

// bind takes identities and name key from the object that b binds. Errors:
// ErrNoAccess if it is not sealed to this member; ErrMetadata, with
// journal.ErrUnverifiable, if it is missing or another; those of the store.
func (m *metadata) bind(ctx context.Context, b state.Metadata, bound []state.Metadata) error {
	key := MetadataKey(b.MID)
	damaged := func(err error) error {
		return fmt.Errorf("%w: %w: %s: %w", journal.ErrUnverifiable, ErrMetadata, key, err)
	}
	var l *loose
	for _, have := range m.loose {
		if have.object.MID == b.MID && canonical.Sum(have.sealed) == b.SHA256 {
			l = have
		}
	}
	if l == nil {
		sealed, err := ReadObject(ctx, m.session.Store, key, maxMetadataObject)
		if errors.Is(err, backends.NotExist) || errors.Is(err, backends.Corrupt) {
			return damaged(err)
		}
		if err != nil {
			return err
		}
		if sum := canonical.Sum(sealed); sum != b.SHA256 {
			return damaged(fmt.Errorf("its sha256 is %s, and the journal binds %s", sum, b.SHA256))
		}
		object, err := m.decode(sealed)
		if errors.Is(err, seal.ErrNoMatch) {
			m.closed[key] = true
			return fmt.Errorf("%w: opening %s: %w", ErrNoAccess, key, err)
		}
		if err != nil {
			return damaged(err)
		}
		l = &loose{object: object, sealed: sealed}
	}
	if err := m.adopt(l, b, bound); err != nil {
		return damaged(err)
	}
	if m.session.Cache != nil {
		m.session.Cache.Put(cachedMetadata, l.sealed)
	}
	return nil
}

// adopt takes over what a bound object holds, as far as the journal binds it.
func (m *metadata) adopt(l *loose, b state.Metadata, bound []state.Metadata) error {
	if l.object.MID != b.MID {
		return fmt.Errorf("it holds identity %s", l.object.MID)
	}
	if len(m.bound) > 0 && m.name != [32]byte(l.object.NameKey) {
		return errors.New("it holds another name key than those before")
	}
	found := map[canonical.ID]seal.Key{}
	for _, k := range m.bound {
		found[k.mid] = k.key
	}
	take := func(mid canonical.ID, text string) error {
		i := slices.IndexFunc(bound, func(b state.Metadata) bool { return b.MID == mid })
		if i < 0 || found[mid] != nil {
			return nil
		}
		k, err := m.session.Cipher.Parse(text)
		if err != nil || k.Recipient() != bound[i].Recipient {
			return fmt.Errorf("its identity %s is another than the journal binds", mid)
		}
		found[mid] = k
		return nil
	}
	if err := take(b.MID, l.object.Identity); err != nil {
		return err
	}
	for _, o := range l.object.Older {
		if err := take(o.MID, o.Identity); err != nil {
			return err
		}
	}
	m.bound, m.name = nil, [32]byte(l.object.NameKey)
	for _, b := range slices.Backward(bound) {
		if k := found[b.MID]; k != nil {
			m.bound = append(m.bound, mdKey{mid: b.MID, key: k})
		}
	}
	return nil
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

package ledger

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

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
	return ReadVersion(ctx, store, backends.Ref{Key: key}, limit)
}

// ReadVersion is ReadObject of one version of an object.
func ReadVersion(ctx context.Context, store backends.Store, ref backends.Ref, limit int64) ([]byte, error) {
	key := ref.Key
	if limit == 0 {
		limit = backends.MaxObject
	}
	r, info, err := store.Get(ctx, ref, 0, -1)
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

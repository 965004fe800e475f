package custodytest

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/aivault/aivault/crypto/custody"
)

// Mem is a keeper in memory, for tests. It wraps with AES-256-GCM, whose
// associated data is the context. It can delay destruction as a KMS does, and
// shows its state to a test that plays a coercive adversary.
type Mem struct {
	now      func() time.Time
	delay    time.Duration
	instance string

	mu     sync.Mutex
	labels map[string]custody.KeyRef
	keys   map[custody.KeyRef]*memKey
	ever   State
}

type memKey struct {
	label   string
	created time.Time
	until   time.Time // of a destruction; zero: alive
	secret  *[32]byte // nil once destroyed
}

// NewMem returns an empty keeper whose Destroy stays pending for delay, by the
// clock now.
func NewMem(now func() time.Time, delay time.Duration) *Mem {
	return &Mem{
		now: now, delay: delay, instance: "mem-" + randomHex(),
		labels: map[string]custody.KeyRef{}, keys: map[custody.KeyRef]*memKey{}, ever: State{},
	}
}

// State is key material, as somebody holds it who took it from a keeper.
type State map[custody.KeyRef][32]byte

// Unwrap opens a wrapping with what the state holds.
func (s State) Unwrap(ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	key, ok := s[ref]
	if !ok {
		return nil, fmt.Errorf("unwrap under %s: %w", ref, custody.ErrNotFound)
	}
	secret, err := aead(key).Open(nil, nil, wrapped, context[:])
	if err != nil {
		return nil, fmt.Errorf("unwrap under %s: %w", ref, custody.ErrMismatch)
	}
	return secret, nil
}

// CurrentState returns all key material that exists now: what the keeper's
// owner can be made to hand over. Keys pending destruction are part of it.
func (m *Mem) CurrentState() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := State{}
	for ref := range m.keys {
		if k := m.look(ref); k.secret != nil {
			s[ref] = *k.secret
		}
	}
	return s
}

// History returns all key material that ever existed: the control of an
// experiment in which CurrentState must fail.
func (m *Mem) History() State {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.ever)
}

// Cancel takes back a pending destruction, as the owner of a KMS may.
func (m *Mem) Cancel(ref custody.KeyRef) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.look(ref)
	if k == nil || k.until.IsZero() || k.secret == nil {
		return fmt.Errorf("cancel destruction of %s: not pending: %w", ref, custody.ErrInvalid)
	}
	k.until = time.Time{}
	return nil
}

// look returns a key after dropping its material if its time has come.
func (m *Mem) look(ref custody.KeyRef) *memKey {
	k := m.keys[ref]
	if k != nil && !k.until.IsZero() && !m.now().Before(k.until) {
		k.secret = nil
	}
	return k
}

// use returns a key that lives.
func (m *Mem) use(ref custody.KeyRef) (*memKey, error) {
	switch k := m.look(ref); {
	case k == nil:
		return nil, custody.ErrNotFound
	case !k.until.IsZero():
		return nil, custody.ErrDestroyed
	default:
		return k, nil
	}
}

// Create implements [custody.Keeper].
func (m *Mem) Create(ctx context.Context, label string) (custody.KeyRef, error) {
	if err := first(ctx.Err(), custody.CheckLabel(label)); err != nil {
		return "", fmt.Errorf("create key: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if ref, ok := m.labels[label]; ok {
		if _, err := m.use(ref); err != nil {
			return "", fmt.Errorf("create key %s: %w", label, err)
		}
		return ref, nil
	}
	ref := custody.KeyRef("mem." + randomHex())
	k := &memKey{label: label, created: m.now(), secret: new([32]byte)}
	rand.Read(k.secret[:])
	m.labels[label], m.keys[ref], m.ever[ref] = ref, k, *k.secret
	return ref, nil
}

// Wrap implements [custody.Keeper].
func (m *Mem) Wrap(ctx context.Context, ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	if err := first(ctx.Err(), custody.CheckRef(ref), custody.CheckSecret(secret)); err != nil {
		return nil, fmt.Errorf("wrap: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.use(ref)
	if err != nil {
		return nil, fmt.Errorf("wrap under %s: %w", ref, err)
	}
	return aead(*k.secret).Seal(nil, nil, secret, context[:]), nil
}

// Unwrap implements [custody.Keeper].
func (m *Mem) Unwrap(ctx context.Context, ref custody.KeyRef, context [32]byte, wrapped []byte) ([]byte, error) {
	if err := first(ctx.Err(), custody.CheckRef(ref)); err != nil {
		return nil, fmt.Errorf("unwrap: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k, err := m.use(ref)
	if err != nil {
		return nil, fmt.Errorf("unwrap under %s: %w", ref, err)
	}
	return State{ref: *k.secret}.Unwrap(ref, context, wrapped)
}

// Destroy implements [custody.Keeper].
func (m *Mem) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	if err := first(ctx.Err(), custody.CheckRef(ref)); err != nil {
		return custody.Destruction{}, fmt.Errorf("destroy: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	k := m.look(ref)
	if k == nil {
		return custody.Destruction{}, fmt.Errorf("destroy %s: %w", ref, custody.ErrNotFound)
	}
	if k.until.IsZero() {
		k.until = m.now().Add(m.delay)
		k = m.look(ref)
	}
	d := custody.Destruction{Ref: ref, State: custody.Pending, At: m.now(), Until: k.until, Evidence: []byte("mem: forgets " + ref)}
	if k.secret == nil {
		d.State, d.At, d.Until = custody.Destroyed, k.until, time.Time{}
	}
	return d, nil
}

// Status implements [custody.Keeper].
func (m *Mem) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	if err := first(ctx.Err(), custody.CheckRef(ref)); err != nil {
		return custody.KeyStatus{}, fmt.Errorf("status: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	s := custody.KeyStatus{Ref: ref}
	switch k := m.look(ref); {
	case k == nil:
	case k.until.IsZero():
		s.Label, s.State, s.Since = k.label, custody.Alive, k.created
	case k.secret != nil:
		s.Label, s.State, s.Until = k.label, custody.Pending, k.until
	default:
		s.Label, s.State, s.Since = k.label, custody.Destroyed, k.until
	}
	return s, nil
}

// List implements [custody.Keeper].
func (m *Mem) List(ctx context.Context, labelPrefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		if err := first(ctx.Err(), custody.CheckLabelPrefix(labelPrefix)); err != nil {
			yield("", fmt.Errorf("list keys: %w", err))
			return
		}
		m.mu.Lock()
		labels := maps.Clone(m.labels)
		m.mu.Unlock()
		for label, ref := range labels {
			if strings.HasPrefix(label, labelPrefix) && !yield(ref, nil) {
				return
			}
		}
	}
}

// Profile implements [custody.Keeper].
func (m *Mem) Profile(ctx context.Context) (custody.Profile, error) {
	if err := ctx.Err(); err != nil {
		return custody.Profile{}, fmt.Errorf("profile: %w", err)
	}
	return custody.Profile{
		Instance: m.instance, Kind: "mem", Algorithm: "aes-256-gcm", Strength: 256, PostQuantum: true,
		KeyThroughHost: true, BackupRetention: "none", DeletionDelay: m.delay,
		Notes: []string{"This keeper is for tests: it forgets everything when its process ends."},
	}, nil
}

func aead(key [32]byte) cipher.AEAD {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		panic("internal error: AES-256 with a 32-byte key: " + err.Error())
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("internal error: GCM over AES: " + err.Error())
	}
	return a
}

func randomHex() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// first returns the first error that is one.
func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

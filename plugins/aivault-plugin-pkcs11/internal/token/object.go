//go:build linux && cgo

package token

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/miekg/pkcs11"

	"github.com/aivault/aivault/crypto/custody"
)

const (
	labelPrefix = "aivault:" // of CKA_LABEL
	refPrefix   = "pkcs11-"
	application = "aivault"
	idSize      = 16
	keySize     = 32
	maxFound    = 100 // of one call to the library
)

// labelOf returns the label of a ref. ErrInvalid, or ErrNotFound for one that no
// token issues.
func labelOf(ref custody.KeyRef) (string, error) {
	if err := custody.CheckRef(ref); err != nil {
		return "", err
	}
	label, ours := strings.CutPrefix(string(ref), refPrefix)
	if !ours || custody.CheckLabel(label) != nil {
		return "", fmt.Errorf("key %s: %w", ref, custody.ErrNotFound)
	}
	return label, nil
}

func refOf(label string) custody.KeyRef { return custody.KeyRef(refPrefix + label) }

// key is a key object.
type key struct {
	handle pkcs11.ObjectHandle
	id     []byte
	born   time.Time
	fit    bool // made by the token, and never able to leave it
}

// found is what the token has of one label.
type found struct {
	keys []key     // by id
	died time.Time // zero: it lives, if there are keys
}

// usable returns the key to wrap with.
func (f found) usable(label string) (key, error) {
	for _, k := range f.keys {
		if k.fit {
			return k, nil
		}
	}
	if len(f.keys) > 0 {
		return key{}, fmt.Errorf("key %s was not made by this token, or could have left it: %w", label, custody.ErrCorrupt)
	}
	return key{}, fmt.Errorf("key %s: %w", label, custody.ErrNotFound)
}

func (f found) alive(label string) error {
	if !f.died.IsZero() {
		return fmt.Errorf("key %s: %w", label, custody.ErrDestroyed)
	}
	return nil
}

// look finds what there is of a label. Keys come before deaths: whoever finds no
// key because it was destroyed finds its death.
func (s session) look(label string) (found, error) {
	var out found
	handles, err := s.find(pkcs11.CKO_SECRET_KEY, label)
	if err != nil {
		return out, err
	}
	for _, h := range handles {
		k, err := s.read(h)
		if gone(err) {
			continue
		}
		if err != nil {
			return out, failed("reading a key's attributes", err)
		}
		out.keys = append(out.keys, k)
	}
	slices.SortFunc(out.keys, func(a, b key) int { return bytes.Compare(a.id, b.id) })
	deaths, err := s.find(pkcs11.CKO_DATA, label)
	if err != nil {
		return out, err
	}
	for _, h := range deaths {
		a, err := s.module.GetAttributeValue(s.handle, h, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_VALUE, nil)})
		if err != nil {
			return out, failed("reading when a key died", err)
		}
		at, err := time.Parse(time.RFC3339Nano, string(a[0].Value))
		if err != nil {
			return out, fmt.Errorf("when key %s died: %w", label, custody.ErrCorrupt)
		}
		if out.died.IsZero() || at.Before(out.died) {
			out.died = at
		}
	}
	return out, nil
}

// find lists our objects of a class: those of a label, or all of them if it is "".
func (s session) find(class uint, label string) ([]pkcs11.ObjectHandle, error) {
	template := []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, true)}
	if label != "" {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_LABEL, labelPrefix+label))
	}
	if class == pkcs11.CKO_DATA {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_APPLICATION, application))
	}
	if err := s.module.FindObjectsInit(s.handle, template); err != nil {
		return nil, failed("looking for objects", err)
	}
	var out []pkcs11.ObjectHandle
	for {
		some, _, err := s.module.FindObjects(s.handle, maxFound)
		if err != nil {
			s.module.FindObjectsFinal(s.handle)
			return nil, failed("looking for objects", err)
		}
		if len(some) == 0 {
			break
		}
		out = append(out, some...)
	}
	if err := s.module.FindObjectsFinal(s.handle); err != nil {
		return nil, failed("looking for objects", err)
	}
	return out, nil
}

// read returns a key object as the token describes it.
func (s session) read(h pkcs11.ObjectHandle) (key, error) {
	a, err := s.module.GetAttributeValue(s.handle, h, []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_ID, nil), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, nil),
		pkcs11.NewAttribute(pkcs11.CKA_LOCAL, nil), pkcs11.NewAttribute(pkcs11.CKA_ALWAYS_SENSITIVE, nil),
		pkcs11.NewAttribute(pkcs11.CKA_NEVER_EXTRACTABLE, nil), pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, nil),
	})
	if err != nil {
		return key{}, err
	}
	k := key{handle: h, id: a[0].Value}
	k.fit = len(k.id) == idSize && number(a[1].Value) == pkcs11.CKK_AES && number(a[5].Value) == keySize &&
		truth(a[2].Value) && truth(a[3].Value) && truth(a[4].Value)
	if len(k.id) == idSize {
		k.born = time.UnixMilli(int64(binary.BigEndian.Uint64(append([]byte{0, 0}, k.id[:6]...)))).UTC()
	}
	return k, nil
}

func truth(b []byte) bool { return len(b) == 1 && b[0] == 1 }

// number reads a CK_ULONG.
func number(b []byte) uint64 {
	var w [8]byte
	if len(b) > len(w) {
		return 0
	}
	copy(w[:], b)
	return binary.NativeEndian.Uint64(w[:])
}

// generate makes a key: in the token for good, or with the session.
func (s session) generate(label string, inToken, copyable bool) (pkcs11.ObjectHandle, []byte, error) {
	id := make([]byte, idSize)
	rand.Read(id)
	var at [8]byte
	binary.BigEndian.PutUint64(at[:], uint64(s.now().UnixMilli()))
	copy(id, at[2:])
	template := []*pkcs11.Attribute{
		pkcs11.NewAttribute(pkcs11.CKA_CLASS, pkcs11.CKO_SECRET_KEY), pkcs11.NewAttribute(pkcs11.CKA_KEY_TYPE, pkcs11.CKK_AES),
		pkcs11.NewAttribute(pkcs11.CKA_VALUE_LEN, keySize), pkcs11.NewAttribute(pkcs11.CKA_LABEL, labelPrefix+label),
		pkcs11.NewAttribute(pkcs11.CKA_ID, id), pkcs11.NewAttribute(pkcs11.CKA_TOKEN, inToken), pkcs11.NewAttribute(pkcs11.CKA_PRIVATE, true),
		pkcs11.NewAttribute(pkcs11.CKA_SENSITIVE, true), pkcs11.NewAttribute(pkcs11.CKA_EXTRACTABLE, false),
		pkcs11.NewAttribute(pkcs11.CKA_MODIFIABLE, false), pkcs11.NewAttribute(pkcs11.CKA_ENCRYPT, true), pkcs11.NewAttribute(pkcs11.CKA_DECRYPT, true),
		pkcs11.NewAttribute(pkcs11.CKA_WRAP, false), pkcs11.NewAttribute(pkcs11.CKA_UNWRAP, false),
	}
	if !copyable {
		template = append(template, pkcs11.NewAttribute(pkcs11.CKA_COPYABLE, false))
	}
	h, err := s.module.GenerateKey(s.handle, []*pkcs11.Mechanism{pkcs11.NewMechanism(pkcs11.CKM_AES_KEY_GEN, nil)}, template)
	return h, id, err
}

// measure makes a key that ends with the session, and reports whether it could
// not be forbidden to copy it. ErrUnfit if it is not what a keeper's key must be.
func (s session) measure() (copyable bool, err error) {
	h, id, err := s.generate("measure", false, false)
	if is(err, pkcs11.CKR_ATTRIBUTE_TYPE_INVALID, pkcs11.CKR_TEMPLATE_INCONSISTENT, pkcs11.CKR_ATTRIBUTE_VALUE_INVALID) {
		copyable = true
		h, id, err = s.generate("measure", false, true)
	}
	if err != nil {
		return false, failed("making an AES-256 key for a trial", err)
	}
	defer s.module.DestroyObject(s.handle, h)
	k, err := s.read(h)
	if err != nil {
		return false, failed("reading a trial key's attributes", err)
	}
	if !k.fit || !bytes.Equal(k.id, id) {
		return false, fmt.Errorf("the token makes keys that it does not call its own, sensitive and never extractable: %w", custody.ErrUnfit)
	}
	return copyable, s.works(k)
}

// Status tells a key's state.
func (k *Keeper) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	out := custody.KeyStatus{Ref: ref}
	label, err := labelOf(ref)
	if err != nil {
		if custody.CheckRef(ref) == nil {
			return out, ctx.Err()
		}
		return out, err
	}
	err = k.with(ctx, func(s session) error {
		f, err := s.look(label)
		switch {
		case err != nil:
			return err
		case !f.died.IsZero() && len(f.keys) > 0:
			out.Label, out.State = label, custody.Pending
		case !f.died.IsZero():
			out.Label, out.State, out.Since = label, custody.Destroyed, f.died
		case len(f.keys) > 0:
			u, err := f.usable(label)
			if err != nil {
				return err
			}
			out.Label, out.State, out.Since = label, custody.Alive, u.born
		}
		return nil
	})
	return out, err
}

// List yields every key whose label starts with prefix, the dead included.
func (k *Keeper) List(ctx context.Context, prefix string) iter.Seq2[custody.KeyRef, error] {
	return func(yield func(custody.KeyRef, error) bool) {
		if err := custody.CheckLabelPrefix(prefix); err != nil {
			yield("", err)
			return
		}
		labels := map[string]bool{}
		err := k.with(ctx, func(s session) error {
			for _, class := range []uint{pkcs11.CKO_SECRET_KEY, pkcs11.CKO_DATA} {
				handles, err := s.find(class, "")
				if err != nil {
					return err
				}
				for _, h := range handles {
					a, err := s.module.GetAttributeValue(s.handle, h, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil)})
					if gone(err) {
						continue
					}
					if err != nil {
						return failed("reading a label", err)
					}
					label, ours := strings.CutPrefix(string(a[0].Value), labelPrefix)
					if ours && custody.CheckLabel(label) == nil && strings.HasPrefix(label, prefix) {
						labels[label] = true
					}
				}
			}
			return nil
		})
		for label := range labels {
			if err != nil {
				break
			}
			if !yield(refOf(label), nil) {
				return
			}
		}
		if err != nil {
			yield("", err)
		}
	}
}

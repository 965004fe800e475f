package dsse

import (
	"fmt"
	"slices"
)

// Verify returns nil if key has signed the envelope. ErrNoSignature: it holds no
// signature under this key's id. ErrSignature: it does, and the signature is
// wrong. ErrFormat: the envelope is malformed. Signatures of other keys are not
// looked at.
func (e *Envelope) Verify(key *PublicKey) error {
	_, err := e.VerifyThreshold([]*PublicKey{key}, 1)
	return err
}

// VerifyThreshold returns those of keys that have signed the envelope, in the
// order of their ids, if they are at least n, which must be 1 or more. Each key
// counts once, however often it is listed. ErrNoSignature: they are fewer.
// ErrSignature: a signature under the id of one of keys is wrong, which fails
// the envelope however many others are right. Signatures of other keys are not
// looked at.
func (e *Envelope) VerifyThreshold(keys []*PublicKey, n int) ([]*PublicKey, error) {
	if n < 1 {
		return nil, fmt.Errorf("verify a %q: a threshold of %d proves nothing", e.PayloadType, n)
	}
	if err := e.check(); err != nil {
		return nil, err
	}
	digest := e.digest()
	var signed []*PublicKey
	for _, s := range e.Signatures {
		i := slices.IndexFunc(keys, func(k *PublicKey) bool { return k.KeyID() == s.KeyID })
		if i < 0 {
			continue
		}
		if !keys[i].verify(digest, s.Sig) {
			return nil, fmt.Errorf("verify a %q: key %s: %w", e.PayloadType, s.KeyID, ErrSignature)
		}
		signed = append(signed, keys[i])
	}
	if len(signed) < n {
		return nil, fmt.Errorf("verify a %q: %w by %d of the %d keys needed", e.PayloadType, ErrNoSignature, n-len(signed), n)
	}
	return signed, nil
}

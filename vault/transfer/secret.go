package transfer

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/manifest"
)

const (
	secretFormat      = "aivault-secret/1"
	secretPayloadType = "application/vnd.aivault.secret+json"
)

// secretPayload is what the author of a push secret signs.
type secretPayload struct {
	Format   string           `json:"format"`
	Artefact canonical.Digest `json:"artefact"`
	Version  canonical.ID     `json:"version"`
	Author   string           `json:"author"` // key id
	Secret   canonical.Digest `json:"secret"` // no digest, but spelt like one
}

// SealSecret returns the object a/<aid>/v/<vid>/s: the push secret of a version,
// signed by its author, sealed to the version's recipient (vault/FORMAT.md §7.1).
// The signature lets an author resume what is their own and nothing that a thief
// planted for them.
func SealSecret(ctx context.Context, s manifest.Secret, aid canonical.Digest, vid canonical.ID, author dsse.Signer, to *seal.Recipient) ([]byte, error) {
	payload, err := canonical.Marshal(secretPayload{secretFormat, aid, vid, author.Public().KeyID(), s.Reveal()})
	if err != nil {
		return nil, fmt.Errorf("encoding a push secret: %w", err)
	}
	env, err := dsse.Sign(ctx, secretPayloadType, payload, author)
	if err != nil {
		return nil, fmt.Errorf("signing a push secret: %w", err)
	}
	b, err := env.Marshal()
	if err != nil {
		return nil, fmt.Errorf("signing a push secret: %w", err)
	}
	return seal.Seal(append([]byte(secretFormat+"\n"), b...), to)
}

// OpenSecret opens an object that SealSecret made for this version, and checks
// that author signed it. ErrIntegrity: it is no such object. dsse.ErrNoSignature:
// somebody else signed it.
func OpenSecret(sealed []byte, id *seal.Identity, aid canonical.Digest, vid canonical.ID, author *dsse.PublicKey) (manifest.Secret, error) {
	s, err := openSecret(sealed, id, aid, vid, author)
	if err != nil {
		return manifest.Secret{}, fmt.Errorf("the push secret of version %s: %w", vid, err)
	}
	return s, nil
}

func openSecret(sealed []byte, id *seal.Identity, aid canonical.Digest, vid canonical.ID, author *dsse.PublicKey) (none manifest.Secret, err error) {
	plain, err := seal.Open(sealed, id)
	if err != nil {
		return none, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	b, ok := bytes.CutPrefix(plain, []byte(secretFormat+"\n"))
	if !ok {
		if bytes.HasPrefix(plain, []byte("aivault-secret/")) {
			return none, entry.ErrUpgrade
		}
		return none, fmt.Errorf("%w: it is no push secret", ErrIntegrity)
	}
	env, err := dsse.Parse(b)
	if err != nil {
		return none, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	if env.PayloadType != secretPayloadType {
		return none, fmt.Errorf("%w: it holds a %q", ErrIntegrity, env.PayloadType)
	}
	if err := env.Verify(author); err != nil {
		if errors.Is(err, dsse.ErrNoSignature) {
			return none, err
		}
		return none, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	var p secretPayload
	if canonical.Unmarshal(env.Payload, &p) != nil {
		return none, fmt.Errorf("%w: it is malformed", ErrIntegrity) // the cause might quote the secret
	}
	if p.Format != secretFormat || p.Artefact != aid || p.Version != vid || p.Author != author.KeyID() {
		return none, fmt.Errorf("%w: it is that of version %s of artefact %s by %s", ErrIntegrity, p.Version, p.Artefact, p.Author)
	}
	return manifest.SecretFrom(p.Secret), nil
}

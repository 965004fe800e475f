package transfer

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
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
	Tree     canonical.Digest `json:"tree"`   // see [Tree.Mark]
	Secret   canonical.Digest `json:"secret"` // no digest, but spelt like one
}

// SealSecret returns the object a/<aid>/v/<vid>/s: the push secret of a version,
// signed by its author, sealed to the version's recipient (vault/FORMAT.md §7.1).
// The signature lets an author resume what is their own and nothing that a thief
// planted for them; tree, the mark of what is pushed under s, tells which.
func SealSecret(ctx context.Context, s manifest.Secret, tree, aid canonical.Digest, vid canonical.ID, author dsse.Signer, to *seal.Recipient) ([]byte, error) {
	payload, err := canonical.Marshal(secretPayload{secretFormat, aid, vid, author.Public().KeyID(), tree, s.Reveal()})
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
// that author signed it. It returns the secret and the mark. ErrIntegrity: it is no such object. dsse.ErrNoSignature:
// somebody else signed it.
func OpenSecret(sealed []byte, id *seal.Identity, aid canonical.Digest, vid canonical.ID, author *dsse.PublicKey) (manifest.Secret, canonical.Digest, error) {
	p, err := openSecret(sealed, id, aid, vid, author)
	if err != nil {
		return manifest.Secret{}, canonical.Digest{}, fmt.Errorf("the push secret of version %s: %w", vid, err)
	}
	return manifest.SecretFrom(p.Secret), p.Tree, nil
}

func openSecret(sealed []byte, id *seal.Identity, aid canonical.Digest, vid canonical.ID, author *dsse.PublicKey) (p secretPayload, err error) {
	plain, err := seal.Open(sealed, id)
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	b, ok := bytes.CutPrefix(plain, []byte(secretFormat+"\n"))
	if !ok {
		if bytes.HasPrefix(plain, []byte("aivault-secret/")) {
			return p, entry.ErrUpgrade
		}
		return p, fmt.Errorf("%w: it is no push secret", ErrIntegrity)
	}
	env, err := dsse.Parse(b)
	if err != nil {
		return p, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	if env.PayloadType != secretPayloadType {
		return p, fmt.Errorf("%w: it holds a %q", ErrIntegrity, env.PayloadType)
	}
	if err := env.Verify(author); err != nil {
		if errors.Is(err, dsse.ErrNoSignature) {
			return p, err
		}
		return p, fmt.Errorf("%w: %w", ErrIntegrity, err)
	}
	if canonical.Unmarshal(env.Payload, &p) != nil {
		return secretPayload{}, fmt.Errorf("%w: it is malformed", ErrIntegrity) // the cause might quote the secret
	}
	if p.Format != secretFormat || p.Artefact != aid || p.Version != vid || p.Author != author.KeyID() {
		return p, fmt.Errorf("%w: it is that of version %s of artefact %s by %s", ErrIntegrity, p.Version, p.Artefact, p.Author)
	}
	return p, nil
}

// Mark tells trees of other paths or sizes apart: HMAC-SHA-256 under s of "tree"
// and of each entry in order, the size in decimal, 0x20, the path, 0x00. It says
// nothing of the bytes of the files.
func (t *Tree) Mark(s manifest.Secret) canonical.Digest {
	key := s.Reveal()
	mac := hmac.New(sha256.New, key[:])
	mac.Write([]byte("tree"))
	for i := range t.sources {
		fmt.Fprintf(mac, "%d %s\x00", t.sources[i].stamp.size, t.sources[i].path)
	}
	return canonical.Digest(mac.Sum(nil))
}

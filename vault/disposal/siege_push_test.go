package disposal

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// attempt is what the data plane stores of one version, and what of it must die.
type attempt struct {
	vid       canonical.ID
	recipient string
	files     []vaulttest.File
	secret    manifest.Secret // S
	salt      manifest.Secret
	sealed    []byte                     // s; nil: not sealed yet
	chunks    []*manifest.Chunk          // of files, in their order
	own       map[string]*manifest.Chunk // by path: those that this attempt has stored
	sent      map[string]bool            // by path: those that it has stored, or may have
	parts     []string                   // recipients of parts
}

// fileOf returns a file that somebody may guess: nothing in it is secret but
// whether it was there.
func fileOf(path string) vaulttest.File {
	return vaulttest.File{Path: path, Plain: fmt.Appendf(nil, "the weights of %s, of which there are few", path)}
}

// anyHash is hashOf of the first version in a scope that has not been destroyed.
func (s *siege) anyHash(scopes []state.DisposalScope) string {
	for _, x := range scopes {
		for _, v := range s.state(x.Artefact).Versions {
			if v.State <= state.Executed && (x.Whole || slices.Contains(x.Versions, v.VID)) {
				return hashOf(s.attempts[v.VID])
			}
		}
	}
	return ""
}

// hashOf is the plain hash of the file that no other version has.
func hashOf(at *attempt) string {
	for _, f := range at.files {
		if strings.HasPrefix(f.Path, "own-") {
			return canonical.Sum(f.Plain).String()
		}
	}
	return ""
}

// push stores a version with some files. Each becomes a chunk, or is borrowed
// from a live version that has it if borrow is set. With resume it goes on with
// what a crash cut off.
func (c *clerk) push(aid canonical.Digest, paths []string, borrow, resume bool) {
	p := keyring.Push{Op: canonical.NewID()}
	if resume {
		p.Resume = c.broken
	}
	c.start(fmt.Sprintf("push %v (borrow %v, resume %v)", paths, borrow, p.Resume != nil), func(ctx context.Context, d *Desk) error {
		ring := d.ring(aid)
		p.Upload = func(ctx context.Context, at keyring.Attempt) (state.Version, error) {
			c.broken = &keyring.Resume{VID: at.VID, Key: at.Key}
			u := &upload{clerk: c, ring: ring, at: at, paths: paths, borrow: borrow}
			return u.store(ctx)
		}
		_, err := ring.Push(ctx, p)
		if err == nil {
			c.broken = nil
		}
		return err
	})
}

// upload stands in for the data plane, with the symbolic cipher for age.
type upload struct {
	*clerk
	ring    *keyring.Ring
	at      keyring.Attempt
	paths   []string
	borrow  bool
	attempt *attempt
	body    state.Version
	refs    manifest.References
}

func (u *upload) put(ctx context.Context, name string, body []byte) error {
	return u.ring.PutOnce(ctx, u.ring.VersionPrefix(u.at.VID)+name, body)
}

func (u *upload) store(ctx context.Context) (state.Version, error) {
	s := u.s
	if u.attempt = s.attempts[u.at.VID]; u.attempt == nil {
		u.attempt = &attempt{vid: u.at.VID, recipient: u.at.Key.Recipient(), secret: manifest.NewSecret(), salt: manifest.NewSecret(), own: map[string]*manifest.Chunk{}, sent: map[string]bool{}}
		if s.wrong.sharedSecret {
			if s.shared == nil {
				s.shared = u.attempt
			}
			u.attempt.secret = s.shared.secret
		}
		s.attempts[u.at.VID] = u.attempt
	}
	u.body = state.Version{Kind: "model", Classification: "internal", Stored: 1000}
	u.refs = manifest.References{Artefact: u.at.Artefact.ID, Version: u.at.VID, Root: "m-" + canonical.NewID().String(), RootSize: 4096}
	if err := u.at.Begin(ctx); err != nil {
		return u.body, err
	}
	if err := u.putSecret(ctx); err != nil {
		return u.body, err
	}
	var files []manifest.File
	u.attempt.files, u.attempt.chunks, u.attempt.parts = nil, nil, nil
	for _, path := range slices.Sorted(slices.Values(u.paths)) {
		f := fileOf(path)
		chunk, err := u.chunk(ctx, f)
		if err != nil {
			return u.body, err
		}
		u.attempt.files, u.attempt.chunks = append(u.attempt.files, f), append(u.attempt.chunks, chunk)
		files = append(files, manifest.File{Path: path, Mode: manifest.Regular, Size: chunk.Length, SHA256: canonical.Sum(f.Plain),
			Pieces: []manifest.Piece{{Chunk: chunk, Length: chunk.Length}}})
	}
	return u.body, u.finish(ctx, files)
}

// putSecret stores s, signed and sealed as package transfer does it.
func (u *upload) putSecret(ctx context.Context) error {
	if u.attempt.sealed == nil {
		payload, err := canonical.Marshal(map[string]any{"secret": canonical.Digest(u.attempt.secret.Reveal())})
		if err != nil {
			return err
		}
		env, err := dsse.Sign(ctx, "application/vnd.aivault.secret+json", payload, u.vault.Signer)
		if err != nil {
			return err
		}
		b, err := env.Marshal()
		if err != nil {
			return err
		}
		to := u.attempt.recipient
		if u.s.wrong.personSecret {
			to = u.s.world.Members[u.Name].Key.Recipient()
		}
		if u.attempt.sealed, err = u.s.world.Cipher.Seal(append([]byte("aivault-secret/1\n"), b...), to); err != nil {
			return err
		}
	}
	u.body.Secret = canonical.Sum(u.attempt.sealed)
	return u.put(ctx, "s", u.attempt.sealed)
}

// chunk stores a file, or borrows it.
func (u *upload) chunk(ctx context.Context, f vaulttest.File) (*manifest.Chunk, error) {
	if own := u.attempt.own[f.Path]; own != nil {
		return own, nil
	}
	if theirs, through := u.borrowable(f.Path); u.borrow && theirs != nil {
		u.refs.Objects = append(u.refs.Objects, manifest.Reference{Creator: theirs.Creator, Name: theirs.Name, Size: theirs.SealedSize})
		if !slices.Contains(u.body.Borrowed, through) {
			u.body.Borrowed = append(u.body.Borrowed, through)
		}
		return theirs, nil
	}
	u.attempt.sent[f.Path] = true // stored or not, as a crash may have it
	chunk, _, err := u.seal(ctx, f.Plain)
	if err == nil {
		u.attempt.own[f.Path] = chunk
	}
	return chunk, err
}

// seal stores a plaintext as a chunk of this version.
func (u *upload) seal(ctx context.Context, plain []byte) (*manifest.Chunk, string, error) {
	digest := manifest.Sum(plain)
	c := &manifest.Chunk{Creator: u.at.VID, Seed: manifest.ChunkSeed(u.attempt.secret, digest), Digest: digest, Length: int64(len(plain)),
		SealedSize: seal.SealedSize(int64(len(plain)), 1), Encoding: manifest.EncodingNone}
	seed := c.Seed.Reveal()
	key, err := u.s.world.Cipher.FromSeed(seed[:])
	if err != nil {
		return nil, "", err
	}
	sealed, err := u.s.world.Cipher.Seal(plain, key.Recipient())
	if err != nil {
		return nil, "", err
	}
	c.Name, c.Sealed = manifest.ChunkName(u.attempt.secret, digest, sealed), canonical.Sum(sealed)
	if u.s.wrong.convergentNames {
		c.Name = digest.String() + c.Name[64:]
	}
	return c, key.Recipient(), u.put(ctx, "c/"+c.Name, sealed)
}

// borrowable finds a chunk with a file in the newest live version that has one.
func (u *upload) borrowable(path string) (*manifest.Chunk, canonical.ID) {
	for _, v := range slices.Backward(u.at.Artefact.Versions) {
		theirs := u.s.attempts[v.VID]
		if v.State != state.Live || theirs == nil {
			continue
		}
		for i, f := range theirs.files {
			if f.Path == path {
				return theirs.chunks[i], v.VID
			}
		}
	}
	return nil, canonical.ID{}
}

// finish stores the manifest and the references.
func (u *upload) finish(ctx context.Context, files []manifest.File) error {
	s, cut := u.s, manifest.NewSecret()
	root := &manifest.Root{Artefact: u.at.Artefact.ID, Version: u.at.VID, Salt: u.attempt.salt, Cut: cut, Files: int64(len(files)), Depth: 1}
	for _, c := range u.attempt.own {
		u.refs.Objects = append(u.refs.Objects, manifest.Reference{Creator: c.Creator, Name: c.Name, Size: c.SealedSize})
	}
	for part, err := range manifest.Parts(cut, slices.Values(files)) {
		if err != nil {
			return err
		}
		c, recipient, err := u.seal(ctx, part.Plain)
		if err != nil {
			return err
		}
		u.attempt.parts = append(u.attempt.parts, recipient)
		root.Parts = append(root.Parts, manifest.Ref{First: part.First, Chunk: *c})
		u.refs.Objects = append(u.refs.Objects, manifest.Reference{Creator: c.Creator, Name: c.Name, Size: c.SealedSize})
	}
	h := manifest.NewVersionHash(u.attempt.salt)
	if s.wrong.unsaltedDigest {
		h = manifest.NewVersionHash(manifest.SecretFrom([32]byte{}))
	}
	for _, f := range files {
		root.Bytes += f.Size
		h.Add(f.Path, f.Mode, f.Size, f.SHA256)
	}
	u.body.Digest = h.Sum()
	plain, err := root.Encode()
	if err != nil {
		return err
	}
	if s.wrong.rootToMetadata {
		if err := u.expose(ctx, "m-", plain); err != nil {
			return err
		}
	}
	sealed, err := s.world.Cipher.Seal(plain, u.attempt.recipient)
	if err != nil {
		return err
	}
	prefix := u.ring.VersionPrefix(u.at.VID)
	u.body.Manifest = state.Object{Key: prefix + u.refs.Root, SHA256: canonical.Sum(sealed)}
	top := sealed
	u.mistakes()
	if plain, err = u.refs.Encode(); err != nil {
		return err
	}
	if sealed, err = u.vault.SealMetadata(plain); err != nil {
		return err
	}
	name := "r-" + canonical.NewID().String()
	u.body.References = state.Object{Key: prefix + name, SHA256: canonical.Sum(sealed)}
	if err := u.put(ctx, name, sealed); err != nil {
		return err
	}
	if err := u.put(ctx, u.refs.Root, top); err != nil {
		return err
	}
	if s.wrong.rowToMetadata {
		return u.expose(ctx, "k-", []byte(u.at.Key.Reveal()))
	}
	return nil
}

// expose stores what only the version's readers may open, for all members.
func (u *upload) expose(ctx context.Context, kind string, plain []byte) error {
	sealed, err := u.vault.SealMetadata(plain)
	if err != nil {
		return err
	}
	return u.put(ctx, kind+canonical.NewID().String(), sealed)
}

// mistakes are those of an upload in what it writes in entry and references.
func (u *upload) mistakes() {
	w := u.s.wrong
	hidden := func(secret manifest.Secret) {
		b := secret.Reveal()
		u.refs.Objects = append(u.refs.Objects, manifest.Reference{Creator: u.at.VID, Name: hex.EncodeToString(b[:]) + "-0123456789abcdef", Size: 4096})
	}
	if w.secretInReferences {
		hidden(u.attempt.secret)
	}
	if w.saltInReferences {
		hidden(u.attempt.salt)
	}
	if w.labelHash {
		u.body.Labels = map[string]string{"sha256": hashOf(u.attempt)}
	}
}

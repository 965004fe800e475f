// Package handover hands a version over to a new owner: its files, and what its
// vault says of it, in a tar that is sealed to the new owner alone, as one
// standard age file (vault/FORMAT.md §7.11). Whoever holds the identity opens it
// with the stock age and tar commands.
//
// That a version may leave, and that this stands in the journal first, is decided
// above.
package handover

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

const format = "aivault-transfer/1"

// Description is transfer.json but for its last member, files: what the vault that
// hands a version over says of it. Nobody signs it.
type Description struct {
	Format         string            `json:"format"`
	Vault          canonical.Digest  `json:"vault"` // its genesis
	Artefact       string            `json:"artefact"`
	Version        int               `json:"version"`
	Digest         canonical.Digest  `json:"digest"` // the version digest
	Salt           canonical.Digest  `json:"salt"`   // of the version digest: with it the files prove that they are this version
	Kind           string            `json:"kind"`
	Classification string            `json:"classification"`
	Labels         map[string]string `json:"labels"`
	Sources        []state.Source    `json:"sources"`
	Pushed         entry.Time        `json:"pushed"`
	PushedBy       string            `json:"pushed_by"`
	Entry          entry.Position    `json:"entry"` // the transfer entry in the artefact's journal
	Time           entry.Time        `json:"time"`  // of that entry
	By             string            `json:"by"`
	Owner          string            `json:"owner,omitempty"`
	Reason         string            `json:"reason,omitempty"`
	Directories    int64             `json:"directories"` // empty ones
	Bytes          int64             `json:"bytes"`       // of all files
}

// File is one member of the list files: a file, or an empty directory.
type File struct {
	Path   string           `json:"path,omitempty"`
	Bytes  []byte           `json:"path_base64,omitempty"` // instead, where the path is not valid UTF-8
	Mode   manifest.Mode    `json:"mode"`
	Size   int64            `json:"size"`
	SHA256 canonical.Digest `json:"sha256"`
}

// Fingerprint is what people compare and certificates quote of a recipient: the
// SHA-256 of its text form, in hex.
func Fingerprint(recipient string) string {
	sum := sha256.Sum256([]byte(recipient))
	return hex.EncodeToString(sum[:])
}

// Contents is what is to be handed over, verified as far as manifest and
// references go.
type Contents struct {
	Files       int64
	Directories int64 // empty ones
	Bytes       int64

	version *transfer.Version
	listed  int64 // bytes of the list of files
}

// Survey reads the manifest of a version, and verifies it as a whole.
func Survey(ctx context.Context, v *transfer.Version) (*Contents, error) {
	c := &Contents{version: v, Files: v.Root.Files, Directories: v.Root.Directories, Bytes: v.Root.Bytes}
	var n counter
	list := lister{w: &n}
	if err := v.Survey(ctx, list.add); err != nil {
		return nil, err
	}
	c.listed = int64(n)
	return c, nil
}

// Write writes the sealed tar to w. Nothing of it counts before Write has returned
// nil. d says what is known of the version; its format, salt and counts are filled
// in. Errors: transfer.ErrIntegrity; those of w and the store.
func (c *Contents) Write(ctx context.Context, w io.Writer, to *seal.Recipient, d Description, progress func(transfer.Progress)) error {
	d.Format, d.Salt, d.Directories, d.Bytes = format, c.version.Root.Salt.Reveal(), c.Directories, c.Bytes
	head, err := canonical.Marshal(d)
	if err != nil {
		return fmt.Errorf("describing a version: %w", err)
	}
	sealed, err := seal.NewWriter(w, to)
	if err != nil {
		return err
	}
	t := newTar(sealed, d.Pushed.Time)
	if err := c.describe(ctx, t, head); err != nil {
		return err
	}
	if err := c.version.Stream(ctx, t, progress); err != nil {
		return err
	}
	return errors.Join(t.close(), sealed.Close())
}

// describe writes transfer.json: head, and the list of files.
func (c *Contents) describe(ctx context.Context, t *tarball, head []byte) error {
	open, end := append(head[:len(head)-1:len(head)-1], `,"files":[`...), "]}\n"
	if err := t.document("transfer.json", int64(len(open))+c.listed+int64(len(end))); err != nil {
		return err
	}
	if _, err := t.Write(open); err != nil {
		return err
	}
	list := lister{w: t}
	for e, err := range c.version.Files(ctx) {
		if err == nil {
			err = list.add(e)
		}
		if err != nil {
			return err
		}
	}
	_, err := io.WriteString(t, end)
	return err
}

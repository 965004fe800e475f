package transfer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/manifest"
)

const (
	// maxSent bounds how many objects of a broken-off push are remembered. It is
	// more than the references of any version have room for.
	maxSent = 1 << 19
	// maxCopies bounds how many objects are read for one chunk: more than one has
	// the same chunk id only where a put was repeated with another file key, or
	// somebody planted it.
	maxCopies = 4
)

// Sent is what a push that was broken off left under its version: names and
// sizes, none of them verified. It takes some 200 bytes for each chunk.
type Sent struct {
	Newest time.Time // storage time of the newest chunk

	objects map[string][]sentObject // by chunk id
}

type sentObject struct {
	name string
	size int64
}

// ListSent lists the chunks under a version that was begun. What is no chunk is
// passed over.
func ListSent(ctx context.Context, store backends.Store, aid canonical.Digest, vid canonical.ID) (*Sent, error) {
	s := &Sent{objects: make(map[string][]sentObject)}
	prefix := manifest.VersionPrefix(aid, vid) + "c/"
	n := 0
	for info, err := range store.List(ctx, prefix, backends.ListOptions{}) {
		if err != nil {
			return nil, fmt.Errorf("listing what was sent of version %s: %w", vid, err)
		}
		if n++; n > maxSent {
			break
		}
		name := strings.TrimPrefix(info.Key, prefix)
		cid, ok := manifest.SplitChunkName(name)
		if !ok || info.Size < 0 || info.Size > sealedSize || len(s.objects[cid]) == maxCopies {
			continue
		}
		s.objects[cid] = append(s.objects[cid], sentObject{name, info.Size})
		if info.Modified.After(s.Newest) {
			s.Newest = info.Modified
		}
	}
	return s, nil
}

// Len is the number of chunks that may be there.
func (s *Sent) Len() int { return len(s.objects) }

// recall looks for a chunk among those that were sent before the push was broken
// off. It reads the object back into buf: only so can its SHA-256 be bound, and
// only so is nothing committed that is torn, was planted, or is not there. What
// does not verify is as good as not sent: the chunk is sealed anew, and so gets
// another name. It returns nil if there is none, and buf, which may have grown.
func (r *run) recall(ctx context.Context, content chunk.Content, buf []byte) (*manifest.Chunk, []byte, error) {
	if r.Sent == nil {
		return nil, buf, nil
	}
	for _, o := range r.Sent.objects[manifest.ChunkID(r.Secret, content.Digest)] {
		got, err := chunk.Fetch(ctx, r.sealed, r.Artefact, &manifest.Chunk{Creator: r.Version, Name: o.name, SealedSize: o.size}, buf[:0], r.Stall)
		if errors.Is(err, ErrIntegrity) {
			continue
		}
		if err != nil {
			return nil, buf, err
		}
		buf = got
		c, err := r.sealer.Recognise(got, content)
		if err == nil && c.Name == o.name {
			return &c, buf, nil
		}
	}
	return nil, buf[:0], nil
}

package transfer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/gear"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
)

// Push stores the data of one version: chunks, manifest and references. Fill in
// the fields, then [Push.Run]. Not safe for concurrent use.
type Push struct {
	Store     backends.Store
	Artefact  canonical.Digest
	Version   canonical.ID
	Recipient *seal.Recipient // of the version
	Metadata  *seal.Recipient // the references are sealed to it
	Secret    manifest.Secret // the push secret, stored before (see [SealSecret])
	Sent      *Sent           // what an earlier process stored under Version and Secret; nil: nothing
	Padded    bool            // hide sizes: see manifest.PaddedSize
	Raw       bool            // encode nothing
	Jobs      int             // objects under way at once, at most MaxJobs; 0: as many as the link is found to carry
	Stall     time.Duration   // give up on an object after so long without success; 0: never
	Progress  func(Progress)  // called often, one call at a time; may be nil

	salt, cut manifest.Secret
	own       map[manifest.Digest]manifest.Chunk // stored under Version, and known to verify
	sent      int64                              // bytes
}

// Pushed is what a push stored, in the words of a version entry.
type Pushed struct {
	// Unchanged: every file is as in the base, and no manifest was stored. Only
	// Digest, Files, Directories and Bytes are set.
	Unchanged   bool
	Manifest    state.Object
	References  state.Object
	Digest      canonical.Digest // the version digest
	Files       int64
	Directories int64 // empty ones
	Bytes       int64 // of all files
	Stored      int64 // bytes of all objects: chunks, parts, root and references, borrowed ones included
	Uploaded    int64 // of those, bytes under this version's own prefix
	Sent        int64 // bytes that this Push sent: less than Uploaded if it went on with another
	Reused      int64 // bytes of files that were not sent: borrowed, repeated, or sent by a run before
	Saved       int64 // bytes of files that encoding spared sending
	Borrowed    bool  // some object is the base's
}

// Run reads the tree and stores it. With a base, chunks that the base holds are
// borrowed, and a tree that is the base's, file by file, stores nothing. Run may
// be called again, with another base or none, say because the base died
// meanwhile; what was put under this version before is not sent again.
//
// After an error there is no manifest, and what was sent stays under the
// version's prefix. ErrChanged: a file was changed. Others are of the store and
// of the file system.
func (p *Push) Run(ctx context.Context, tree *Tree, base *Base) (*Pushed, error) {
	p.prepare(base)
	r := &run{
		Push: p, tree: tree, base: base,
		files:  make([]filed, len(tree.sources)),
		table:  make(map[manifest.Digest]*manifest.Chunk),
		plain:  newPool(plainBuffers(), plainSize),
		sealed: newFlow(p.Store, p.Jobs, time.Now),
		sealer: chunk.Sealer{Version: p.Version, Secret: p.Secret, Padded: p.Padded},
		meter:  meter{report: p.Progress},
		gear:   gear.NewTable(p.cut.Reveal()),
	}
	if !p.Raw {
		r.encoders = newEncoders(coders())
	}
	if err := r.data(ctx); err != nil {
		return nil, err
	}
	if base != nil && r.digest(base.salt) == base.digest {
		return &Pushed{Unchanged: true, Digest: base.digest, Files: tree.Files, Directories: tree.Directories, Bytes: tree.Bytes}, nil
	}
	root, err := r.manifest(ctx)
	if err != nil {
		return nil, fmt.Errorf("storing the manifest: %w", err)
	}
	return r.finish(ctx, root)
}

func (p *Push) prepare(base *Base) {
	if p.own == nil {
		p.own = make(map[manifest.Digest]manifest.Chunk)
		p.salt, p.cut = manifest.NewSecret(), manifest.CutKey(p.Secret)
	}
	if base != nil {
		p.cut = base.cut
	}
}

// run is one run of a push.
type run struct {
	*Push
	tree     *Tree
	base     *Base
	files    []filed // by index of the tree's sources
	plain    *pool
	sealed   *flow // the store as well
	sealer   chunk.Sealer
	meter    meter
	gear     *gear.Table
	encoders encoders     // nil: nothing is encoded
	layouts  sync.Mutex   // what a header tells is large: one at a time is read
	tensors  atomic.Int64 // in all files

	mu    sync.Mutex
	table map[manifest.Digest]*manifest.Chunk // every chunk of the version; what it points to is set once the run's goroutines are done
}

// filed is what reading a file tells.
type filed struct {
	sum   canonical.Digest
	whole manifest.Piece // of a file in one piece; no chunk: it has none, or parts
	parts *filedParts    // nil for most of a million files
}

// filedParts is what more there is to note of a file that is cut, or has tensors.
type filedParts struct {
	pieces  []manifest.Piece
	tensors []manifest.Tensor
}

// more returns the file's parts, which it makes if there are none yet.
func (f *filed) more() *filedParts {
	if f.parts == nil {
		f.parts = &filedParts{}
	}
	return f.parts
}

// pieces returns the file's bytes, in order.
func (f *filed) pieces() []manifest.Piece {
	switch {
	case f.whole.Chunk != nil:
		return []manifest.Piece{f.whole}
	case f.parts != nil:
		return f.parts.pieces
	}
	return nil
}

// store makes sure that a chunk with this plaintext is stored, and returns where,
// to be looked at once the run's goroutines are done, and whether nothing had to
// be sent: dedupe comes first, then encoding, then sealing. It calls release as
// soon as it does not need plain any more.
func (r *run) store(ctx context.Context, plain []byte, kind codec.Kind, release func()) (c *manifest.Chunk, had bool, err error) {
	digest := manifest.Sum(plain)
	if c, had = r.lookup(digest); had {
		release()
		return c, true, nil
	}
	content, release, err := r.encode(ctx, chunk.Plain(plain, digest), kind, release)
	if err != nil {
		release()
		return nil, false, err
	}
	buf, err := r.sealed.get(ctx)
	if err != nil {
		release()
		return nil, false, err
	}
	defer func() { r.sealed.put(buf) }()
	var sent *manifest.Chunk
	if sent, buf, err = r.recall(ctx, content, buf); err != nil {
		release()
		return nil, false, err
	}
	if sent != nil {
		release()
		r.place(c, *sent)
		return c, true, nil
	}
	sealed, sealedChunk, err := r.sealer.Seal(buf, content, sealWorkers())
	release()
	if err != nil {
		return nil, false, err
	}
	buf = sealed
	if err := chunk.Put(ctx, r.sealed, sealedChunk.Key(r.Artefact), sealed, r.Stall); err != nil {
		return nil, false, err
	}
	r.place(c, sealedChunk)
	r.meter.add(Progress{Transferred: int64(len(sealed)), Saved: sealedChunk.Length - sealedChunk.Inner()})
	return c, false, nil
}

// place notes that a chunk of this version is stored.
func (r *run) place(c *manifest.Chunk, stored manifest.Chunk) {
	*c = stored
	r.mu.Lock()
	defer r.mu.Unlock()
	r.own[stored.Digest] = stored
}

// storeData is store for the bytes of files.
func (r *run) storeData(ctx context.Context, plain []byte, kind codec.Kind, release func()) (*manifest.Chunk, error) {
	n := int64(len(plain))
	c, had, err := r.store(ctx, plain, kind, release)
	if had {
		r.meter.add(Progress{Reused: n})
	}
	return c, err
}

// lookup returns the place of a chunk in the table, and whether it needs no
// storing: it is repeated in this run, the base has it, or a run before sent it.
func (r *run) lookup(d manifest.Digest) (*manifest.Chunk, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c, ok := r.table[d]; ok {
		return c, true
	}
	c := new(manifest.Chunk)
	r.table[d] = c
	if own, ok := r.own[d]; ok {
		*c = own
		return c, true
	}
	if r.base != nil {
		if theirs, ok := r.base.chunks[d]; ok {
			*c = theirs
			return c, true
		}
	}
	return c, false
}

// list yields the tree's files as the manifest lists them.
func (r *run) list(yield func(manifest.File) bool) {
	for i, src := range r.tree.sources {
		f := &r.files[i]
		if !yield(manifest.File{Path: src.path, Mode: src.mode, Size: src.stamp.size, SHA256: f.sum, Pieces: f.pieces()}) {
			return
		}
	}
}

// digest returns the version digest of the tree under a salt.
func (r *run) digest(salt manifest.Secret) canonical.Digest {
	h := manifest.NewVersionHash(salt)
	for f := range r.list {
		h.Add(f.Path, f.Mode, f.Size, f.SHA256)
	}
	return h.Sum()
}

// manifest stores parts, and nodes if there are many, and returns the root.
func (r *run) manifest(ctx context.Context) (*manifest.Root, error) {
	root := &manifest.Root{
		Artefact: r.Artefact, Version: r.Version, Salt: r.salt, Cut: r.cut,
		Files: r.tree.Files, Directories: r.tree.Directories, Bytes: r.tree.Bytes, Depth: 1,
	}
	var err error
	if root.Parts, err = r.storeAll(ctx, manifest.Parts(r.cut, r.list)); err != nil {
		return nil, err
	}
	if root.Tensors, err = r.storeAll(ctx, manifest.TensorParts(r.cut, r.allTensors())); err != nil {
		return nil, err
	}
	if _, err = root.Encode(); !errors.Is(err, manifest.ErrTooLarge) {
		return root, err
	}
	root.Depth = 2
	if root.Parts, err = r.storeAll(ctx, manifest.Nodes(r.cut, root.Parts)); err != nil {
		return nil, err
	}
	root.Tensors, err = r.storeAll(ctx, manifest.Nodes(r.cut, root.Tensors))
	return root, err
}

// allTensors returns the tensors of all files as the manifest lists them.
func (r *run) allTensors() []manifest.Tensor {
	var out []manifest.Tensor
	for i := range r.files {
		if parts := r.files[i].parts; parts != nil {
			out = append(out, parts.tensors...)
		}
	}
	slices.SortFunc(out, func(a, b manifest.Tensor) int { return a.Compare(&b) })
	return out
}

// storeAll stores parts or nodes and returns references to them.
func (r *run) storeAll(ctx context.Context, parts func(func(manifest.Encoded, error) bool)) ([]manifest.Ref, error) {
	type stored struct {
		first string
		at    int64
		chunk *manifest.Chunk
	}
	var list []*stored
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(r.sealed.most)
	var failed error
	for part, err := range parts {
		if failed = err; err != nil || gctx.Err() != nil {
			break
		}
		s := &stored{first: part.First, at: part.At}
		list = append(list, s)
		g.Go(func() (err error) {
			s.chunk, _, err = r.store(gctx, part.Plain, codec.Opaque, func() {})
			return err
		})
	}
	if err := errors.Join(g.Wait(), failed); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	refs := make([]manifest.Ref, len(list))
	for i, s := range list {
		refs[i] = manifest.Ref{First: s.first, At: s.at, Chunk: *s.chunk}
	}
	return refs, nil
}

// finish stores references and root.
func (r *run) finish(ctx context.Context, root *manifest.Root) (*Pushed, error) {
	p := &Pushed{
		Digest: r.digest(r.salt), Files: r.tree.Files, Directories: r.tree.Directories, Bytes: r.tree.Bytes,
		Reused: r.meter.sum.Reused, Saved: r.meter.sum.Saved,
	}
	rootPlain, err := root.Encode()
	if err != nil {
		return nil, err
	}
	name := "m-" + canonical.NewID().String()
	rootSealed, err := r.seal(rootPlain, r.Recipient)
	if err != nil {
		return nil, err
	}
	refs := manifest.References{Artefact: r.Artefact, Version: r.Version, Root: name, RootSize: int64(len(rootSealed))}
	for c := range maps.Values(r.table) {
		refs.Objects = append(refs.Objects, manifest.Reference{Creator: c.Creator, Name: c.Name, Size: c.SealedSize})
	}
	refsPlain, err := refs.Encode()
	if err != nil {
		return nil, err
	}
	refsSealed, err := r.seal(refsPlain, r.Metadata)
	if err != nil {
		return nil, err
	}
	prefix := manifest.VersionPrefix(r.Artefact, r.Version)
	p.Manifest = state.Object{Key: prefix + name, SHA256: canonical.Sum(rootSealed)}
	p.References = state.Object{Key: prefix + "r-" + canonical.NewID().String(), SHA256: canonical.Sum(refsSealed)}
	p.Uploaded = int64(len(rootSealed) + len(refsSealed))
	p.Stored = p.Uploaded
	for _, o := range refs.Objects {
		p.Stored += o.Size
		if o.Creator == r.Version {
			p.Uploaded += o.Size
		} else {
			p.Borrowed = true
		}
	}
	// The references first: whoever resumes must be able to tell what a root names.
	if err := chunk.Put(ctx, r.Store, p.References.Key, refsSealed, r.Stall); err != nil {
		return nil, fmt.Errorf("storing references: %w", err)
	}
	if err := chunk.Put(ctx, r.Store, p.Manifest.Key, rootSealed, r.Stall); err != nil {
		return nil, fmt.Errorf("storing the manifest: %w", err)
	}
	r.meter.add(Progress{Transferred: int64(len(rootSealed) + len(refsSealed))})
	r.sent += r.meter.sum.Transferred
	p.Sent = r.sent
	return p, nil
}

// seal seals a document that may have to hide its size.
func (r *run) seal(plain []byte, to *seal.Recipient) ([]byte, error) {
	if r.Padded {
		plain = manifest.Pad(plain)
	}
	return seal.Seal(plain, to)
}

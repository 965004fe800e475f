package transfer

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/manifest"
)

// maxPaths bounds the paths listed with one problem.
const maxPaths = 100

// Problem is an object that does not verify, or a file that the object lists and
// that does not.
type Problem struct {
	Key   string
	Paths []string // files that need the object, as far as known; at most 100
	More  int      // and so many more
	Err   error
}

// Report is what a check found.
type Report struct {
	Problems []Problem // by key; none: the version verifies as far as it was checked
	Keys     []string  // sorted: every object that manifest and references name, and these two
	Files    int64     // verified, in a full check
	Bytes    int64     // of those
}

// Check verifies a stored version. Both ways the manifest is read and verified as
// a whole, compared with the references and the version digest, and every object
// must be there in its size. The quick check then reads every object's header,
// which must have one stanza; the full check reads every chunk, and verifies its
// digests and the SHA-256 of every file.
//
// Check reports all that it finds wrong. An error means that it could not finish:
// ctx ended, the store is unreachable or denies access, or this client is too old.
func Check(ctx context.Context, s Source, full bool, progress func(Progress)) (*Report, error) {
	c := &checker{
		source: s, problems: make(map[string]*Problem), objects: make(map[object]int64),
		meter: meter{report: progress},
	}
	if err := c.documents(ctx); err != nil {
		return nil, err
	}
	if err := c.list(ctx); err != nil {
		return nil, err
	}
	var err error
	switch {
	case c.version == nil:
	case full:
		c.files = c.empty
		err = c.content(ctx)
	default:
		err = c.headers(ctx)
	}
	if err != nil {
		return nil, err
	}
	return c.report(), nil
}

type checker struct {
	source   Source
	version  *Version         // nil if the root does not verify
	objects  map[object]int64 // sizes, of what manifest or references name
	problems map[string]*Problem
	files    int64
	bytes    int64
	empty    int64 // files without content
	meter    meter
}

// fault notes that an object does not verify, or returns err if it says nothing of
// the object.
func (c *checker) fault(key string, err error, paths ...string) error {
	if err == nil || !errors.Is(err, ErrIntegrity) || errors.Is(err, entry.ErrUpgrade) {
		return err
	}
	p, ok := c.problems[key]
	if !ok {
		p = &Problem{Key: key, Err: err}
		c.problems[key] = p
	}
	for _, path := range paths {
		switch {
		case slices.Contains(p.Paths, path):
		case len(p.Paths) < maxPaths:
			p.Paths = append(p.Paths, path)
		default:
			p.More++
		}
	}
	return nil
}

// documents reads root, references and parts.
func (c *checker) documents(ctx context.Context) error {
	v, err := Open(ctx, c.source)
	if err := c.fault(c.source.Manifest.Key, err); err != nil {
		return err
	}
	c.version = v
	refs, _, err := c.source.references(ctx)
	if err := c.fault(c.source.References.Key, err); err != nil {
		return err
	}
	if refs != nil {
		for _, o := range refs.Objects {
			c.objects[object{o.Creator, o.Name}] = o.Size
		}
	}
	if v == nil {
		return nil
	}
	inv := newInventory(v)
	before := len(c.problems)
	for l, err := range v.tensorParts(ctx, all) {
		if err == nil {
			err = c.fault(l.ref.Key(v.Artefact), inv.addTensors(&l))
		}
		if err != nil {
			return err
		}
	}
	whole := len(c.problems) == before
	for l, err := range v.parts(ctx, all) {
		if err != nil {
			return err
		}
		if err := c.fault(l.ref.Key(v.Artefact), c.part(inv, &l, whole)); err != nil {
			return err
		}
		whole = len(c.problems) == before
	}
	for o, held := range inv.objects {
		c.objects[o] = held.size
	}
	if !whole {
		return nil
	}
	if err := c.fault(v.Manifest.Key, inv.finish()); err != nil {
		return err
	}
	if refs == nil {
		return nil
	}
	return c.fault(v.References.Key, inv.compare(refs))
}

// part adds a part to the inventory. Once something did not verify, what parts
// say about each other is not judged any more.
func (c *checker) part(inv *inventory, l *loaded, whole bool) error {
	if l.err != nil {
		inv.addRef(&l.ref)
		return l.err
	}
	for i := range l.part.Entries {
		if e := &l.part.Entries[i]; e.Size == 0 && e.Mode != manifest.Directory {
			c.empty++
		}
	}
	if whole {
		return inv.add(l)
	}
	inv.addRef(&l.ref)
	_, err := inv.addChunks(l.part)
	return err
}

func (c *checker) key(o object) string {
	return manifest.Reference{Creator: o.creator, Name: o.name}.Key(c.source.Artefact)
}

// list checks that every object is there in its size.
func (c *checker) list(ctx context.Context) error {
	creators := make(map[canonical.ID]bool)
	for o := range c.objects {
		creators[o.creator] = true
	}
	there := make(map[string]int64)
	for creator := range creators {
		prefix := manifest.VersionPrefix(c.source.Artefact, creator) + "c/"
		for info, err := range c.source.Store.List(ctx, prefix, backends.ListOptions{}) {
			if err != nil {
				return err
			}
			name := info.Key[min(len(prefix), len(info.Key)):]
			if _, ours := c.objects[object{creator, name}]; ours {
				there[info.Key] = info.Size
			}
		}
	}
	for o, size := range c.objects {
		key := c.key(o)
		got, ok := there[key]
		var err error
		switch {
		case !ok:
			err = fmt.Errorf("%s: %w: it is not listed: %w", key, ErrIntegrity, backends.NotExist)
		case got != size:
			err = fmt.Errorf("%s: %w: it is listed with %d bytes, not %d", key, ErrIntegrity, got, size)
		}
		if err := c.fault(key, err); err != nil {
			return err
		}
	}
	return nil
}

// headers reads the header of every object that is there, and names the files
// that need one that is not right.
func (c *checker) headers(ctx context.Context) error {
	objects := func(yield func(*manifest.Chunk, error) bool) {
		for o, size := range c.objects {
			if c.problems[c.key(o)] == nil && !yield(&manifest.Chunk{Creator: o.creator, Name: o.name, SealedSize: size}, nil) {
				return
			}
		}
	}
	type result struct {
		key string
		err error
	}
	s := c.source
	for r, err := range ahead(ctx, jobs(s.Jobs)-1, snapshot(objects), func(ctx context.Context, o *manifest.Chunk) (result, error) {
		err := header(ctx, &s, o)
		if errors.Is(err, ErrIntegrity) {
			return result{o.Key(s.Artefact), err}, nil
		}
		return result{}, err
	}) {
		if err == nil {
			err = c.fault(r.key, r.err)
		}
		if err != nil {
			return err
		}
	}
	if len(c.problems) == 0 {
		return nil
	}
	for l, err := range c.version.parts(ctx, all) {
		if err != nil {
			return err
		}
		if l.err == nil {
			c.affected(l.part)
		}
	}
	return nil
}

// snapshot collects what seq yields, so that what it reads may change meanwhile.
func snapshot[T any](seq func(func(T, error) bool)) func(func(T, error) bool) {
	var list []T
	for v := range seq {
		list = append(list, v)
	}
	return func(yield func(T, error) bool) {
		for _, v := range list {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// header checks the header of a chunk. The beginning of an object, as far as the
// header, a nonce and the tag of an empty segment reach, is itself of the form of
// an object.
func header(ctx context.Context, s *Source, o *manifest.Chunk) error {
	b, err := chunk.Head(ctx, s.Store, s.Artefact, o, seal.SealedSize(0, 1), s.Stall)
	if err != nil {
		return err
	}
	h, err := seal.CheckHeader(b)
	if err == nil && h.Stanzas != 1 {
		err = fmt.Errorf("%w: %d stanzas instead of one", seal.ErrFormat, h.Stanzas)
	}
	if err != nil {
		return damaged(o.Key(s.Artefact), err)
	}
	return nil
}

// affected names the files of a part with the problems of its chunks.
func (c *checker) affected(p *manifest.Part) {
	bad := make([]*Problem, len(p.Chunks))
	for i := range p.Chunks {
		bad[i] = c.problems[p.Chunks[i].Key(c.source.Artefact)]
	}
	for i := range p.Entries {
		for _, x := range p.Entries[i].Extents {
			if b := bad[x.Chunk]; b != nil {
				c.fault(b.Key, b.Err, p.Entries[i].Path)
			}
		}
	}
}

func (c *checker) report() *Report {
	r := &Report{Files: c.files, Bytes: c.bytes, Keys: []string{c.source.Manifest.Key, c.source.References.Key}}
	for o := range c.objects {
		r.Keys = append(r.Keys, c.key(o))
	}
	slices.Sort(r.Keys)
	for p := range maps.Values(c.problems) {
		r.Problems = append(r.Problems, *p)
	}
	slices.SortFunc(r.Problems, func(a, b Problem) int { return cmp.Compare(a.Key, b.Key) })
	return r
}

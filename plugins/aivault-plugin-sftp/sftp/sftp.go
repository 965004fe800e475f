// Package sftp is a store in a directory of an SFTP server, OpenSSH's, which can
// make hard links and sync files and directories. A key is the path of a file.
package sftp

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/pkg/sftp"
)

// temporary is the directory of files that are being written: no key has capitals.
const temporary = "TMP"

// Store is a directory. It has no versions.
type Store struct {
	Client *sftp.Client
	Dir    string
	Now    func() time.Time
}

func (s *Store) path(key string) string { return path.Join(s.Dir, key) }

// fail gives an error its kind; unclear is that of one which tells nothing.
func fail(op, key string, err error, unclear backends.Kind) error {
	kind := cmp.Or(backends.KindOf(err), unclear)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		kind = backends.NotExist
	case errors.Is(err, fs.ErrPermission):
		kind = backends.Denied
	}
	return &backends.Error{Op: op, Key: key, Kind: kind, Err: err}
}

// Put writes a file aside, syncs it, and links it to its name, which fails where
// that is taken.
func (s *Store) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if err := backends.CheckKey(key); err != nil || len(body) > backends.MaxObject {
		return backends.Info{}, fail("put", key, err, backends.Invalid)
	}
	aside, target := s.path(temporary+"/"+rand.Text()), s.path(key)
	defer s.Client.Remove(aside)
	if err := s.write(ctx, aside, body); err != nil {
		return backends.Info{}, fail("put", key, err, backends.Unavailable)
	}
	err := fs.ErrNotExist
	for try := 0; try < 3 && errors.Is(err, fs.ErrNotExist); try++ { // an Erase may remove directories
		if err = s.Client.MkdirAll(path.Dir(target)); err == nil {
			err = s.Client.Link(aside, target)
		}
	}
	if err == nil { // it is there, and has to stay there
		for dir := path.Dir(target); err == nil && len(dir) >= len(s.Dir); dir = path.Dir(dir) {
			err = s.sync(dir)
		}
	} else if _, serr := s.Client.Lstat(target); serr == nil {
		err = backends.Exists
	}
	if err != nil {
		return backends.Info{}, fail("put", key, err, backends.Indeterminate)
	}
	return backends.Info{Ref: backends.Ref{Key: key}, Size: int64(len(body))}, nil
}

func (s *Store) write(ctx context.Context, name string, body []byte) error {
	f, err := s.Client.Create(name)
	if err != nil {
		return err
	}
	defer f.Close()
	for piece := range slices.Chunk(body, 1<<20) {
		if _, err := f.Write(piece); err != nil || ctx.Err() != nil {
			return cmp.Or(ctx.Err(), err)
		}
	}
	return cmp.Or(ctx.Err(), f.Sync())
}

func (s *Store) sync(dir string) error {
	f, err := s.Client.Open(dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// Get reads a file.
func (s *Store) Get(ctx context.Context, ref backends.Ref, off, n int64) (io.ReadCloser, backends.Info, error) {
	err := cmp.Or(backends.CheckKey(ref.Key), ctx.Err())
	if err == nil && ref.Version != "" {
		err = backends.NotExist
	}
	var f *sftp.File
	if err == nil {
		f, err = s.Client.Open(s.path(ref.Key))
	}
	if err != nil {
		return nil, backends.Info{}, fail("get", ref.Key, err, backends.Unavailable)
	}
	about, err := f.Stat()
	switch {
	case err != nil:
	case about.IsDir():
		err = backends.NotExist
	case off < 0 || off > about.Size():
		err = backends.Invalid
	}
	if err != nil {
		f.Close()
		return nil, backends.Info{}, fail("get", ref.Key, err, backends.Unavailable)
	}
	if n < 0 || n > about.Size()-off {
		n = about.Size() - off
	}
	return &body{ctx, f, io.NewSectionReader(f, off, n)}, info(ref.Key, about), nil
}

// body ends in an error where its context does.
type body struct {
	ctx context.Context
	io.Closer
	r io.Reader
}

func (b *body) Read(p []byte) (int, error) {
	if err := b.ctx.Err(); err != nil {
		return 0, fail("get", "", err, backends.Unavailable)
	}
	return b.r.Read(p)
}

func info(key string, about fs.FileInfo) backends.Info {
	return backends.Info{Ref: backends.Ref{Key: key}, Size: about.Size(), Modified: about.ModTime()}
}

// List walks directories. Sorted with a '/' behind those that are directories,
// names come in the order of whole keys.
func (s *Store) List(ctx context.Context, prefix string, o backends.ListOptions) iter.Seq2[backends.Info, error] {
	return func(yield func(backends.Info, error) bool) {
		err := backends.CheckPrefix(prefix)
		if o.Limit < 0 || o.OneLevel && o.Versions {
			err = backends.Invalid
		}
		given := 0
		if err == nil {
			_, err = s.walk(ctx, prefix[:strings.LastIndexByte(prefix, '/')+1], prefix, o.OneLevel, func(in backends.Info) bool {
				given++
				return yield(in, nil) && given != o.Limit
			})
		}
		if err != nil {
			yield(backends.Info{}, fail("list", prefix, err, backends.Unavailable))
		}
	}
}

// walk gives what is in dir, which is empty or ends in '/', and says whether to go on.
func (s *Store) walk(ctx context.Context, dir, prefix string, level bool, give func(backends.Info) bool) (more bool, err error) {
	all, err := s.Client.ReadDirContext(ctx, s.path(dir))
	if err != nil && (ctx.Err() != nil || !errors.Is(err, fs.ErrNotExist)) { // else gone, or never there
		return false, err
	}
	entries := map[string]fs.FileInfo{}
	for _, e := range all {
		if key := dir + e.Name(); e.IsDir() && (strings.HasPrefix(key+"/", prefix)) && backends.CheckKey(key) == nil {
			entries[key+"/"] = e
		} else if e.Mode().IsRegular() && strings.HasPrefix(key, prefix) && backends.CheckKey(key) == nil {
			entries[key] = e
		}
	}
	keys := make([]string, 0, len(entries))
	for key := range entries {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		in, inner := info(key, entries[key]), give
		if level && entries[key].IsDir() { // one file in it is enough
			inner, in = func(backends.Info) bool { return false }, backends.Info{Ref: backends.Ref{Key: key}}
		}
		more := true
		if entries[key].IsDir() {
			more, err = s.walk(ctx, key, "", false, inner)
		}
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return false, err
		}
		if !entries[key].IsDir() || level && !more {
			more = give(in)
		}
		if !more {
			return false, nil
		}
	}
	return true, nil
}

// Erase removes files, and directories that are empty then.
func (s *Store) Erase(ctx context.Context, keys ...string) ([]backends.Remnant, error) {
	for _, key := range keys {
		if err := backends.CheckKey(key); err != nil {
			return nil, fail("erase", key, err, backends.Invalid)
		}
	}
	for _, key := range keys {
		err := ctx.Err()
		if err == nil {
			err = s.Client.Remove(s.path(key))
		}
		if about, serr := s.Client.Lstat(s.path(key)); errors.Is(serr, fs.ErrNotExist) || serr == nil && about.IsDir() {
			err = ctx.Err() // no such file, whatever the server called that
		}
		for dir := path.Dir(s.path(key)); err == nil && len(dir) > len(s.Dir); dir = path.Dir(dir) {
			if s.Client.RemoveDirectory(dir) != nil {
				break // not empty
			}
		}
		if err != nil {
			return nil, fail("erase", key, err, backends.Indeterminate)
		}
	}
	return nil, nil
}

// Probe measures the server. Hashes and strangers are SSH's business.
func (s *Store) Probe(ctx context.Context) (backends.Capabilities, error) {
	c, err := backends.ProbeStore(ctx, s, s.Now)
	c.RefusesBadHash, c.RefusesAnonymous = true, true
	return c, err
}

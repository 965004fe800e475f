package machine

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
)

const (
	// CacheSize bounds the cache of one vault, in bytes. Several processes may
	// together exceed it until one of them next makes room.
	CacheSize = 64 << 20
	// maxCached is the largest object that is kept, in bytes; the longest object
	// of a journal is about as long.
	maxCached = CacheSize / 4
)

// sealedMark begins every sealed object (C2SP age.md).
const sealedMark = "age-encryption.org/v1\n"

// Cache keeps sealed objects of one vault, the most recently used ones. It
// refuses everything that is not an age file: no plaintext is ever written. It
// forgets rather than fails, and is a ledger.Cache.
type Cache struct {
	dir   string
	limit int64
	now   func() time.Time

	mu   sync.Mutex
	size int64 // what the files take; −1: not looked yet
}

// Cache returns the cache of a vault. now stamps files, to know which were used
// last.
func (d *Dir) Cache(genesis canonical.Digest, now func() time.Time) *Cache {
	return &Cache{dir: filepath.Join(d.path, "cache", genesis.String()), limit: CacheSize, now: now, size: -1}
}

// Get returns the object kept under key.
func (c *Cache) Get(key string) ([]byte, bool) {
	path := c.file(key)
	b, err := readBounded(path, sha256.Size+maxCached)
	if err != nil {
		return nil, false
	}
	if len(b) < sha256.Size || sha256.Sum256(b[sha256.Size:]) != [sha256.Size]byte(b[:sha256.Size]) {
		_ = os.Remove(path) // torn by a crash
		return nil, false
	}
	t := c.now()
	_ = os.Chtimes(path, t, t)
	return b[sha256.Size:], true
}

// Put keeps a sealed object under key.
func (c *Cache) Put(key string, sealed []byte) {
	if len(sealed) > maxCached || !bytes.HasPrefix(sealed, []byte(sealedMark)) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.write(key, sealed) != nil {
		return
	}
	if c.size >= 0 {
		c.size += int64(sha256.Size + len(sealed))
	}
	if c.size < 0 || c.size > c.limit {
		c.makeRoom()
	}
}

func (c *Cache) write(key string, sealed []byte) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(c.dir, "aside-*")
	if err != nil {
		return err
	}
	sum := sha256.Sum256(sealed)
	_, err = f.Write(slices.Concat(sum[:], sealed))
	if err = errors.Join(err, f.Close()); err == nil {
		t := c.now()
		err = errors.Join(os.Chtimes(f.Name(), t, t), os.Rename(f.Name(), c.file(key)))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}

// makeRoom counts what is there and, if it is too much, removes what was used
// least recently until a quarter is free.
func (c *Cache) makeRoom() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	var files []fs.FileInfo
	c.size = 0
	for _, e := range entries {
		if info, err := e.Info(); err == nil {
			files = append(files, info)
			c.size += info.Size()
		}
	}
	if c.size <= c.limit {
		return
	}
	slices.SortFunc(files, func(a, b fs.FileInfo) int { return a.ModTime().Compare(b.ModTime()) })
	for _, f := range files {
		if c.size <= c.limit/4*3 {
			return
		}
		if os.Remove(filepath.Join(c.dir, f.Name())) == nil {
			c.size -= f.Size()
		}
	}
}

func (c *Cache) file(key string) string { return filepath.Join(c.dir, short(key)) }

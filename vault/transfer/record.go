package transfer

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/aivault/aivault/crypto/canonical"
)

const (
	recordFormat = "aivault-record/1"
	// maxRecord bounds the length of a record, in bytes.
	maxRecord = 1<<10 + 2*maxHoldings*2*tagSize
	tagSize   = 16
)

// tag stands for something about one file, in a record.
type tag [tagSize]byte

// record says which files of a directory are there because a pull put them, or
// found them there as the version has them, so that a later pull may replace and
// remove them. It stands beside the directory, holds no names and no keys, and
// nobody has to trust it: at worst it lets a pull replace what its owner could
// have replaced. Who has it can confirm a guess of a file's path and content, so
// it should go when the directory goes. A directory without one is never
// replaced.
//
// A record is a line of JSON, {"format","artefact","salt","files"}, and two tags
// a file: the first 16 bytes of the SHA-256 of salt, a word, path, zero byte, and
// of its content's SHA-256 or of size, time of modification and inode. The
// second is zero if a pull that was interrupted may have put the file.
type record struct {
	artefact canonical.Digest
	salt     [32]byte

	mu   sync.Mutex
	tags map[tag]tag // of content: of the file as it was put

	stamps func() map[tag]bool // of files as they were put, when it is first asked for
}

type recordHead struct {
	Format   string           `json:"format"`
	Artefact canonical.Digest `json:"artefact"`
	Salt     []byte           `json:"salt"`
	Files    int              `json:"files"`
}

func newRecord(artefact canonical.Digest) *record {
	r := &record{artefact: artefact}
	rand.Read(r.salt[:])
	return r.next()
}

// next returns an empty record with the salt of r.
func (r *record) next() *record {
	n := &record{artefact: r.artefact, salt: r.salt, tags: make(map[tag]tag)}
	n.stamps = sync.OnceValue(n.allStamps)
	return n
}

func (r *record) allStamps() map[tag]bool {
	all := make(map[tag]bool, len(r.tags))
	for _, put := range r.tags {
		if put != (tag{}) {
			all[put] = true
		}
	}
	return all
}

// union adds what another record of the same salt says.
func (r *record) union(other *record) {
	for content, put := range other.tags {
		if r.tags[content] == (tag{}) {
			r.tags[content] = put
		}
	}
}

func (r *record) tag(word, path string, data []byte) (t tag) {
	h := sha256.New()
	h.Write(r.salt[:])
	io.WriteString(h, word+path+"\x00")
	h.Write(data)
	copy(t[:], h.Sum(nil))
	return t
}

func (r *record) content(path string, sum canonical.Digest) tag {
	return r.tag("content\x00", path, sum[:])
}

func (r *record) stamp(path string, s stamp) tag {
	b := binary.BigEndian.AppendUint64(nil, uint64(s.size))
	b = binary.BigEndian.AppendUint64(b, uint64(s.mtime))
	return r.tag("stamp\x00", path, binary.BigEndian.AppendUint64(b, s.inode))
}

// plan adds a file that will be put, or an empty directory.
func (r *record) plan(path string, sum canonical.Digest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tags[r.content(path, sum)] = tag{}
}

// put adds a file as it is.
func (r *record) put(path string, sum canonical.Digest, s stamp) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tags[r.content(path, sum)] = r.stamp(path, s)
}

// knows reports whether a file is as a pull put it; without its sum that is not
// always found out. What is put afterwards it does not know.
func (r *record) knows(path string, s stamp) bool { return r.stamps()[r.stamp(path, s)] }

// knowsContent reports whether a pull put this file, or means to.
func (r *record) knowsContent(path string, sum canonical.Digest) bool {
	_, ok := r.tags[r.content(path, sum)]
	return ok
}

func (r *record) encode() ([]byte, error) {
	head, err := json.Marshal(recordHead{recordFormat, r.artefact, r.salt[:], len(r.tags)})
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, len(head)+1+2*tagSize*len(r.tags)), head...)
	b = append(b, '\n')
	for content, put := range r.tags {
		b = append(append(b, content[:]...), put[:]...)
	}
	return b, nil
}

func decodeRecord(b []byte) (*record, error) {
	line, rest, ok := bytes.Cut(b, []byte{'\n'})
	var head recordHead
	if err := json.Unmarshal(line, &head); err != nil || !ok {
		return nil, errors.Join(errors.New("it does not begin with a line of JSON"), err)
	}
	if head.Format != recordFormat || len(head.Salt) != 32 || head.Files < 0 || head.Files > maxRecord || len(rest) != head.Files*2*tagSize {
		return nil, fmt.Errorf("it is no %s of %d files", recordFormat, head.Files)
	}
	r := newRecord(head.Artefact)
	copy(r.salt[:], head.Salt)
	for ; len(rest) > 0; rest = rest[2*tagSize:] {
		r.tags[tag(rest[:tagSize])] = tag(rest[tagSize : 2*tagSize])
	}
	return r, nil
}

// readRecord reads a record; nil if there is none, or none that makes sense.
func readRecord(dir *os.Root, name string) (*record, error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|noWait, 0)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, maxRecord+1))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, err
	}
	r, err := decodeRecord(b)
	if err != nil {
		return nil, nil
	}
	return r, nil
}

// write puts the record in the place of the one before, durable.
func (r *record) write(dir *os.Root, name, temp string) error {
	b, err := r.encode()
	if err != nil {
		return err
	}
	f, err := dir.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, _ = lock(f) // so that nobody takes it for abandoned
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync()); err == nil {
		err = dir.Rename(temp, name)
	}
	err = errors.Join(err, f.Close())
	if err != nil {
		_ = dir.Remove(temp)
	}
	return err
}

package manifest

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"hash"
	"strconv"
)

// Targets of the cuts.
const (
	groupTarget = 4 << 20 // bytes of small files in a group, on average
	fileWeight  = 4 << 10 // what a file weighs in a group besides its bytes, so that tiny files do not make groups of any number
	partTarget  = 1024    // extents in a part, on average
	nodeTarget  = 1024    // parts in a node, on average

	tensorTarget  = 4 << 20 // bytes of small tensors in a group, on average
	tensorsTarget = 1024    // tensors in a part, on average
)

// Cutter decides where groups of small files or tensors, parts and nodes end:
// after one of them, with a probability in proportion to its weight, by a hash of
// its path or name under the version's key of the cuts. So a file that comes or goes moves the
// ends around it and no others, and who lacks the key learns nothing of paths
// from sizes. Not safe for concurrent use.
type Cutter struct{ mac hash.Hash }

// NewCutter returns the cutter for a version's key.
func NewCutter(key Secret) *Cutter {
	k := key.Reveal()
	return &Cutter{hmac.New(sha256.New, k[:])}
}

// CutKey returns the key of the cuts of a version that borrows from none: the
// HMAC-SHA-256 of "cut" under its push secret, so that whoever resumes the push
// cuts alike.
func CutKey(s Secret) Secret {
	k := s.Reveal()
	mac := hmac.New(sha256.New, k[:])
	mac.Write([]byte("cut"))
	return SecretFrom([SecretSize]byte(mac.Sum(nil)))
}

// EndsGroup reports whether a group of small files ends after this file, whose
// size must not exceed MaxChunk.
func (c *Cutter) EndsGroup(path string, size int64) bool {
	return c.ends("group", path, uint64(size)+fileWeight, groupTarget)
}

func (c *Cutter) endsPart(path string, extents int) bool {
	return c.ends("part", path, uint64(extents), partTarget)
}

// EndsTensors reports whether a group of small tensors of one file ends after
// this one, whose size must not exceed MaxChunk.
func (c *Cutter) EndsTensors(name string, size int64) bool {
	return c.ends("tensor", name, uint64(size), tensorTarget)
}

// endsTensors asks by the file as well: many may have a tensor of one name.
func (c *Cutter) endsTensors(t *Tensor) bool {
	return c.ends("tensors", t.Name+"\x00"+t.File, 1, tensorsTarget)
}

// endsNode asks by at as well: many parts may begin with one file or name.
func (c *Cutter) endsNode(r *Ref) bool {
	return c.ends("node", r.First+"\x00"+strconv.FormatInt(r.At, 10), 1, nodeTarget)
}

// ends compares 32 bits of HMAC-SHA-256(key, label ‖ 0x00 ‖ path), read as a
// fraction, with weight/target.
func (c *Cutter) ends(label, path string, weight, target uint64) bool {
	var sum [sha256.Size]byte
	c.mac.Reset()
	c.mac.Write([]byte(label))
	c.mac.Write([]byte{0})
	c.mac.Write([]byte(path))
	draw := uint64(binary.BigEndian.Uint32(c.mac.Sum(sum[:0])))
	return draw*target < weight<<32
}

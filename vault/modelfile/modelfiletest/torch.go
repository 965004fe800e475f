package modelfiletest

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"math"
	"strings"
)

// zipMember is a member of a ZIP file to be written. local and central may change
// the headers.
type zipMember struct {
	name          string
	data          []byte // as it stands in the file
	flags, method uint16
	crc, plain    uint32
	extra         []byte // of the local header
	local         func(header []byte)
	central       func(header []byte)
	unlisted      bool // in the directory
}

// zipFile writes members as PyTorch does, with 64-bit sizes and ends if long is
// set. adjust may change what stands behind the directory.
func zipFile(long bool, adjust func(end []byte), members ...zipMember) []byte {
	var file, directory bytes.Buffer
	count := 0
	le := binary.LittleEndian
	for _, m := range members {
		at := file.Len()
		h := append([]byte("PK\x03\x04\x00\x00"), make([]byte, 24)...)
		le.PutUint16(h[6:], m.flags)
		le.PutUint16(h[8:], m.method)
		if m.flags&8 == 0 {
			le.PutUint32(h[14:], m.crc)
			le.PutUint32(h[18:], uint32(len(m.data)))
			le.PutUint32(h[22:], m.plain)
		}
		le.PutUint16(h[26:], uint16(len(m.name)))
		le.PutUint16(h[28:], uint16(len(m.extra)))
		h = append(append(h, m.name...), m.extra...)
		c := append([]byte("PK\x01\x02\x00\x00\x00\x00"), make([]byte, 38)...)
		le.PutUint16(c[8:], m.flags)
		le.PutUint16(c[10:], m.method)
		le.PutUint32(c[16:], m.crc)
		le.PutUint32(c[20:], uint32(len(m.data)))
		le.PutUint32(c[24:], m.plain)
		le.PutUint16(c[28:], uint16(len(m.name)))
		le.PutUint32(c[42:], uint32(at))
		c = append(c, m.name...)
		if long {
			le.PutUint32(c[20:], math.MaxUint32)
			le.PutUint32(c[24:], math.MaxUint32)
			le.PutUint32(c[42:], math.MaxUint32)
			le.PutUint16(c[30:], 28)
			c = append(c, 1, 0, 24, 0)
			c = le.AppendUint64(le.AppendUint64(le.AppendUint64(c, uint64(m.plain)), uint64(len(m.data))), uint64(at))
		}
		if m.local != nil {
			m.local(h)
		}
		if m.central != nil {
			m.central(c)
		}
		file.Write(h)
		file.Write(m.data)
		if m.flags&8 != 0 {
			d := le.AppendUint32([]byte("PK\x07\x08"), m.crc)
			file.Write(le.AppendUint32(le.AppendUint32(d, uint32(len(m.data))), m.plain))
		}
		if !m.unlisted {
			directory.Write(c)
			count++
		}
	}
	start, size := file.Len(), directory.Len()
	file.Write(directory.Bytes())
	end := append([]byte("PK\x05\x06"), make([]byte, 18)...)
	le.PutUint16(end[8:], uint16(count))
	le.PutUint16(end[10:], uint16(count))
	le.PutUint32(end[12:], uint32(size))
	le.PutUint32(end[16:], uint32(start))
	if long {
		le.PutUint32(end[16:], math.MaxUint32)
		e := append([]byte("PK\x06\x06"), make([]byte, 52)...)
		le.PutUint64(e[4:], 44)
		le.PutUint64(e[24:], uint64(count))
		le.PutUint64(e[32:], uint64(count))
		le.PutUint64(e[40:], uint64(size))
		le.PutUint64(e[48:], uint64(start))
		l := le.AppendUint64([]byte("PK\x06\x07\x00\x00\x00\x00"), uint64(file.Len()))
		l = le.AppendUint32(l, 1)
		end = append(append(e, l...), end...)
	}
	if adjust != nil {
		adjust(end)
	}
	file.Write(end)
	return file.Bytes()
}

func stored(name string, data []byte) zipMember {
	return zipMember{name: name, data: data, plain: uint32(len(data)), crc: crc32.ChecksumIEEE(data)}
}

// described returns m with its sizes behind its data.
func described(m zipMember) zipMember {
	m.flags |= 8
	return m
}

// torchMembers returns what PyTorch puts around the given tensors, each aligned
// to 64 bytes by an extra field.
func torchMembers(tensors ...Tensor) []zipMember {
	pickle := "\x80\x02}q\x00."
	members := []zipMember{described(stored("archive/data.pkl", []byte(pickle))), stored("archive/byteorder", []byte("little"))}
	at := 0
	for _, m := range members {
		at += 30 + len(m.name) + len(m.data)
		if m.flags&8 != 0 {
			at += 16
		}
	}
	for _, t := range tensors {
		m := stored(t.Name, t.Data)
		padding := -(at + 30 + len(m.name) + 4) & 63
		m.extra = append([]byte{'F', 'B', byte(padding), 0}, strings.Repeat("Z", padding)...)
		at += 30 + len(m.name) + len(m.extra) + len(m.data)
		members = append(members, m)
	}
	return append(members, stored("archive/version", []byte("3\n")))
}

// TorchZip writes a file as torch.save does. The names of tensors are those of
// their members, like "archive/data/0".
func TorchZip(tensors ...Tensor) []byte { return zipFile(false, nil, torchMembers(tensors...)...) }

// TorchZip64 is TorchZip with 64-bit sizes and offsets in the directory and
// behind it, as files of more than 4 GiB have them.
func TorchZip64(tensors ...Tensor) []byte { return zipFile(true, nil, torchMembers(tensors...)...) }

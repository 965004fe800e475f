package modelfile

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"strings"
)

const (
	zipMagic = "PK\x03\x04" // a local header, without anything in front of it

	localSize     = 30
	centralSize   = 46
	endSize       = 22
	end64Size     = 56
	locatorSize   = 20
	maxComment    = math.MaxUint16
	maxRatio      = 1032 // of deflate (zlib, "Maximum expansion factor")
	zipStored     = 0
	zipDeflated   = 8
	zipEncrypted  = 1 << 0
	zipDescriptor = 1 << 3 // sizes and checksum stand behind the data
	zip64Extra    = 1
)

// member is a member of a ZIP file as the central directory has it.
type member struct {
	name              string
	flags, method     uint16
	crc               uint32
	compressed, plain int64
	offset            int64 // of the local header
}

// zipFile is a ZIP file in reading (APPNOTE.TXT 6.3.10): the central directory,
// then every local header. The two must say the same, and members must not
// overlap, so that all readers of the file see the same members; PyTorch's reader
// goes by the directory, others by the local headers.
type zipFile struct {
	w         *window
	directory int64 // where it starts, and members end
	members   []member
}

// readTorch reads a ZIP file. It is one of PyTorch if a member is called data.pkl
// in a directory (torch/csrc/jit/serialization/import.cpp, torch.serialization);
// the tensors are the members that are stored as they are beside it in data/,
// called by numbers. What cannot be read is malformed if the name or the first
// local header says that it is one of PyTorch, otherwise unknown.
func readTorch(w *window, head []byte, named bool) (*Layout, error) {
	starts := isPickle(firstMember(head))
	z := &zipFile{w: w}
	err := z.readDirectory()
	if err == nil && !slices.ContainsFunc(z.members, func(m member) bool { return isPickle(m.name) }) {
		named, err = false, malformed("the directory lists no data.pkl")
	}
	if isMalformed(err) && !starts && !named {
		return nil, ErrUnknown
	}
	if err != nil {
		return nil, err
	}
	tensors := builder{size: w.size}
	if err := z.readMembers(&tensors); err != nil {
		return nil, err
	}
	all := tensors.take()
	return layout(TorchZip, first(all, w.size), all)
}

func firstMember(head []byte) string {
	if len(head) < localSize {
		return ""
	}
	n := int(binary.LittleEndian.Uint16(head[26:]))
	return string(head[localSize:min(localSize+n, len(head))])
}

// isPickle: PyTorch gives all members one directory, called as it likes.
func isPickle(name string) bool {
	dir, ok := strings.CutSuffix(name, "/data.pkl")
	return ok && dir != "" && !strings.Contains(dir, "/")
}

func isStorage(name string) bool {
	dir, n, ok := strings.Cut(name, "/data/")
	return ok && dir != "" && !strings.Contains(dir, "/") && n != "" && strings.Trim(n, "0123456789") == ""
}

// readDirectory finds the central directory and reads it.
func (z *zipFile) readDirectory() error {
	records, size, err := z.readEnd()
	if err != nil {
		return err
	}
	end := z.directory + size
	z.w.pos = z.directory
	for range records {
		m, err := z.readCentral()
		if err != nil {
			return err
		}
		z.members = append(z.members, m)
	}
	if z.w.pos != end {
		return malformed("the directory ends at byte %d, not at %d", z.w.pos, end)
	}
	return nil
}

// readEnd reads the end of the file, which must stand right behind the directory.
func (z *zipFile) readEnd() (records uint64, size int64, err error) {
	tail := make([]byte, min(z.w.size, end64Size+locatorSize+endSize+maxComment))
	at := z.w.size - int64(len(tail))
	if err := z.w.full(tail, at); err != nil {
		return 0, 0, err
	}
	i := len(tail) - endSize
	for ; i >= 0; i-- {
		if string(tail[i:i+4]) == "PK\x05\x06" && int(binary.LittleEndian.Uint16(tail[i+20:])) == len(tail)-i-endSize {
			break
		}
	}
	if i < 0 {
		return 0, 0, malformed("the file has no end of a directory")
	}
	end := tail[i:]
	le := binary.LittleEndian
	records, start, length := uint64(le.Uint16(end[10:])), uint64(le.Uint32(end[16:])), uint64(le.Uint32(end[12:]))
	if le.Uint32(end[4:]) != 0 || le.Uint16(end[8:]) != le.Uint16(end[10:]) {
		return 0, 0, malformed("a ZIP file in parts")
	}
	behind := at + int64(i)
	if i >= locatorSize && string(tail[i-locatorSize:][:4]) == "PK\x06\x07" {
		long := i - locatorSize - end64Size
		if long < 0 || string(tail[long:][:4]) != "PK\x06\x06" || le.Uint64(tail[i-locatorSize+8:]) != uint64(at)+uint64(long) {
			return 0, 0, malformed("the 64-bit end of the directory is not before byte %d", behind)
		}
		e := tail[long:]
		short := [3]uint64{records, start, length}
		records, start, length = le.Uint64(e[32:]), le.Uint64(e[48:]), le.Uint64(e[40:])
		if le.Uint64(e[4:]) != end64Size-12 || le.Uint64(e[16:]) != 0 || le.Uint64(e[24:]) != records ||
			differ(short[0], records, math.MaxUint16) || differ(short[1], start, math.MaxUint32) || differ(short[2], length, math.MaxUint32) {
			return 0, 0, malformed("the two ends of the directory differ")
		}
		behind = at + int64(long)
	}
	if length > MaxHeader || records > MaxTensors || records > length/centralSize {
		return 0, 0, malformed("a directory of %d members in %d bytes: at most %d in %d are possible", records, length, MaxTensors, MaxHeader)
	}
	if start > uint64(behind) || length != uint64(behind)-start {
		return 0, 0, malformed("%d bytes of directory at byte %d do not end at byte %d", length, start, behind)
	}
	z.directory = int64(start)
	return records, int64(length), nil
}

// differ compares a value with the one that stands for it where it is at its
// largest.
func differ(short, long, largest uint64) bool { return short != long && short != largest }

func (z *zipFile) readCentral() (member, error) {
	at := z.w.pos
	b, err := z.w.take(centralSize)
	if err != nil {
		return member{}, err
	}
	le := binary.LittleEndian
	if string(b[:4]) != "PK\x01\x02" || le.Uint16(b[34:]) != 0 {
		return member{}, malformed("no member of this file at byte %d", at)
	}
	m := member{flags: le.Uint16(b[8:]), method: le.Uint16(b[10:]), crc: le.Uint32(b[16:])}
	sizes := [3]uint64{uint64(le.Uint32(b[24:])), uint64(le.Uint32(b[20:])), uint64(le.Uint32(b[42:]))}
	name, extra, comment := int(le.Uint16(b[28:])), int(le.Uint16(b[30:])), int(le.Uint16(b[32:]))
	if b, err = z.w.take(name); err != nil {
		return member{}, err
	}
	m.name = string(b)
	if err := checkName(m.name); err != nil {
		return member{}, err
	}
	if b, err = z.w.take(extra); err != nil {
		return member{}, err
	}
	if !widen(b, &sizes[0], &sizes[1], &sizes[2]) {
		return member{}, malformed("member %.100q lacks its 64-bit sizes", m.name)
	}
	if _, err := z.w.take(comment); err != nil {
		return member{}, err
	}
	limit := uint64(z.directory)
	if sizes[1] > limit || sizes[2] > limit || sizes[0] > math.MaxInt64 {
		return member{}, malformed("member %.100q of %d bytes at byte %d is not inside of the file", m.name, sizes[1], sizes[2])
	}
	m.plain, m.compressed, m.offset = int64(sizes[0]), int64(sizes[1]), int64(sizes[2])
	if m.method == zipStored && m.flags&zipEncrypted == 0 && m.plain != m.compressed || m.method == zipDeflated && m.plain/maxRatio > m.compressed {
		return member{}, malformed("member %.100q of %d bytes cannot have %d", m.name, m.compressed, m.plain)
	}
	return m, nil
}

// widen replaces those of the values that do not fit into 32 bits by what the
// extra field of 64-bit sizes has, where they stand in this order.
func widen(extra []byte, values ...*uint64) bool {
	var long []byte
	for len(extra) >= 4 {
		n := int(binary.LittleEndian.Uint16(extra[2:]))
		if n > len(extra)-4 {
			break
		}
		if binary.LittleEndian.Uint16(extra) == zip64Extra {
			long = extra[4:][:n]
			break
		}
		extra = extra[4+n:]
	}
	for _, v := range values {
		if *v != math.MaxUint32 {
			continue
		}
		if len(long) < 8 {
			return false
		}
		*v, long = binary.LittleEndian.Uint64(long), long[8:]
	}
	return true
}

// readMembers compares every local header with the directory, and adds those
// that are tensors.
func (z *zipFile) readMembers(tensors *builder) error {
	slices.SortFunc(z.members, func(x, y member) int { return cmp.Compare(x.offset, y.offset) })
	names := make(map[string]bool, len(z.members))
	if len(z.members) > 0 && z.members[0].offset != 0 {
		return malformed("the first member is not in the directory")
	}
	end := int64(0)
	for i := range z.members {
		m := &z.members[i]
		if names[m.name] {
			return malformed("two members are called %.100q", m.name)
		}
		names[m.name] = true
		if m.offset < end {
			return malformed("member %.100q starts at byte %d, inside of what ends at %d", m.name, m.offset, end)
		}
		data, err := z.readLocal(m)
		if err != nil {
			return err
		}
		if m.compressed > z.directory-data {
			return malformed("member %.100q reaches into the directory", m.name)
		}
		end = data + m.compressed
		if m.method != zipStored || m.flags&zipEncrypted != 0 || !isStorage(m.name) {
			continue
		}
		if err := tensors.add(Tensor{Name: m.name, DType: unknownType, Offset: data, Size: m.compressed}); err != nil {
			return err
		}
	}
	return nil
}

// readLocal compares a local header with its member of the directory and returns
// where its data starts. Where sizes stand behind the data, the header may have
// zeros; that they stand there is not looked at.
func (z *zipFile) readLocal(m *member) (int64, error) {
	z.w.pos = m.offset
	b, err := z.w.take(localSize)
	if err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	sizes := [2]uint64{uint64(le.Uint32(b[22:])), uint64(le.Uint32(b[18:]))}
	crc, described := le.Uint32(b[14:]), le.Uint16(b[6:])&zipDescriptor != 0
	same := string(b[:4]) == zipMagic && le.Uint16(b[6:]) == m.flags && le.Uint16(b[8:]) == m.method
	name, extra := int(le.Uint16(b[26:])), int(le.Uint16(b[28:]))
	if same = same && name == len(m.name); same {
		if b, err = z.w.take(name); err != nil {
			return 0, err
		}
		same = bytes.Equal(b, []byte(m.name))
	}
	if !same {
		return 0, malformed("the local header of member %.100q at byte %d says otherwise than the directory", m.name, m.offset)
	}
	if b, err = z.w.take(extra); err != nil {
		return 0, err
	}
	unsaid := described && crc == 0 && (sizes == [2]uint64{} || sizes == [2]uint64{math.MaxUint32, math.MaxUint32})
	if !unsaid && (!widen(b, &sizes[0], &sizes[1]) || crc != m.crc || sizes[0] != uint64(m.plain) || sizes[1] != uint64(m.compressed)) {
		return 0, malformed("the local header of member %.100q at byte %d has other sizes or another checksum than the directory", m.name, m.offset)
	}
	return z.w.pos, nil
}

package modelfiletest

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"math"
)

func brokenTorch() map[string][]byte {
	le := binary.LittleEndian
	pickle := stored("archive/data.pkl", []byte("\x80\x02}q\x00."))
	// with writes a file with a pickle and one member that is changed.
	with := func(change func(*zipMember)) []byte {
		m := stored("archive/data/0", Noise(1, 64))
		change(&m)
		return zipFile(false, nil, pickle, m)
	}
	local := func(change func(h []byte)) []byte { return with(func(m *zipMember) { m.local = change }) }
	central := func(change func(h []byte)) []byte { return with(func(m *zipMember) { m.central = change }) }
	end := func(change func(end []byte)) []byte {
		return zipFile(false, change, pickle, stored("archive/data/0", Noise(1, 64)))
	}
	long := func(change func(end []byte)) []byte {
		return zipFile(true, change, pickle, stored("archive/data/0", Noise(1, 64)))
	}
	good := end(nil)
	return map[string][]byte{
		"bomb":                      bomb(),
		"impossible ratio":          with(func(m *zipMember) { m.method, m.plain = 8, math.MaxUint32-1 }),
		"all in one place":          overlapping(100),
		"5000 members in one place": overlapping(5_000),
		"one member in another":     quoting(),
		"two of a name":             zipFile(false, nil, pickle, stored("archive/data/0", Noise(1, 64)), stored("archive/data/0", Noise(2, 64))),
		"two pickles":               zipFile(false, nil, pickle, pickle),
		"no pickle listed":          zipFile(false, nil, zipMember{name: pickle.name, central: func(h []byte) { copy(h[46:], "archive/data.pk1") }}),

		"another local name":       local(func(h []byte) { h[30] = 'b' }),
		"a longer local name":      local(func(h []byte) { h[26]++ }),
		"another local method":     local(func(h []byte) { h[8] = 8 }),
		"other local flags":        local(func(h []byte) { h[6] = 8 }),
		"another local checksum":   local(func(h []byte) { h[14]++ }),
		"another local size":       local(func(h []byte) { h[22]++ }),
		"another compressed size":  local(func(h []byte) { h[18]++ }),
		"no local header":          local(func(h []byte) { h[0] = 'Q' }),
		"endless local extra":      local(func(h []byte) { le.PutUint16(h[28:], math.MaxUint16) }),
		"local 64-bit size absent": local(func(h []byte) { le.PutUint32(h[22:], math.MaxUint32) }),
		"described by other sizes": with(func(m *zipMember) { m.flags, m.local = 8, func(h []byte) { h[18] = 1 } }),

		"no member":                central(func(h []byte) { h[0] = 'Q' }),
		"on another disk":          central(func(h []byte) { h[34] = 1 }),
		"longer stored than it is": with(func(m *zipMember) { m.plain = 65 }),
		"into the directory": with(func(m *zipMember) {
			m.plain = 65
			m.central = func(h []byte) { h[20], h[24] = 65, 65 }
			m.local = func(h []byte) { h[18], h[22] = 65, 65 }
		}),
		"beyond the file":            central(func(h []byte) { le.PutUint32(h[20:], 1<<30); le.PutUint32(h[24:], 1<<30) }),
		"offset beyond the file":     central(func(h []byte) { le.PutUint32(h[42:], 1<<30) }),
		"offset inside of another":   central(func(h []byte) { le.PutUint32(h[42:], 8) }),
		"64-bit size absent":         central(func(h []byte) { le.PutUint32(h[24:], math.MaxUint32) }),
		"64-bit offset absent":       central(func(h []byte) { le.PutUint32(h[42:], math.MaxUint32) }),
		"endless extra":              central(func(h []byte) { le.PutUint16(h[30:], math.MaxUint16) }),
		"endless name":               central(func(h []byte) { le.PutUint16(h[28:], math.MaxUint16) }),
		"name is not UTF-8":          with(func(m *zipMember) { m.name = "archive/data/\xff" }),
		"name of 4 KiB and 1":        with(func(m *zipMember) { m.name = string(bytes.Repeat([]byte("n"), 4097)) }),
		"encrypted, of another size": with(func(m *zipMember) { m.flags = 1; m.local = func(h []byte) { h[18]++ } }),

		"65535 members listed":      end(func(e []byte) { le.PutUint16(e[8:], 65_535); le.PutUint16(e[10:], 65_535) }),
		"one member listed":         end(func(e []byte) { e[8], e[10] = 1, 1 }),
		"counts differ":             end(func(e []byte) { e[8] = 1 }),
		"in parts":                  end(func(e []byte) { e[4] = 1 }),
		"directory too long":        end(func(e []byte) { e[12]++ }),
		"directory beyond":          end(func(e []byte) { le.PutUint32(e[16:], math.MaxUint32-1) }),
		"directory elsewhere":       end(func(e []byte) { e[16]-- }),
		"comment too long":          end(func(e []byte) { e[20] = 1 }),
		"no end":                    end(func(e []byte) { e[0] = 'Q' }),
		"2^64-1 members listed":     long(func(e []byte) { le.PutUint64(e[24:], math.MaxUint64); le.PutUint64(e[32:], math.MaxUint64) }),
		"2^32 members listed":       long(func(e []byte) { le.PutUint64(e[24:], 1<<32); le.PutUint64(e[32:], 1<<32) }),
		"64-bit directory beyond":   long(func(e []byte) { le.PutUint64(e[48:], 1<<62) }),
		"64-bit directory too long": long(func(e []byte) { le.PutUint64(e[40:], 1<<62) }),
		"64-bit end elsewhere":      long(func(e []byte) { e[64]-- }),
		"64-bit end of a kind":      long(func(e []byte) { e[4]++ }),
		"no 64-bit end":             long(func(e []byte) { e[0] = 'Q' }),
		"ends differ":               long(func(e []byte) { e[84]++ }),

		"first member not listed":  zipFile(false, nil, zipMember{name: "archive/data.pkl", unlisted: true}, pickle),
		"something in front":       append([]byte("PK\x03\x04"), good...),
		"something behind":         append(bytes.Clone(good), 0),
		"two files":                append(bytes.Clone(good), good...),
		"another file in the head": append(append([]byte(nil), zipFile(false, nil, pickle)...), good...),
	}
}

// bomb is a file whose second member inflates to a thousand times its size, and
// claims to inflate to four million times.
func bomb() []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(make([]byte, 1<<20))
	_ = w.Close()
	m := stored("archive/data/0", b.Bytes())
	m.method, m.plain = 8, math.MaxUint32-1
	return zipFile(false, nil, stored("archive/data.pkl", nil), m)
}

// overlapping is a file whose n members are all the same bytes.
func overlapping(n int) []byte {
	members := make([]zipMember, n)
	for i := range members {
		members[i] = stored("archive/data/0", nil)
		if i > 0 {
			members[i].central = func(h []byte) { binary.LittleEndian.PutUint32(h[42:], 53) }
		}
	}
	members[0] = stored("archive/data.pkl", []byte("\x80\x02}q\x00."))
	return zipFile(false, nil, members...)
}

// quoting is a file with a member whose bytes are another member.
func quoting() []byte {
	pickle, inner := stored("archive/data.pkl", nil), stored("archive/x", Noise(1, 64))
	record := zipFile(false, nil, inner)[:30+len(inner.name)+len(inner.data)]
	outer := stored("archive/data/0", record)
	inner.central = func(h []byte) {
		binary.LittleEndian.PutUint32(h[42:], uint32(30+len(pickle.name)+30+len(outer.name)))
	}
	return zipFile(false, nil, pickle, outer, inner)
}

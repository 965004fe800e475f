package modelfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault/modelfile/modelfiletest"
)

// bound is what reading a file that n bytes describe may allocate, garbage
// included: what the package comment says.
func bound(n int64) int64 { return 64*n + 256<<10 }

// Files that are nothing but the shortest descriptions take the most memory for
// their size: of tensors, of dimensions, of metadata, of members.
func TestMemory(t *testing.T) {
	const n = 5_000
	for _, c := range []struct {
		name    string
		tensors int
		head    []byte // what describes the tensors
		data    int
	}{
		{"safetensors", n, safetensorsOf(n, "[]"), n},
		{"dimensions of safetensors", n / 10, safetensorsOf(n/10, "["+strings.Repeat("1,", maxDims-1)+"1]"), n / 10},
		{"metadata of safetensors", 0, shortMetadata(n), 0},
		{"GGUF", n, ggufOf(n, 0), n * ggufAlignment},
		{"dimensions of GGUF", n, ggufOf(n, ggufDims), n * ggufAlignment},
		{"ONNX", n, onnxOf(n, 0), 0},
		{"dimensions of ONNX", n, onnxOf(n, maxDims), 0},
		{"one dimension of ONNX", n, onnxOf(n, 1), 0},
		{"ZIP", n, torchOf(n), 0},
	} {
		var l *Layout
		var err error
		file := append(bytes.Clone(c.head), make([]byte, c.data)...)
		spent := allocated(func() { l, err = read(file, "") })
		if err != nil || len(l.Tensors) != c.tensors {
			t.Errorf("%s: %v", c.name, err)
		}
		t.Logf("%s: %d bytes describe %d tensors: %.1f times", c.name, len(c.head), c.tensors, float64(spent)/float64(len(c.head)))
		if limit := bound(int64(len(c.head))); spent > limit {
			t.Errorf("%s: %d bytes are allocated for %d", c.name, spent, len(c.head))
		}
	}
}

func safetensorsOf(n int, shape string) []byte {
	var entries []string
	for i := range n {
		entries = append(entries, fmt.Sprintf(`"%x":{"dtype":"U8","shape":%s,"data_offsets":[%d,%d]}`, i, shape, i, i+1))
	}
	return safetensorsHeader(entries)
}

func shortMetadata(n int) []byte {
	var pairs []string
	for i := range n {
		pairs = append(pairs, fmt.Sprintf(`"%x":""`, i))
	}
	return safetensorsHeader([]string{`"__metadata__":{` + strings.Join(pairs, ",") + "}"})
}

func safetensorsHeader(entries []string) []byte {
	header := "{" + strings.Join(entries, ",") + "}"
	return append(binary.LittleEndian.AppendUint64(nil, uint64(len(header))), header...)
}

func ggufOf(n, dims int) []byte {
	le := binary.LittleEndian
	b := le.AppendUint64(le.AppendUint64([]byte("GGUF\x03\x00\x00\x00"), uint64(n)), 0)
	for i := range n {
		name := fmt.Sprintf("%x", i)
		b = append(le.AppendUint64(b, uint64(len(name))), name...)
		b = le.AppendUint32(b, uint32(dims))
		for range dims {
			b = le.AppendUint64(b, 1)
		}
		b = le.AppendUint64(le.AppendUint32(b, 24), uint64(i)*ggufAlignment)
	}
	return append(b, make([]byte, -len(b)&(ggufAlignment-1))...)
}

func onnxOf(n, dims int) []byte {
	tensor := append([]byte{1<<3 | 2, byte(dims)}, bytes.Repeat([]byte{1}, dims)...)
	if dims == 0 {
		tensor = nil
	}
	tensor = append(tensor, 2<<3, 2, 9<<3|2, 1, 0)
	graph := bytes.Repeat(append([]byte{5<<3 | 2, byte(len(tensor))}, tensor...), n)
	return append(binary.AppendUvarint([]byte{1 << 3, 10, 7<<3 | 2}, uint64(len(graph))), graph...)
}

func torchOf(n int) []byte {
	var tensors []modelfiletest.Tensor
	for i := range n {
		tensors = append(tensors, modelfiletest.Tensor{Name: fmt.Sprintf("a/data/%d", i)})
	}
	return modelfiletest.TorchZip(tensors...)
}

// counter counts reads, of a file that is zero behind what it has.
type counter struct {
	head  []byte
	reads int
	bytes int64
	err   error
}

func (c *counter) ReadAt(p []byte, off int64) (int, error) {
	c.reads++
	c.bytes += int64(len(p))
	if c.err != nil {
		return 0, c.err
	}
	clear(p)
	if off < int64(len(c.head)) {
		copy(p, c.head[off:])
	}
	return len(p), nil
}

func TestReadsAreFewAndSmall(t *testing.T) {
	for _, format := range modelfiletest.Formats() {
		tensors := modelfiletest.Every(format)
		for i := range tensors {
			tensors[i].Data = append(tensors[i].Data, tensors[i].Data...)
			if tensors[i].Shape != nil {
				tensors[i].Shape = append(tensors[i].Shape, 2)
			}
		}
		b := modelfiletest.Write(format, tensors...)
		c := &counter{head: b}
		if _, err := Read(c, int64(len(b)), "model"+modelfiletest.Extension(format)); err != nil {
			t.Fatalf("%s: %v", format, err)
		}
		limit := map[string]int{Safetensors: 2, GGUF: 3, ONNX: 5 + len(tensors), TorchZip: 5 + len(tensors)}[format]
		if c.reads > limit {
			t.Errorf("%s: %d reads of %d bytes for %d tensors", format, c.reads, c.bytes, len(tensors))
		}
	}
	c := &counter{}
	if _, err := Read(c, 1<<40, "x"); !errors.Is(err, ErrUnknown) || c.reads != 1 || c.bytes > leastRead {
		t.Errorf("nothing known: %v after %d reads of %d bytes", err, c.reads, c.bytes)
	}
}

// Bombs that need a large file: each declares what the file is long enough for.
func TestBombsInLargeFiles(t *testing.T) {
	const size = 1 << 40
	le := binary.LittleEndian
	gguf := func(tensors, pairs uint64, rest string) []byte {
		return append(le.AppendUint64(le.AppendUint64([]byte("GGUF\x03\x00\x00\x00"), tensors), pairs), rest...)
	}
	array := func(typ uint32, count uint64) string {
		return string(le.AppendUint64(le.AppendUint32([]byte("\x01\x00\x00\x00\x00\x00\x00\x00x\x09\x00\x00\x00"), typ), count))
	}
	for name, head := range map[string][]byte{
		"header of 10 MB of zeros.safetensors": append(le.AppendUint64(nil, 10_000_000), '{'),
		"header of 100 MB and 1.safetensors":   append(le.AppendUint64(nil, MaxHeader+1), '{'),
		"2^35 strings.gguf":                    gguf(0, 1, array(8, 1<<35)),
		"2^35 arrays.gguf":                     gguf(0, 1, array(9, 1<<35)),
		"array of 100 GB.gguf":                 gguf(0, 1, array(0, 1e11)),
		"more tensors than possible.gguf":      gguf(MaxTensors+1, 0, ""),
		"empty names, twice.gguf":              gguf(100_000, 0, ""),
		"field of 1 TB.onnx":                   append([]byte{8, 10, 7<<3 | 2}, binary.AppendUvarint(nil, size-9)...),
		"zeros.onnx":                           {8, 10},
		"zeros.pt":                             []byte("PK\x03\x04"),
	} {
		c := &counter{head: head}
		var err error
		spent := allocated(func() { _, err = Read(c, size, name) })
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if c.bytes > MaxHeader || spent > MaxHeader {
			t.Errorf("%s: %d bytes are read, %d allocated", name, c.bytes, spent)
		}
	}
}

func TestLimits(t *testing.T) {
	w := newWindow(&counter{}, 1<<40)
	w.parsed = MaxHeader - 1
	if _, err := w.take(1); err != nil {
		t.Error(err)
	}
	if _, err := w.take(1); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
	b := builder{count: MaxTensors - 1}
	if err := b.add(Tensor{}); err != nil {
		t.Error(err)
	}
	if err := b.add(Tensor{}); !errors.Is(err, ErrMalformed) {
		t.Error(err)
	}
}

// What the file's reader says is not what is in the file.
func TestErrorsOfTheReader(t *testing.T) {
	failure := errors.New("failure")
	for _, format := range modelfiletest.Formats() {
		b, name := modelfiletest.Write(format, modelfiletest.Every(format)...), "model"+modelfiletest.Extension(format)
		for after := range 3 {
			c := &failing{counter{head: b, err: failure}, after}
			_, err := Read(c, int64(len(b)), name)
			if failed := c.reads > after; failed && (!errors.Is(err, failure) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrUnknown)) {
				t.Errorf("%s after %d reads: %v", format, after, err)
			}
		}
		if _, err := Read(bytes.NewReader(b[:16]), int64(len(b)), name); !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, ErrMalformed) {
			t.Errorf("%s shorter than said: %v", format, err)
		}
	}
}

// failing fails after some reads.
type failing struct {
	counter
	after int
}

func (f *failing) ReadAt(p []byte, off int64) (int, error) {
	if f.reads < f.after {
		f.reads++
		return copy(p, f.head[off:]), nil
	}
	return f.counter.ReadAt(p, off)
}

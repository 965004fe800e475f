package modelfile

import (
	"archive/zip"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/metrics"
	"slices"
	"testing"

	"github.com/aivault/aivault/vault/modelfile/modelfiletest"
)

func read(b []byte, name string) (*Layout, error) {
	return Read(bytes.NewReader(b), int64(len(b)), name)
}

// invariants checks what holds for every layout of a file of the given size.
func invariants(t *testing.T, l *Layout, size int64) {
	t.Helper()
	if l.Data < 0 || l.Data > size || len(l.Tensors) > MaxTensors {
		t.Fatalf("%d tensors after byte %d of %d", len(l.Tensors), l.Data, size)
	}
	names := map[string]bool{}
	end := l.Data
	for _, x := range l.Tensors {
		if x.Offset < end || x.Size < 0 || x.Size > size-x.Offset {
			t.Fatalf("%v stands before byte %d or not inside of %d bytes", x, end, size)
		}
		end = x.Offset + x.Size
		if checkName(x.Name) != nil || names[x.Name] {
			t.Fatalf("the name of %v", x)
		}
		names[x.Name] = true
		if width, class := Element(x.DType); class != Unknown && x.Size%int64(width) != 0 || x.DType == "" {
			t.Fatalf("%v is no multiple of %d", x, width)
		}
		for _, d := range x.Shape {
			if d < 0 {
				t.Fatalf("the shape of %v", x)
			}
		}
	}
}

// allocated returns the bytes that f allocates, up to a page for each size of
// small objects.
func allocated(f func()) int64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return int64(sample[0].Value.Uint64() - before)
}

// compare reads a file without its name and compares it with what was written.
func compare(t *testing.T, format string, b []byte, want []modelfiletest.Tensor) {
	t.Helper()
	l, err := read(b, "")
	if err != nil {
		t.Fatal(err)
	}
	invariants(t, l, int64(len(b)))
	if l.Format != format || len(l.Tensors) != len(want) {
		t.Fatalf("%s of %d tensors, want %s of %d", l.Format, len(l.Tensors), format, len(want))
	}
	for i, w := range want {
		g := l.Tensors[i]
		if g.Name != w.Name || string(g.DType) != w.DType || !slices.Equal(g.Shape, w.Shape) || !bytes.Equal(b[g.Offset:][:g.Size], w.Data) {
			t.Errorf("%v is not %s %s %v of %d bytes", g, w.Name, w.DType, w.Shape, len(w.Data))
		}
	}
}

func TestEveryType(t *testing.T) {
	for _, format := range modelfiletest.Formats() {
		tensors := modelfiletest.Every(format)
		compare(t, format, modelfiletest.Write(format, tensors...), tensors)
		for _, typ := range modelfiletest.Types(format) {
			e, known := elements[DType(typ.Name)]
			if known == (format == TorchZip) || known && e.bytes*typ.Elements != e.count*typ.Bytes {
				t.Errorf("%s: %s takes %d bytes for %d", format, typ.Name, e.bytes, e.count)
			}
		}
	}
	if n := len(modelfiletest.Types(Safetensors)); n != len(safetensorsTypes) {
		t.Errorf("%d types of safetensors are tested", n)
	}
	if n := len(modelfiletest.Types(GGUF)); n != len(ggmlTypes) {
		t.Errorf("%d types of GGUF are tested", n)
	}
	if n := len(modelfiletest.Types(ONNX)); n != len(onnxTypes) {
		t.Errorf("%d types of ONNX are tested", n)
	}
}

func TestElement(t *testing.T) {
	for d, want := range map[DType]struct {
		width int
		class Class
	}{
		"bf16": {2, BFloat16}, "bfloat16": {2, BFloat16}, "f16": {2, Float16}, "float16": {2, Float16}, "f32": {4, Float32}, "float": {4, Float32},
		"f64": {8, Float64}, "double": {8, Float64}, "c64": {4, Float32}, "complex128": {8, Float64}, "f8_e4m3": {1, Float8}, "bool": {1, Bool},
		"u8": {1, Int}, "int64": {8, Int}, "q4_k": {144, Quantised}, "f6_e3m2": {3, Quantised}, "int4": {1, Quantised},
		"": {0, Unknown}, "unknown": {0, Unknown}, "type_99": {0, Unknown}, "BF16": {0, Unknown},
	} {
		if width, class := Element(d); width != want.width || class != want.class {
			t.Errorf("%q: %d, %d", d, width, class)
		}
	}
}

// Scalars, empty tensors, tensors without data behind them and files without tensors.
func TestSmallest(t *testing.T) {
	for _, format := range []string{Safetensors, GGUF, ONNX} {
		f32, u8 := "f32", "i8"
		if format == ONNX {
			f32, u8 = "float", "int8"
		}
		compare(t, format, modelfiletest.Write(format), nil)
		tensors := []modelfiletest.Tensor{
			{Name: "scalar", DType: f32, Shape: []int64{}, Data: modelfiletest.Noise(1, 4)},
			{Name: "", DType: u8, Shape: []int64{1, 1}, Data: []byte{7}},
			{Name: "naïve \"π\"\n", DType: u8, Shape: []int64{3}, Data: modelfiletest.Noise(2, 3)},
		}
		if format == ONNX { // a name is needed there, and what is empty has no bytes
			tensors[1].Name = "one"
		} else {
			tensors = append(tensors, modelfiletest.Tensor{Name: "empty", DType: f32, Shape: []int64{0, 4}})
		}
		compare(t, format, modelfiletest.Write(format, tensors...), tensors)
	}
	compare(t, TorchZip, modelfiletest.TorchZip(), nil)
	compare(t, TorchZip, modelfiletest.TorchZip64(), nil)
	compare(t, GGUF, modelfiletest.GGUFVersion(2, modelfiletest.Every(GGUF)...), modelfiletest.Every(GGUF))
	compare(t, TorchZip, modelfiletest.TorchZip64(modelfiletest.Every(TorchZip)...), modelfiletest.Every(TorchZip))
}

func TestUnknownTypes(t *testing.T) {
	noise := modelfiletest.Noise(1, 64)
	compare(t, Safetensors, modelfiletest.Safetensors(
		modelfiletest.Tensor{Name: "a", DType: "f2_e1m0", Shape: []int64{9, 9}, Data: noise},
	), []modelfiletest.Tensor{{Name: "a", DType: "f2_e1m0", Shape: []int64{9, 9}, Data: noise}})
	gguf := []modelfiletest.Tensor{
		{Name: "a", DType: "type_31", Shape: []int64{9, 9}, Data: noise},
		{Name: "b", DType: "f32", Shape: []int64{16}, Data: noise},
		{Name: "c", DType: "type_142", Shape: []int64{1}, Data: noise[:40]},
	}
	compare(t, GGUF, modelfiletest.GGUF(gguf...), gguf)
	onnx := modelfiletest.Tensor{Name: "a", DType: "type_99", Shape: []int64{9, 9}, Data: noise}
	compare(t, ONNX, modelfiletest.ONNX(onnx), []modelfiletest.Tensor{onnx})
}

func TestTensorsInOddPlacesOfONNX(t *testing.T) {
	b, want := modelfiletest.ONNXOdd()
	l, err := read(b, "model.onnx")
	if err != nil {
		t.Fatal(err)
	}
	invariants(t, l, int64(len(b)))
	var names []string
	for _, x := range l.Tensors {
		names = append(names, x.Name)
	}
	if !slices.Equal(names, want) {
		t.Errorf("tensors %v, want %v", names, want)
	}
	x := modelfiletest.Tensor{Name: "x", DType: "uint8", Shape: []int64{1}, Data: []byte{1}}
	l, err = read(modelfiletest.ONNX(x, x), "")
	if err != nil || len(l.Tensors) != 2 || l.Tensors[1].Name != fmt.Sprintf("x@%d", l.Tensors[1].Offset) {
		t.Errorf("two tensors of a name: %v, %v", l, err)
	}
}

func TestRecognition(t *testing.T) {
	for _, format := range modelfiletest.Formats() {
		b := modelfiletest.Write(format, modelfiletest.Every(format)...)
		for _, name := range []string{"", "model", "x.gguf", "x.safetensors", "x.onnx", "x.pt", "x.txt"} {
			if format == ONNX && (name == "x.gguf" || name == "x.safetensors") {
				continue // nothing but a name says what a model of ONNX is
			}
			if l, err := read(b, name); err != nil || l.Format != format {
				t.Errorf("%s called %q: %v", format, name, err)
			}
		}
	}
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	if _, err := w.Create("model/weights.npy"); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{
		nil, {8}, {8, 10}, []byte("GG"), []byte("{}"), make([]byte, 100), []byte("version https://git-lfs.github.com/spec/v1\n"),
		[]byte("\x80\x02}q\x00."), []byte("PK\x05\x06" + string(make([]byte, 18))), archive.Bytes(), modelfiletest.Noise(1, 1000),
		append([]byte{8, 10, 58, 0}, modelfiletest.Noise(2, 100)...),
	} {
		for _, name := range []string{"", "x.pt", "x.bin", "x.txt"} {
			if l, err := read(b, name); l != nil || !errors.Is(err, ErrUnknown) {
				t.Errorf("%.20q called %q: %v, %v", b, name, l, err)
			}
		}
		for _, name := range []string{"x.gguf", "x.safetensors", "x.ONNX"} {
			if l, err := read(b, name); l != nil || !errors.Is(err, ErrMalformed) {
				t.Errorf("%.20q called %q: %v, %v", b, name, l, err)
			}
		}
	}
}

// archive/zip must find the same bytes in the same places.
func TestArchiveZipAgrees(t *testing.T) {
	for _, write := range []func(...modelfiletest.Tensor) []byte{modelfiletest.TorchZip, modelfiletest.TorchZip64} {
		b := write(modelfiletest.Every(TorchZip)...)
		l, err := read(b, "")
		if err != nil {
			t.Fatal(err)
		}
		places := map[string]int64{}
		r, err := zip.NewReader(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range r.File {
			if places[f.Name], err = f.DataOffset(); err != nil {
				t.Fatal(err)
			}
		}
		for _, x := range l.Tensors {
			if places[x.Name] != x.Offset {
				t.Errorf("%s stands at %d, for archive/zip at %d", x.Name, x.Offset, places[x.Name])
			}
		}
	}
}

// A file that Go's writer makes, with deflated members and sizes behind data.
func TestDeflatedMembersAreNoTensors(t *testing.T) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for name, method := range map[string]uint16{"m/data.pkl": zip.Deflate, "m/data/0": zip.Store, "m/data/1": zip.Deflate, "m/data/x": zip.Store, "m/n/data/2": zip.Store, "m/": zip.Store} {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
		if err != nil {
			t.Fatal(err)
		}
		if name != "m/" {
			_, err = f.Write([]byte(name))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	compare(t, TorchZip, b.Bytes(), []modelfiletest.Tensor{{Name: "m/data/0", DType: "unknown", Data: []byte("m/data/0")}})
}

// brokenZip writes all broken files into a ZIP file and returns its path.
func brokenZip(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "broken.zip")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := zip.NewWriter(f)
	for _, c := range modelfiletest.Broken() {
		m, err := w.Create(c.Name)
		if err == nil {
			_, err = m.Write(c.Bytes)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBroken(t *testing.T) {
	archive, err := zip.OpenReader(brokenZip(t))
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	seen := map[string]bool{}
	for _, f := range archive.File {
		m, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(m)
		if err != nil {
			t.Fatal(err)
		}
		var named, unnamed error
		spent := allocated(func() {
			_, named = read(b, f.Name)
			_, unnamed = read(b, "")
		})
		if !errors.Is(named, ErrMalformed) {
			t.Errorf("%s: %v", f.Name, named)
		}
		if !errors.Is(unnamed, ErrMalformed) && !errors.Is(unnamed, ErrUnknown) {
			t.Errorf("%s without its name: %v", f.Name, unnamed)
		}
		if limit := 2 * bound(int64(len(b))); spent > limit {
			t.Errorf("%s: %d bytes are allocated for %d", f.Name, spent, len(b))
		}
		seen[filepath.Ext(f.Name)] = true
	}
	if len(seen) != 4 || len(archive.File) < 1000 {
		t.Errorf("%d files of %v", len(archive.File), seen)
	}
}

package transfer_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/modelfile"
	"github.com/aivault/aivault/vault/modelfile/modelfiletest"
	"github.com/aivault/aivault/vault/transfer"
)

func pullTensors(t testing.TB, s transfer.Source, dest string, o transfer.TensorOptions) (*transfer.Pulled, error) {
	t.Helper()
	v, err := transfer.Open(t.Context(), s)
	if err != nil {
		return nil, err
	}
	return v.PullTensors(t.Context(), dest, o)
}

// pulled reads the file that a pull of tensors wrote: their bytes by name.
func pulled(t testing.TB, dest string) (map[string][]byte, *modelfile.Layout) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dest, transfer.TensorFile))
	if err != nil {
		t.Fatal(err)
	}
	l, err := modelfile.Read(bytes.NewReader(b), int64(len(b)), transfer.TensorFile)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]byte)
	for _, x := range l.Tensors {
		out[x.Name] = b[x.Offset : x.Offset+x.Size]
	}
	if names, err := os.ReadDir(dest); err != nil || len(names) != 1 {
		t.Errorf("%d entries in the destination, %v", len(names), err)
	}
	return out, l
}

// Every type of every format, in files that are grouped and files that are cut,
// comes back whole, tensor by tensor and as it was pushed.
func TestTensorsOfEveryFormat(t *testing.T) {
	v := newVault(t)
	dir := t.TempDir()
	want := map[string][]byte{}
	for _, format := range modelfiletest.Formats() {
		tensors := modelfiletest.Every(format)
		for i := range tensors {
			if format != "torch-zip" {
				tensors[i].Name = format + "." + tensors[i].Name
			}
			want[tensors[i].Name] = tensors[i].Data
		}
		write(t, filepath.Join(dir, format, "small"+modelfiletest.Extension(format)), modelfiletest.Write(format, tensors...))
		large := []modelfiletest.Tensor{{Name: format + ".large", DType: "u8", Shape: []int64{20 * mib}, Data: modelfiletest.Noise(1, 20*mib)}}
		switch format {
		case "torch-zip":
			large[0].Name = "archive/data/777"
		case "onnx":
			large[0].DType = "uint8"
		case "gguf":
			large[0].DType = "i8"
		}
		want[large[0].Name] = large[0].Data
		write(t, filepath.Join(dir, format, "large"+modelfiletest.Extension(format)), modelfiletest.Write(format, large...))
	}
	s, _ := v.push(dir, nil)
	dest := t.TempDir()
	mustPull(t, s, dest, transfer.PullOptions{})
	sameContents(t, dest, dir)
	if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) > 0 {
		t.Errorf("%+v, %v", report, err)
	}
	dest = t.TempDir()
	if _, err := pullTensors(t, s, dest, transfer.TensorOptions{Names: []string{"*"}}); err != nil {
		t.Fatal(err)
	}
	got, l := pulled(t, dest)
	if len(got) != len(want) {
		t.Errorf("%d tensors, want %d", len(got), len(want))
	}
	for name, data := range want {
		if !bytes.Equal(got[name], data) {
			t.Errorf("tensor %s differs", name)
		}
	}
	types := map[string]string{}
	for _, x := range l.Tensors {
		types[x.Name] = fmt.Sprint(x.DType, x.Shape)
	}
	for name, want := range map[string]string{
		"safetensors.layers.14.bf16": "bf16[3 2 32]", "gguf.layers.0.f32": "f32[3 2 32]", "onnx.layers.0.float": "f32[3 2 32]",
		"gguf.layers.10.q4_k": "u8[27648]", "archive/data/777": "u8[20971520]",
	} {
		if types[name] != want {
			t.Errorf("tensor %s is %s, want %s", name, types[name], want)
		}
	}
}

// metadata returns what the header of a safetensors file has under __metadata__.
func metadata(t *testing.T, dest string) map[string]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dest, transfer.TensorFile))
	if err != nil {
		t.Fatal(err)
	}
	var header struct {
		Metadata map[string]string `json:"__metadata__"`
	}
	if err := json.NewDecoder(bytes.NewReader(b[8:])).Decode(&header); err != nil {
		t.Fatal(err)
	}
	return header.Metadata
}

func TestTensorsAreSelected(t *testing.T) {
	v := newVault(t)
	file := func(tensors ...modelfiletest.Tensor) string {
		return string(modelfiletest.Safetensors(tensors...))
	}
	two := func(name string, a, b byte) modelfiletest.Tensor {
		return modelfiletest.Tensor{Name: name, DType: "bf16", Shape: []int64{1}, Data: []byte{a, b}}
	}
	s, _ := v.push(tree(t, map[string]string{
		"a.safetensors":    file(two("x", 1, 1), two("layer.0.w", 1, 2), two("layer.1.w", 1, 3), two("a[0]", 1, 4), two("__metadata__x", 1, 5), two("", 1, 6)),
		"b/b.safetensors":  file(two("x", 2, 1), two("y/z", 2, 2)),
		"q.gguf":           string(modelfiletest.GGUF(modelfiletest.Tensor{Name: "quant", DType: "q4_0", Shape: []int64{32, 2}, Data: modelfiletest.Noise(1, 36)})),
		"not.safetensors.": "no weights",
	}), nil)
	for _, c := range []struct {
		names, include, exclude, want []string
	}{
		{[]string{"layer.0.w"}, nil, nil, []string{"layer.0.w"}},
		{[]string{"layer.*"}, nil, nil, []string{"layer.0.w", "layer.1.w"}},
		{[]string{"*w", "layer.1.w"}, nil, nil, []string{"layer.0.w", "layer.1.w"}},
		{[]string{"y*"}, nil, nil, []string{"y/z"}},
		{[]string{"*/z"}, nil, nil, []string{"y/z"}},
		{[]string{"?"}, nil, nil, []string{"a.safetensors:x", "b/b.safetensors:x"}},
		{[]string{"x"}, []string{"b"}, nil, []string{"x"}},
		{[]string{"x"}, nil, []string{"b"}, []string{"x"}},
		{[]string{"a[0]"}, nil, nil, []string{"a[0]"}},
		{[]string{""}, nil, nil, []string{""}},
		{[]string{"layer.[01].w", "quant"}, nil, nil, []string{"layer.0.w", "layer.1.w", "quant"}},
	} {
		dest := t.TempDir()
		done, err := pullTensors(t, s, dest, transfer.TensorOptions{Names: c.names, Include: c.include, Exclude: c.exclude})
		if err != nil {
			t.Errorf("%q: %v", c.names, err)
			continue
		}
		got, _ := pulled(t, dest)
		var names []string
		for name := range got {
			names = append(names, name)
		}
		if slices.Sort(names); !slices.Equal(names, c.want) || done.Files != 1 {
			t.Errorf("%q: %q, want %q", c.names, names, c.want)
		}
		if c.names[0] == "x" && !bytes.Equal(got["x"], []byte{byte(1 + len(c.include)), 1}) {
			t.Errorf("x of another file: %v", got["x"])
		}
		if len(c.names) == 2 && c.names[1] == "quant" {
			if m := metadata(t, dest); m["quant"] != `{"dtype":"q4_0","shape":[2,32]}` {
				t.Errorf("metadata %q", m)
			}
		}
	}
	for _, c := range [][]string{{"nothing"}, {"x", "nothing"}, {"w*"}, {"["}} {
		dest := filepath.Join(t.TempDir(), "dest")
		if _, err := pullTensors(t, s, dest, transfer.TensorOptions{Names: c}); !errors.Is(err, transfer.ErrNoTensor) {
			t.Errorf("%q: %v", c, err)
		}
		if _, err := os.Stat(dest); err == nil {
			t.Errorf("%q: a destination was made", c)
		}
	}
}

func TestTensorsDoNotOverwrite(t *testing.T) {
	v := newVault(t)
	s, _ := v.push(tree(t, map[string]string{"m.gguf": string(modelfiletest.GGUF(
		modelfiletest.Tensor{Name: "a", DType: "f32", Shape: []int64{2}, Data: []byte("aaaaaaaa")},
		modelfiletest.Tensor{Name: "b", DType: "f32", Shape: []int64{2}, Data: []byte("bbbbbbbb")}))}), nil)
	dest := t.TempDir()
	take := func(name string, force bool) (*transfer.Pulled, error) {
		return pullTensors(t, s, dest, transfer.TensorOptions{Names: []string{name}, Force: force})
	}
	if done, err := take("a", false); err != nil || done.KeptFiles != 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	if done, err := take("a", false); err != nil || done.KeptFiles != 1 || done.KeptBytes != done.Bytes {
		t.Errorf("again: %+v, %v", done, err)
	}
	if _, err := take("b", false); !errors.Is(err, transfer.ErrWouldOverwrite) {
		t.Errorf("another tensor: %v", err)
	}
	name := filepath.Join(dest, transfer.TensorFile)
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)-1] ^= 1
	write(t, name, b)
	if _, err := take("a", false); !errors.Is(err, transfer.ErrWouldOverwrite) {
		t.Errorf("one byte differs: %v", err)
	}
	if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, b) {
		t.Errorf("the file that stood there was changed (%v)", err)
	}
	if done, err := take("a", true); err != nil || done.KeptFiles != 0 {
		t.Errorf("with force: %+v, %v", done, err)
	}
	if got, _ := pulled(t, dest); string(got["a"]) != "aaaaaaaa" {
		t.Errorf("%q", got)
	}
	if err := errors.Join(os.Remove(name), os.Symlink("elsewhere", name)); err != nil {
		t.Fatal(err)
	}
	if _, err := take("a", false); !errors.Is(err, transfer.ErrWouldOverwrite) {
		t.Errorf("a link: %v", err)
	}
	if _, err := take("a", true); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(dest, "elsewhere")); err == nil {
		t.Error("it was written through the link")
	}
	if err := errors.Join(os.Remove(name), os.Mkdir(name, 0o777)); err != nil {
		t.Fatal(err)
	}
	if _, err := take("a", true); !errors.Is(err, transfer.ErrWouldOverwrite) {
		t.Errorf("a directory: %v", err)
	}
}

func TestTamperedTensors(t *testing.T) {
	for name, tamper := range map[string]func(v *vault, s transfer.Source, root *manifest.Root) string{
		"chunk": func(v *vault, s transfer.Source, root *manifest.Root) string {
			for _, key := range v.mem.Keys() {
				if strings.Contains(key, "/c/") && key != root.Parts[0].Key(v.aid) && key != root.Tensors[0].Key(v.aid) {
					return key
				}
			}
			return ""
		},
		"part of files":   func(v *vault, s transfer.Source, root *manifest.Root) string { return root.Parts[0].Key(v.aid) },
		"part of tensors": func(v *vault, s transfer.Source, root *manifest.Root) string { return root.Tensors[0].Key(v.aid) },
	} {
		v := newVault(t)
		s, _ := v.push(tree(t, map[string]string{"m.gguf": string(modelfiletest.GGUF(modelfiletest.Every("gguf")...))}), nil)
		opened, err := transfer.Open(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		key := tamper(v, s, opened.Root)
		v.mem.Tamper(key, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		dest := t.TempDir()
		if _, err := pullTensors(t, s, dest, transfer.TensorOptions{Names: []string{"*"}}); !errors.Is(err, transfer.ErrIntegrity) || !strings.Contains(err.Error(), key) {
			t.Errorf("%s: %v", name, err)
		}
		if got := contents(t, dest); len(got) > 0 {
			t.Errorf("%s: %q is left", name, got)
		}
		report, err := transfer.Check(t.Context(), s, true, nil)
		if err != nil || len(report.Problems) != 1 || report.Problems[0].Key != key {
			t.Errorf("%s: check: %+v, %v", name, report, err)
		}
		_, err = pull(t.Context(), s, t.TempDir(), transfer.PullOptions{})
		if !errors.Is(err, transfer.ErrIntegrity) {
			t.Errorf("%s: pull of everything: %v", name, err)
		}
	}
}

// One tensor of a model of 42 GiB costs root, a part of tensors, a part of files,
// and its own chunks. The file is in a manifest alone: nothing else is stored.
func TestOneTensorOfALargeModel(t *testing.T) {
	const (
		each   = 10 * mib
		number = 4300
		wanted = 4200
	)
	v := newVault(t)
	f := newForger(v)
	content := []byte(cheap(1, each))
	real, other := f.chunk(content), f.chunk([]byte("a header"))
	file := manifest.File{Path: "model.safetensors", Mode: manifest.Regular, Pieces: []manifest.Piece{{Chunk: &other, Length: other.Length}}}
	file.Size = other.Length
	var tensors []manifest.Tensor
	for i := range number {
		c := real
		if i != wanted {
			c.Name = fmt.Sprintf("%064x-%016x", i, i)
		}
		tensors = append(tensors, manifest.Tensor{Name: fmt.Sprintf("layer.%04d", i), DType: "u8", Shape: []int64{each}, File: file.Path, At: file.Size, Size: each})
		file.Pieces = append(file.Pieces, manifest.Piece{Chunk: &c, Length: each})
		file.Size += each
	}
	f.count(file)
	s := f.tree([]manifest.File{file}, tensors)
	opened, err := transfer.Open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	if len(opened.Root.Parts) != 2 || len(opened.Root.Tensors) < 2 || opened.Root.Bytes < 40<<30 {
		t.Fatalf("%d parts, %d of tensors, %d bytes", len(opened.Root.Parts), len(opened.Root.Tensors), opened.Root.Bytes)
	}
	counting := backendtest.NewCounting(v.mem)
	s.Store = counting
	dest := t.TempDir()
	if _, err := pullTensors(t, s, dest, transfer.TensorOptions{Names: []string{fmt.Sprintf("layer.%04d", wanted)}}); err != nil {
		t.Fatal(err)
	}
	if n := len(counting.Requests()); n != 3+1 {
		t.Errorf("%d requests", n)
	}
	if got, _ := pulled(t, dest); len(got) != 1 || !bytes.Equal(got[fmt.Sprintf("layer.%04d", wanted)], content) {
		t.Error("another tensor came out")
	}
}

// model is a model of some 70 MiB; changed has other bytes than usual, and added
// is a small tensor that it usually has not.
func model(changed, added string) []byte {
	var tensors []modelfiletest.Tensor
	add := func(name string, n int) {
		seed := seedOf(name)
		if name == changed {
			seed++
		}
		tensors = append(tensors, modelfiletest.Tensor{Name: name, DType: "u8", Shape: []int64{int64(n)}, Data: modelfiletest.Noise(seed, int64(n))})
	}
	for i := range 3 {
		if i == 1 && added != "" {
			add(added, 100_000)
		}
		add(fmt.Sprintf("%d.attention", i), 18*mib)
		for j := range 8 {
			add(fmt.Sprintf("%d.%d.norm", i, j), 700_000)
		}
	}
	return modelfiletest.Safetensors(tensors...)
}

func seedOf(name string) uint64 {
	sum := canonical.Sum([]byte(name))
	return binary.BigEndian.Uint64(sum[:])
}

func TestOneChangedTensorStoresLittle(t *testing.T) {
	v := newVault(t)
	dir := t.TempDir()
	name := filepath.Join(dir, "model.safetensors")
	write(t, name, model("", ""))
	first, all := v.push(dir, nil)
	base := v.base(first)
	for what, c := range map[string]struct {
		file  []byte
		limit int64
	}{
		"a large tensor":    {model("1.attention", ""), 18*mib + 256<<10},
		"a small tensor":    {model("1.3.norm", ""), 8*mib + 256<<10}, // all the small ones between two large ones are shorter
		"a tensor more":     {model("", "added"), 8*mib + 256<<10},    // header, and the group it joins
		"nothing different": {model("", ""), 0},
	} {
		write(t, name, c.file)
		p, _ := v.newPush()
		done, err := p.Run(t.Context(), scan(t, dir), base)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %d of %d bytes sent", what, done.Uploaded, all.Uploaded)
		if done.Uploaded > c.limit {
			t.Errorf("%s: %d bytes sent, at most %d are promised", what, done.Uploaded, c.limit)
		}
	}
}

// Tensors that are not where the manifest says: nothing comes out, and whoever
// reads all of the manifest says so.
func TestHostileTensors(t *testing.T) {
	x := func(name, file string, at, size int64) manifest.Tensor {
		return manifest.Tensor{Name: name, DType: "u8", Shape: []int64{size}, File: file, At: at, Size: size}
	}
	for name, c := range map[string]struct {
		tensors []manifest.Tensor
		whole   bool // who reads the whole manifest must notice
	}{
		"no such file":   {[]manifest.Tensor{x("a", "nothing", 0, 4)}, true},
		"between files":  {[]manifest.Tensor{x("a", "aaaab", 0, 4)}, true},
		"a directory":    {[]manifest.Tensor{x("a", "dir", 0, 4)}, true},
		"beyond the end": {[]manifest.Tensor{x("a", "aaaa", 2, 4)}, true},
		"far beyond":     {[]manifest.Tensor{x("a", "aaaa", 1<<50, 1<<50)}, true},
		"overlapping":    {[]manifest.Tensor{x("a", "aaaa", 0, 3), x("b", "aaaa", 2, 2)}, false},
		"one in another": {[]manifest.Tensor{x("a", "aaaa", 0, 4), x("b", "aaaa", 1, 1)}, false},
	} {
		f := newForger(newVault(t))
		dir := manifest.File{Path: "dir", Mode: manifest.Directory, SHA256: canonical.Sum(nil)}
		f.root.Directories++
		a, b := f.file("aaaa", "1234"), f.file("bbbb", "5678")
		f.hash.Add(dir.Path, dir.Mode, 0, dir.SHA256)
		s := f.tree([]manifest.File{a, b, dir}, c.tensors)
		dest := t.TempDir()
		if _, err := pullTensors(t, s, dest, transfer.TensorOptions{Names: []string{"*"}}); !errors.Is(err, transfer.ErrIntegrity) {
			t.Errorf("%s: %v", name, err)
		}
		if got := contents(t, dest); len(got) > 0 {
			t.Errorf("%s: %q is left", name, got)
		}
		_, err := pull(t.Context(), s, t.TempDir(), transfer.PullOptions{})
		if errors.Is(err, transfer.ErrIntegrity) != c.whole {
			t.Errorf("%s: pull: %v", name, err)
		}
		_, err = transfer.OpenBase(t.Context(), s)
		if errors.Is(err, transfer.ErrIntegrity) != c.whole {
			t.Errorf("%s: base: %v", name, err)
		}
		report, err := transfer.Check(t.Context(), s, false, nil)
		if err != nil || (len(report.Problems) > 0) != c.whole {
			t.Errorf("%s: check: %+v, %v", name, report, err)
		}
	}
}

// Nodes cover both lists: a tensor costs two of them, two parts and its chunks.
func TestTensorsBelowNodes(t *testing.T) {
	f := newForger(newVault(t))
	f.root.Depth = 2
	var files, tensors [2][]manifest.Ref
	for i := range 4 {
		name := fmt.Sprint("file", i)
		file := f.file(name, fmt.Sprint("content ", i))
		files[i/2] = append(files[i/2], f.part(nil, file))
		for part, err := range manifest.TensorParts(f.root.Cut, []manifest.Tensor{{Name: fmt.Sprint("tensor", i), DType: "u8", Shape: []int64{1}, File: name, At: 8, Size: 1}}) {
			if err != nil {
				t.Fatal(err)
			}
			tensors[i/2] = append(tensors[i/2], manifest.Ref{First: part.First, Chunk: f.chunk(part.Plain)})
		}
	}
	f.root.Tensors = []manifest.Ref{f.node(tensors[0]...), f.node(tensors[1]...)}
	s := f.source(f.node(files[0]...), f.node(files[1]...))
	counting := backendtest.NewCounting(f.mem)
	s.Store = counting
	dest := t.TempDir()
	if _, err := pullTensors(t, s, dest, transfer.TensorOptions{Names: []string{"tensor2"}}); err != nil {
		t.Fatal(err)
	}
	if got, _ := pulled(t, dest); string(got["tensor2"]) != "2" {
		t.Errorf("%q", got)
	}
	if n := len(counting.Requests()); n != 1+2+2+1 {
		t.Errorf("%d requests", n)
	}
	mustPull(t, s, t.TempDir(), transfer.PullOptions{})
	if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) > 0 || len(report.Keys) != 4+4+4+4+2 {
		t.Errorf("%+v, %v", report, err)
	}
	f.base(s)
	f.mem.Tamper(f.root.Tensors[0].Key(f.aid), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
	if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) != 1 || report.Files != 4 {
		t.Errorf("%+v, %v", report, err)
	}
}

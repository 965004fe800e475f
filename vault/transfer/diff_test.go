package transfer_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/vault/modelfile/modelfiletest"
	"github.com/aivault/aivault/vault/transfer"
)

// differences lists what DiffFiles and DiffTensors say, as "+a", "-b", "~c", and
// "~c tensor".
func differences(t testing.TB, from, to transfer.Source) ([]string, error) {
	t.Helper()
	var vs [2]*transfer.Version
	for i, s := range []transfer.Source{from, to} {
		var err error
		if vs[i], err = transfer.Open(t.Context(), s); err != nil {
			t.Fatal(err)
		}
	}
	sign := func(from, to bool) string {
		return map[[2]bool]string{{false, true}: "+", {true, false}: "-", {true, true}: "~"}[[2]bool{from, to}]
	}
	var out, changed []string
	for d, err := range transfer.DiffFiles(t.Context(), vs[0], vs[1]) {
		if err != nil {
			return nil, err
		}
		out = append(out, sign(d.From != nil, d.To != nil)+d.Path())
		if d.Content() {
			changed = append(changed, d.Path())
		}
	}
	tensors, err := transfer.DiffTensors(t.Context(), vs[0], vs[1], changed)
	for _, d := range tensors {
		out = append(out, sign(d.From != nil, d.To != nil)+d.Tensor().File+" "+d.Tensor().Name)
	}
	slices.Sort(out)
	return out, err
}

// drawn is a directory in which some files have tensors.
type drawn struct {
	files   map[string]string
	tensors map[string]map[string]modelfiletest.Tensor
}

// drawTree draws a tree of few names, few contents, and tensors that are grouped
// in a chunk, stand in one of their own, or in several. Mostly they have the sizes
// that they have in like.
func drawTree(rt *rapid.T, label string, like drawn) drawn {
	d := drawn{map[string]string{}, map[string]map[string]modelfiletest.Tensor{}}
	for _, name := range []string{"a", "b/c", "z"} {
		if content := rapid.SampledFrom([]string{"", "one", "two", "not there"}).Draw(rt, label+name); content != "not there" {
			d.files[name] = content
		}
	}
	for _, name := range []string{"m.safetensors", "n.safetensors"} {
		if rapid.IntRange(0, 4).Draw(rt, label+name) == 0 {
			continue
		}
		d.tensors[name] = map[string]modelfiletest.Tensor{}
		for i := range 4 {
			size := rapid.SampledFrom([]int64{0, 0, 64, 100_000, 3 * mib, 20 * mib}).Draw(rt, fmt.Sprint(label, name, i))
			if old := like.tensors[name][fmt.Sprint("t", i)].Data; len(old) > 0 && rapid.IntRange(0, 3).Draw(rt, "other size") > 0 {
				size = int64(len(old))
			}
			if size == 0 {
				continue
			}
			data := modelfiletest.Noise(uint64(rapid.IntRange(1, 2).Draw(rt, "content")), size)
			d.tensors[name][fmt.Sprint("t", i)] = modelfiletest.Tensor{Name: fmt.Sprint("t", i), DType: "u8", Shape: []int64{size}, Data: data}
		}
	}
	return d
}

func (d drawn) write(t testing.TB) string {
	dir := t.TempDir()
	for name, content := range d.files {
		write(t, filepath.Join(dir, name), []byte(content))
	}
	for name, tensors := range d.tensors {
		var list []modelfiletest.Tensor
		for _, key := range slices.Sorted(maps.Keys(tensors)) {
			list = append(list, tensors[key])
		}
		write(t, filepath.Join(dir, name), modelfiletest.Safetensors(list...))
	}
	return dir
}

// until compares two trees on its own.
func (d drawn) until(to drawn) []string {
	var out []string
	compare := func(name string, from, to string, was, is bool) bool {
		switch {
		case was && !is:
			out = append(out, "-"+name)
		case is && !was:
			out = append(out, "+"+name)
		case was && from != to:
			out = append(out, "~"+name)
			return true
		}
		return false
	}
	for _, name := range []string{"a", "b/c", "z"} {
		from, was := d.files[name]
		other, is := to.files[name]
		compare(name, from, other, was, is)
	}
	for _, name := range []string{"m.safetensors", "n.safetensors"} {
		from, was := d.tensors[name]
		other, is := to.tensors[name]
		same := maps.EqualFunc(from, other, func(a, b modelfiletest.Tensor) bool { return bytes.Equal(a.Data, b.Data) })
		if !compare(name, "", map[bool]string{false: "other"}[same], was, is) {
			continue
		}
		for i := range 4 {
			key := fmt.Sprint("t", i)
			x, was := from[key]
			y, is := other[key]
			compare(name+" "+key, string(x.Data), string(y.Data), was, is)
		}
	}
	slices.Sort(out)
	return out
}

func TestDiff(t *testing.T) {
	trees := rapid.Custom(func(rt *rapid.T) [2]drawn {
		from := drawTree(rt, "from ", drawn{})
		return [2]drawn{from, drawTree(rt, "to ", from)}
	})
	kinds := map[string]bool{}
	seeds := 24
	if raceDetector {
		seeds = 3
	}
	for seed := range seeds {
		v, two := newVault(t), trees.Example(seed)
		x, y := two[0], two[1]
		if len(x.files) == 0 || len(y.files) == 0 {
			continue
		}
		from, _ := v.push(x.write(t), nil)
		var base *transfer.Base
		if seed%2 == 0 {
			base = v.base(from)
		}
		to, _ := v.push(y.write(t), base)
		got, err := differences(t, from, to)
		if want := x.until(y); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d: %q, %v; want %q", seed, got, err, want)
		}
		for _, d := range got {
			kinds[d[:1]+map[bool]string{true: "tensor"}[strings.Contains(d, " ")]] = true
		}
	}
	if len(kinds) != 6 && !raceDetector {
		t.Errorf("only %v were seen", kinds)
	}
}

// What digests tell costs no content: a large tensor that changed among others.
func TestDiffReadsTheManifestsAlone(t *testing.T) {
	v := newVault(t)
	tensors := make([]modelfiletest.Tensor, 3)
	for i := range tensors {
		tensors[i] = modelfiletest.Tensor{Name: fmt.Sprint("t", i), DType: "u8", Shape: []int64{20 * mib}, Data: modelfiletest.Noise(uint64(i), 20*mib)}
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "m.safetensors")
	write(t, file, modelfiletest.Safetensors(tensors...))
	from, _ := v.push(dir, nil)
	tensors[1].Data = modelfiletest.Noise(9, 20*mib)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	write(t, file, modelfiletest.Safetensors(tensors...))
	to, _ := v.push(dir, v.base(from))
	counting := backendtest.NewCounting(v.mem)
	from.Store, to.Store = counting, counting
	got, err := differences(t, from, to)
	if want := []string{"~m.safetensors", "~m.safetensors t1"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v", got, err)
	}
	read := int64(0)
	for _, r := range counting.Requests() {
		if strings.Contains(r.Key, "/c/") {
			for info, err := range v.mem.List(t.Context(), r.Key, backends.ListOptions{}) {
				if err != nil {
					t.Fatal(err)
				}
				read += info.Size
			}
		}
	}
	if read > 1<<20 {
		t.Errorf("%d bytes of chunks were read", read)
	}
}

func TestDiffOfWhatDoesNotVerify(t *testing.T) {
	v := newVault(t)
	dir := t.TempDir()
	write(t, filepath.Join(dir, "a"), []byte("one"))
	from, _ := v.push(dir, nil)
	write(t, filepath.Join(dir, "b"), []byte("two"))
	to, _ := v.push(dir, nil)
	for _, key := range v.mem.Keys() {
		if strings.Contains(key, "/c/") && strings.Contains(key, to.Version.String()) {
			v.mem.Tamper(key, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		}
	}
	if _, err := differences(t, from, to); !errors.Is(err, transfer.ErrIntegrity) {
		t.Errorf("%v", err)
	}
}

// One chunk, in which two tensors have changed places.
func TestDiffWithinAChunk(t *testing.T) {
	v := newVault(t)
	tensor := func(name string, seed uint64) modelfiletest.Tensor {
		size := int64(64)
		if name == "c" {
			size = 20 * mib // so that the header has a chunk of its own
		}
		return modelfiletest.Tensor{Name: name, DType: "u8", Shape: []int64{size}, Data: modelfiletest.Noise(seed, size)}
	}
	var sources []transfer.Source
	for _, tensors := range [][]modelfiletest.Tensor{
		{tensor("a", 1), tensor("b", 2), tensor("c", 3)}, {tensor("b", 1), tensor("a", 2), tensor("c", 3)}, {tensor("b", 2), tensor("a", 1), tensor("c", 3)},
	} {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "m.safetensors"), modelfiletest.Safetensors(tensors...))
		s, _ := v.push(dir, nil)
		sources = append(sources, s)
	}
	for i, want := range [][]string{{"~m.safetensors", "~m.safetensors a", "~m.safetensors b"}, {"~m.safetensors"}} {
		if got, err := differences(t, sources[0], sources[i+1]); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
}

package transfer

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/modelfile"
	"github.com/aivault/aivault/vault/modelfile/modelfiletest"
)

const mib = 1 << 20

// laid lays tensors out one after another behind a header.
func laid(format string, header int64, tensors ...modelfile.Tensor) (*modelfile.Layout, int64) {
	at := header
	for i := range tensors {
		tensors[i].Offset += at // a gap
		at = tensors[i].Offset + tensors[i].Size
		if tensors[i].Name == "" {
			tensors[i].Name = fmt.Sprint(i)
		}
	}
	return &modelfile.Layout{Format: format, Data: header, Tensors: tensors}, at
}

func tensor(dtype string, size int64) modelfile.Tensor {
	return modelfile.Tensor{DType: modelfile.DType(dtype), Size: size}
}

func after(gap int64, t modelfile.Tensor) modelfile.Tensor {
	t.Offset = gap
	return t
}

// never has a key under which "0" to "9", if small, end no group.
func never(t *testing.T) *manifest.Cutter {
	for {
		cut, good := manifest.NewCutter(manifest.NewSecret()), true
		for i := range 10 {
			good = good && !cut.EndsTensors(fmt.Sprint(i), 400_000)
		}
		if good {
			return cut
		}
	}
}

func TestPlans(t *testing.T) {
	for name, c := range map[string]struct {
		format  string
		header  int64
		tensors []modelfile.Tensor
		more    int64 // after the last tensor
		padded  bool
		want    []span
	}{
		"header and a tensor": {"safetensors", 1000, []modelfile.Tensor{tensor("bf16", 16*mib)}, 0, false, []span{{1000, codec.Text, true}, {16 * mib, codec.BF16, true}}},
		"other headers":       {"gguf", 1024, []modelfile.Tensor{tensor("q4_k", 144)}, 0, false, []span{{1024, codec.Unknown, true}, {144, codec.Bytes, true}}},
		"no header":           {"onnx", 0, []modelfile.Tensor{tensor("float", 16*mib)}, 0, false, []span{{16 * mib, codec.F32, true}}},
		"long header":         {"safetensors", 17 * mib, nil, 0, false, []span{{17 * mib, codec.Text, false}}},
		"equal pieces": {"safetensors", 8, []modelfile.Tensor{tensor("f16", 40*mib)}, 0, false,
			[]span{{8, codec.Text, true}, {13983744, codec.F16, true}, {13983744, codec.F16, true}, {40*mib - 2*13983744, codec.F16, true}}},
		"padding of a large tensor": {"gguf", 32, []modelfile.Tensor{tensor("f32", 17*mib+1), after(31, tensor("f32", 8*mib))}, 0, false,
			[]span{{32, codec.Unknown, true}, {8916992, codec.F32, true}, {17*mib + 32 - 8916992, codec.F32, true}, {8 * mib, codec.F32, true}}},
		"padding that does not fit": {"gguf", 32, []modelfile.Tensor{tensor("f32", 16*mib), after(31, tensor("f32", 8*mib))}, 0, false,
			[]span{{32, codec.Unknown, true}, {8*mib + 4096, codec.F32, true}, {8*mib - 4096 + 31, codec.F32, true}, {8 * mib, codec.F32, true}}},
		"a group of one kind": {"safetensors", 8, []modelfile.Tensor{tensor("bf16", 1000), tensor("bf16", 2000), tensor("f32", 4000), tensor("i8", 10), tensor("f8_e4m3", 10), tensor("i64", 80)}, 0, false,
			[]span{{8, codec.Text, true}, {3000, codec.BF16, true}, {4000, codec.F32, true}, {20, codec.Bytes, true}, {80, codec.Unknown, true}}},
		"a group that is full": {"safetensors", 8, []modelfile.Tensor{tensor("f64", 400_000), tensor("f64", 15*mib), tensor("f64", 2*mib)}, 0, false,
			[]span{{8, codec.Text, true}, {15*mib + 400_000, codec.F64, true}, {2 * mib, codec.F64, true}}},
		"what no tensor covers": {"torch-zip", 500, []modelfile.Tensor{tensor("unknown", 1000), after(4095, tensor("unknown", 1000)), after(4096, tensor("unknown", 1000))}, 20 * mib, false,
			[]span{{500, codec.Unknown, true}, {6095, codec.Unknown, true}, {4096, codec.Unknown, true}, {1000, codec.Unknown, true}, {20 * mib, codec.Unknown, false}}},
		"tensors of nothing": {"safetensors", 8, []modelfile.Tensor{tensor("bf16", 0), tensor("bf16", 10), tensor("bf16", 0)}, 0, false,
			[]span{{8, codec.Text, true}, {10, codec.BF16, true}}},
		"size classes": {"safetensors", 8, []modelfile.Tensor{tensor("bf16", 20*mib), tensor("bf16", 3*mib), tensor("bf16", 2*mib)}, 0, true,
			[]span{{8, codec.Text, true}, {16 * mib, codec.BF16, true}, {4 * mib, codec.BF16, true}, {3 * mib, codec.BF16, true}, {2 * mib, codec.BF16, true}}},
	} {
		l, size := laid(c.format, c.header, c.tensors...)
		if got := planTensors(l, size+c.more, never(t), c.padded); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

// Whatever the layout: spans cover the file, and pieces are no longer than a chunk.
func TestPlansCoverTheFile(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tensors []modelfile.Tensor
		for range rapid.IntRange(0, 20).Draw(t, "tensors") {
			size := rapid.OneOf(rapid.Int64Range(0, 10_000), rapid.Int64Range(0, 70*mib), rapid.SampledFrom([]int64{16 * mib, 16*mib + 1, 32 * mib, 16<<30 - 1})).Draw(t, "size")
			gap := rapid.SampledFrom([]int64{0, 0, 1, 31, 4095, 4096, 20 * mib}).Draw(t, "gap")
			tensors = append(tensors, after(gap, tensor(rapid.SampledFrom([]string{"bf16", "f32", "q4_k", "x"}).Draw(t, "type"), size)))
		}
		l, size := laid("safetensors", rapid.SampledFrom([]int64{0, 8, 20 * mib}).Draw(t, "header"), tensors...)
		size += rapid.SampledFrom([]int64{0, 1, 4095, 5000, 17 * mib}).Draw(t, "rest")
		sum := int64(0)
		for _, s := range planTensors(l, size, manifest.NewCutter(manifest.NewSecret()), rapid.Bool().Draw(t, "padded")) {
			if s.length < 1 || s.piece && s.length > manifest.MaxChunk {
				t.Fatalf("a span of %d bytes", s.length)
			}
			sum += s.length
		}
		if sum != size {
			t.Fatalf("%d of %d bytes", sum, size)
		}
	})
}

// A tensor that comes or goes moves the group around it.
func TestGroupsOfTensorsDoNotDependOnEarlierOnes(t *testing.T) {
	cut := manifest.NewCutter(manifest.NewSecret())
	groups := func(without int) map[string]bool {
		var tensors []modelfile.Tensor
		for i := range 2000 {
			if i != without {
				x := tensor("bf16", 100_000)
				x.Name = fmt.Sprint("layer.", i)
				tensors = append(tensors, x)
			}
		}
		l, size := laid("safetensors", 8, tensors...)
		out, at := map[string]bool{}, int64(0)
		for _, s := range planTensors(l, size, cut, false) {
			if at > 0 {
				out[fmt.Sprint(tensors[(at-8)/100_000].Name, s.length)] = true
			}
			at += s.length
		}
		return out
	}
	all := groups(-1)
	if mean := 2000 * 100_000 / len(all); mean < 2*mib || mean > 8*mib {
		t.Errorf("groups of %d bytes on average", mean)
	}
	for _, without := range []int{0, 777, 1999} {
		lost := 0
		less := groups(without)
		for g := range all {
			if !less[g] {
				lost++
			}
		}
		if lost > 3 {
			t.Errorf("without tensor %d %d of %d groups are others", without, lost, len(all))
		}
	}
}

// What is no weight file, or a broken one, is cut by content; what cannot be read
// is an error.
func TestFilesWithoutALayout(t *testing.T) {
	for _, c := range modelfiletest.Broken() {
		if l, err := layout(bytes.NewReader(c.Bytes), int64(len(c.Bytes)), c.Name); l != nil || err != nil {
			t.Errorf("%s: %v, %v", c.Name, l, err)
		}
	}
	broken := errors.New("broken disk")
	failing := readerAt(func([]byte, int64) (int, error) { return 0, broken })
	if _, err := layout(failing, 5*mib, "x"); !errors.Is(err, broken) {
		t.Errorf("a disk that fails: %v", err)
	}
	long := append([]byte{0, 0, 0, 2, 0, 0, 0, 0, '{'}, make([]byte, 33*mib)...)
	if l, err := layout(bytes.NewReader(long), int64(len(long)), "x.safetensors"); l != nil || err != nil {
		t.Errorf("a header of 32 MiB: %v, %v", l, err)
	}
}

type readerAt func([]byte, int64) (int, error)

func (f readerAt) ReadAt(b []byte, off int64) (int, error) { return f(b, off) }

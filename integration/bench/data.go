package main

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"
)

// dataset is a directory of files that are measured together.
type dataset struct {
	name  string
	what  string // in words, for the document
	dir   string
	files []string // relative to dir
	bytes int64
	floor float64 // what a perfect code of single bytes leaves, of bytes
}

// id is the name as places can be called.
func (d *dataset) id() string { return strings.ReplaceAll(d.name, " ", "-") }

// kinds of generated data, each as large as is asked for.
var kinds = []struct {
	name, what string
	dtype      dtype
	values     func(source *rand.ChaCha8) filler
}{
	{"bf16", "bf16 safetensors as language models have them: normal weights, each row with a deviation of its own", bf16, normal(appendBF16)},
	{"f32", "the same weights before they are rounded: f32 safetensors", f32, normal(appendF32)},
	{"random", "random bytes, which nothing makes smaller, as safetensors of u8", u8, incompressible},
}

const (
	rowLength  = 4096     // elements
	tensorSize = 32 << 20 // bytes, as the square matrices of an 8B model have in bf16
	shardSize  = 4 << 30
)

func isKind(name string) bool {
	for _, k := range kinds {
		if k.name == name {
			return true
		}
	}
	return false
}

// filler appends the next row of a tensor.
type filler func(dst []byte, elements int) []byte

// generate makes a data set of about size bytes, in at least two shards, the same
// at each call.
func generate(kind, parent string, size int64) (*dataset, error) {
	for i, k := range kinds {
		if k.name != kind {
			continue
		}
		dir := filepath.Join(parent, kind)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"architectures":["LlamaForCausalLM"],"hidden_size":4096}`+"\n"), 0o644); err != nil {
			return nil, err
		}
		shards := max(2, (size+shardSize-1)/shardSize)
		var g errgroup.Group
		for n := range shards {
			source := rand.NewChaCha8([32]byte{byte(i), byte(n), byte(n >> 8)})
			name := filepath.Join(dir, fmt.Sprintf("model-%05d-of-%05d.safetensors", n+1, shards))
			g.Go(func() error { return writeSafetensors(name, shard(k.dtype, size/shards, k.values(source))) })
		}
		if err := g.Wait(); err != nil {
			return nil, err
		}
		return measured(kind, k.what, dir, k.dtype)
	}
	return nil, fmt.Errorf("there is no data %q", kind)
}

// shard describes the tensors of one file.
func shard(d dtype, size int64, next filler) []tensor {
	row := rowLength * d.size()
	var out []tensor
	for left := max(1, size/row); left > 0; {
		rows := min(left, tensorSize/row)
		left -= rows
		out = append(out, tensor{fmt.Sprintf("model.layers.%d.weight", len(out)), d, []int64{rows, rowLength}, func(w io.Writer) error {
			buf := make([]byte, 0, row)
			for range rows {
				if _, err := w.Write(next(buf[:0], rowLength)); err != nil {
					return err
				}
			}
			return nil
		}})
	}
	return out
}

// normal draws rows of weights: deviations differ from row to row as they do in
// trained models (log-normal, about 0.02).
func normal(appendValue func([]byte, float32) []byte) func(*rand.ChaCha8) filler {
	return func(source *rand.ChaCha8) filler {
		r := rand.New(source)
		return func(dst []byte, elements int) []byte {
			sigma := 0.02 * math.Exp(0.35*r.NormFloat64())
			for range elements {
				dst = appendValue(dst, float32(sigma*r.NormFloat64()))
			}
			return dst
		}
	}
}

func incompressible(source *rand.ChaCha8) filler {
	return func(dst []byte, elements int) []byte {
		n := len(dst)
		dst = append(dst, make([]byte, elements)...)
		_, _ = source.Read(dst[n:]) // never fails
		return dst
	}
}

func appendF32(dst []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
}

// appendBF16 rounds to the nearest bfloat16, ties to even. v is no NaN.
func appendBF16(dst []byte, v float32) []byte {
	b := math.Float32bits(v)
	return binary.LittleEndian.AppendUint16(dst, uint16((b+0x7fff+b>>16&1)>>16))
}

// measured describes the files of a directory, whose tensors are of one type.
func measured(name, what, dir string, t dtype) (*dataset, error) {
	d := &dataset{name: name, what: what, dir: dir}
	var err error
	if d.bytes, err = treeSize(dir); err != nil {
		return nil, err
	}
	if err := walk(dir, func(rel, _ string) error { d.files = append(d.files, rel); return nil }); err != nil {
		return nil, err
	}
	d.floor, err = d.entropy(t)
	return d, err
}

// treeSize sums the sizes of all files below dir.
func treeSize(dir string) (int64, error) {
	var sum int64
	err := walk(dir, func(_, path string) error {
		fi, err := os.Stat(path)
		if err == nil {
			sum += fi.Size()
		}
		return err
	})
	return sum, err
}

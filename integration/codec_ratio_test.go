package integration_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/aivault/aivault/integration/weights"
	"github.com/aivault/aivault/vault/codec"
)

// tensors returns the tensors of all models in dir (tensorflow.js graph and
// layer models), by the type in which they are stored.
func tensors(t *testing.T, dir string) map[string][][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%d models (%v)", len(files), err)
	}
	out := map[string][][]byte{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var model struct {
			WeightsManifest []struct {
				Paths   []string
				Weights []struct {
					DType        string
					Shape        []int
					Quantization struct{ DType string }
				}
			}
		}
		if err := json.Unmarshal(text, &model); err != nil {
			continue // not every file is a model
		}
		for _, group := range model.WeightsManifest {
			var data []byte
			for _, path := range group.Paths {
				b, err := os.ReadFile(filepath.Join(dir, path))
				if err != nil {
					t.Fatal(err)
				}
				data = append(data, b...)
			}
			for _, w := range group.Weights {
				kind, n := w.DType, 1
				if w.Quantization.DType != "" {
					kind = w.Quantization.DType
				}
				for _, d := range w.Shape {
					n *= d
				}
				n *= map[string]int{"float32": 4, "int32": 4, "float16": 2, "uint8": 1}[kind]
				out[kind] = append(out[kind], data[:n])
				data = data[n:]
			}
		}
	}
	return out
}

// toBF16 rounds float32 to the nearest bfloat16.
func toBF16(f32 []byte) []byte {
	out := make([]byte, 0, len(f32)/2)
	for i := 0; i+4 <= len(f32); i += 4 {
		x := binary.LittleEndian.Uint32(f32[i:])
		if float32(math.Float32frombits(x)) == math.Float32frombits(x) {
			x += 0x7fff + x>>16&1
		}
		out = binary.LittleEndian.AppendUint16(out, uint16(x>>16))
	}
	return out
}

// TestCodecOnRealWeights encodes the weights of 41 published models, the tensors
// of a type one after the other in chunks of 16 MiB, told what they are and not
// told, and holds what is left of them against the targets. It takes 5 s, and 20
// with the race detector.
func TestCodecOnRealWeights(t *testing.T) {
	of := tensors(t, weights.HumanModels(t))
	f32 := bytes.Join(of["float32"], nil)
	fp16 := bytes.Join(of["float16"], nil)
	for _, c := range []struct {
		name   string
		kind   codec.Kind
		data   []byte
		target float64
	}{
		{"bf16", codec.BF16, toBF16(f32), 0.70},
		{"f32", codec.F32, f32, 0.84},
		{"fp16", codec.F16, fp16[:min(len(fp16), 4*codec.MaxLength)], 0.87},
		{"u8", codec.Bytes, bytes.Join(of["uint8"], nil), 0.75},
	} {
		if len(c.data) < 1<<20 {
			t.Errorf("%s: only %d bytes", c.name, len(c.data))
		}
		for _, kind := range []codec.Kind{c.kind, codec.Unknown} {
			e, d := codec.NewEncoder(), codec.NewDecoder()
			stored := 0
			var buf, back []byte
			names := map[string]int{}
			for data := c.data; len(data) > 0; {
				chunk := data[:min(len(data), codec.MaxLength)]
				data = data[len(chunk):]
				name, out := e.Encode(buf[:0], chunk, kind)
				names[name]++
				if name == codec.None {
					out = chunk
				} else {
					buf = out
				}
				var err error
				if back, err = d.Decode(back[:0], out, name, len(chunk)); err != nil || !bytes.Equal(back, chunk) {
					t.Fatalf("%s does not come back as it was (%v)", c.name, err)
				}
				stored += len(out)
			}
			ratio := float64(stored) / float64(len(c.data))
			t.Logf("%s as kind %d: %d of %d bytes, %.3f %v", c.name, kind, stored, len(c.data), ratio, names)
			if ratio > c.target {
				t.Errorf("%s as kind %d: %.3f of the bytes are stored, not at most %.2f", c.name, kind, ratio, c.target)
			}
		}
	}
}

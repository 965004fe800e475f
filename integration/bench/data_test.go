package main

import (
	"encoding/binary"
	"encoding/json"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestBF16RoundsToNearestEven(t *testing.T) {
	for bits, want := range map[uint32]uint16{0x3f800000: 0x3f80, 0x3f808000: 0x3f80, 0x3f818000: 0x3f82, 0x3f808001: 0x3f81, 0xbf80ffff: 0xbf81, 0: 0} {
		if got := binary.LittleEndian.Uint16(appendBF16(nil, math.Float32frombits(bits))); got != want {
			t.Errorf("%#x: %#x, want %#x", bits, got, want)
		}
	}
}

func TestGenerateIsTheSameEachTime(t *testing.T) {
	const size = 1 << 20
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			a, err := generate(k.name, t.TempDir(), size)
			if err != nil {
				t.Fatal(err)
			}
			b, err := generate(k.name, t.TempDir(), size)
			if err != nil {
				t.Fatal(err)
			}
			if err := same(a.dir, b.dir); err != nil || a.bytes < size || a.bytes > size+4096 || len(a.files) != 3 {
				t.Errorf("%+v, %v", a, err)
			}
			if sameFile(filepath.Join(a.dir, a.files[1]), filepath.Join(a.dir, a.files[2])) == nil {
				t.Error("both shards are the same: a deduplicating tool would store one")
			}
		})
	}
}

func TestSafetensorsHeader(t *testing.T) {
	name := filepath.Join(t.TempDir(), "x.safetensors")
	row := func(w io.Writer) error { _, err := w.Write([]byte{1, 2, 3, 4}); return err }
	if err := writeSafetensors(name, []tensor{{"a", bf16, []int64{2}, row}, {"b", f32, nil, row}}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	n := binary.LittleEndian.Uint64(text)
	var header map[string]struct {
		Dtype   string
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(text[8:8+n], &header); err != nil || n%8 != 0 || len(text) != int(8+n+8) || header["b"].Offsets != [2]int{4, 8} || header["a"].Dtype != "BF16" {
		t.Errorf("%s: %v, %v", text, header, err)
	}
	if err := writeSafetensors(name, []tensor{{"a", bf16, []int64{3}, row}}); err == nil || !strings.Contains(err.Error(), "4 bytes were written, 6 are its size") {
		t.Error(err)
	}
}

func TestSameFindsEveryDifference(t *testing.T) {
	write := func(files map[string]string) string {
		dir := t.TempDir()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	want := write(map[string]string{"a": "one", "b": ""})
	for name, v := range map[string]struct {
		files map[string]string
		ok    bool
	}{
		"same":    {map[string]string{"a": "one", "b": ""}, true},
		"changed": {map[string]string{"a": "two", "b": ""}, false},
		"shorter": {map[string]string{"a": "on", "b": ""}, false},
		"longer":  {map[string]string{"a": "one", "b": "x"}, false},
		"missing": {map[string]string{"a": "one"}, false},
		"more":    {map[string]string{"a": "one", "b": "", "c": ""}, false},
	} {
		if err := same(want, write(v.files)); (err == nil) != v.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRealWeightsAreSortedByType(t *testing.T) {
	models, out := t.TempDir(), t.TempDir()
	description := `{"weightsManifest":[{"paths":["m.bin"],"weights":[
		{"name":"w","shape":[2],"dtype":"float32"},
		{"name":"n","shape":[],"dtype":"int32"},
		{"name":"h","shape":[3],"dtype":"float32","quantization":{"dtype":"float16"}},
		{"name":"q","shape":[1,5],"dtype":"float32","quantization":{"dtype":"uint8"}}]}]}`
	content := append(appendF32(appendF32(nil, 1), -2), 0, 0, 0, 0)
	content = append(content, "hhhhhhqqqqq"...)
	for name, text := range map[string][]byte{"m.json": []byte(description), "m.bin": content} {
		if err := os.WriteFile(filepath.Join(models, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sets, err := realSets(models, out)
	if err != nil {
		t.Fatal(err)
	}
	ends := map[string]string{"real f32": string(content[:8]), "real bf16": "\x80\x3f\x00\xc0", "real fp16": "}hhhhhh", "real u8": "qqqqq"}
	for _, s := range sets {
		text, err := os.ReadFile(filepath.Join(s.dir, "model.safetensors"))
		if err != nil || !strings.HasSuffix(strings.ReplaceAll(string(text), " ", ""), ends[s.name]) {
			t.Errorf("%s: %q, %v", s.name, text, err)
		}
	}
	if err := os.WriteFile(filepath.Join(models, "m.bin"), content[:10], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := realSets(models, out); err == nil {
		t.Error("a file of weights that is too short is taken")
	}
}

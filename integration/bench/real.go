package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
)

// tfjs is the part of a TensorFlow.js model's description that says where its
// weights are: one after the other, in the named files.
type tfjs struct {
	Manifest []struct {
		Paths   []string `json:"paths"`
		Weights []struct {
			Name         string  `json:"name"`
			Shape        []int64 `json:"shape"`
			Dtype        string  `json:"dtype"`
			Quantization struct {
				Dtype string `json:"dtype"`
			} `json:"quantization"`
		} `json:"weights"`
	} `json:"weightsManifest"`
}

// storedTypes maps the types of stored elements to what safetensors calls them.
var storedTypes = map[string]dtype{"float32": f32, "float16": f16, "uint8": u8, "int32": i32, "bool": boolean}

// realSets makes data sets of the weights in a directory of TensorFlow.js models:
// one of f32, one of the same rounded to bf16, one of fp16 and one of u8.
func realSets(models, parent string) ([]*dataset, error) {
	byType := map[dtype][]tensor{}
	descriptions, err := filepath.Glob(filepath.Join(models, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range descriptions {
		if err := readTFJS(name, byType); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	for _, t := range byType[f32] {
		byType[bf16] = append(byType[bf16], tensor{t.name, bf16, t.shape, func(w io.Writer) error { return t.write(&rounder{w: w}) }})
	}
	var out []*dataset
	for _, s := range []struct {
		name, what string
		dtype      dtype
	}{
		{"real bf16", "the f32 weights of 41 published vision models, rounded to bf16", bf16},
		{"real f32", "the same as published", f32},
		{"real fp16", "the fp16 weights of those models", f16},
		{"real u8", "their weights quantised to u8", u8},
	} {
		dir := filepath.Join(parent, strings.ReplaceAll(s.name, " ", "-"))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return nil, err
		}
		if err := writeSafetensors(filepath.Join(dir, "model.safetensors"), byType[s.dtype]); err != nil {
			return nil, err
		}
		d, err := measured(s.name, s.what, dir, s.dtype)
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// readTFJS adds the tensors of a model, by the type they are stored in.
func readTFJS(name string, byType map[dtype][]tensor) error {
	text, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var model tfjs
	if err := json.Unmarshal(text, &model); err != nil {
		return err
	}
	base := strings.TrimSuffix(filepath.Base(name), ".json")
	for _, group := range model.Manifest {
		var content []byte
		for _, p := range group.Paths {
			part, err := os.ReadFile(filepath.Join(filepath.Dir(name), filepath.Base(p)))
			if err != nil {
				return err
			}
			content = append(content, part...)
		}
		for _, w := range group.Weights {
			kind := w.Dtype
			if w.Quantization.Dtype != "" {
				kind = w.Quantization.Dtype
			}
			t := tensor{name: base + "/" + w.Name, dtype: storedTypes[kind], shape: w.Shape}
			n := t.bytes()
			if t.dtype == "" || n < 0 || n > int64(len(content)) {
				return fmt.Errorf("weight %s (%s, %d bytes) is not there", w.Name, kind, n)
			}
			data := content[:n]
			content = content[n:]
			t.write = func(out io.Writer) error { _, err := out.Write(data); return err }
			byType[t.dtype] = append(byType[t.dtype], t)
		}
	}
	return nil
}

// rounder writes f32 values as bf16.
type rounder struct{ w io.Writer }

func (r *rounder) Write(p []byte) (int, error) {
	out := make([]byte, 0, len(p)/2)
	for i := 0; i+4 <= len(p); i += 4 {
		out = appendBF16(out, math.Float32frombits(binary.LittleEndian.Uint32(p[i:])))
	}
	_, err := r.w.Write(out)
	return len(p), err
}

package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// dtype is the type of a tensor's elements, as safetensors spells it.
type dtype string

const (
	bf16    dtype = "BF16"
	f32     dtype = "F32"
	f16     dtype = "F16"
	u8      dtype = "U8"
	i32     dtype = "I32"
	boolean dtype = "BOOL"
)

// size is that of an element in bytes.
func (d dtype) size() int64 {
	return map[dtype]int64{bf16: 2, f32: 4, f16: 2, u8: 1, i32: 4, boolean: 1}[d]
}

// tensor is one tensor of a file and where its bytes come from.
type tensor struct {
	name  string
	dtype dtype
	shape []int64
	write func(w io.Writer) error // as many bytes as dtype and shape say
}

func (t *tensor) bytes() int64 {
	n := t.dtype.size()
	for _, d := range t.shape {
		n *= d
	}
	return n
}

// writeSafetensors writes a file of tensors: the length of a JSON header, the
// header, padded to eight bytes, and the tensors one after the other.
func writeSafetensors(name string, tensors []tensor) (err error) {
	type place struct {
		Dtype   dtype    `json:"dtype"`
		Shape   []int64  `json:"shape"`
		Offsets [2]int64 `json:"data_offsets"`
	}
	header, at := make(map[string]place), int64(0)
	for i := range tensors {
		t := &tensors[i]
		header[t.name] = place{t.dtype, t.shape, [2]int64{at, at + t.bytes()}}
		at += t.bytes()
	}
	text, err := json.Marshal(header)
	if err != nil {
		return err
	}
	for len(text)%8 != 0 {
		text = append(text, ' ')
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriterSize(f, 1<<20)
	if _, err := w.Write(append(binary.LittleEndian.AppendUint64(nil, uint64(len(text))), text...)); err != nil {
		return err
	}
	for i := range tensors {
		t := &tensors[i]
		counted := &counter{Writer: w}
		if err := t.write(counted); err != nil {
			return fmt.Errorf("tensor %s: %w", t.name, err)
		}
		if counted.n != t.bytes() {
			return fmt.Errorf("tensor %s: %d bytes were written, %d are its size", t.name, counted.n, t.bytes())
		}
	}
	return w.Flush()
}

type counter struct {
	io.Writer
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.n += int64(n)
	return n, err
}

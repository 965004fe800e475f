// Package modelfile reads how weight files are put together: where the header
// ends and where each tensor stands, so that a file can be cut at its tensors,
// encoded by their types and pulled by their names. It knows safetensors, GGUF,
// ONNX and the ZIP files of PyTorch. It is pure: it reads from an io.ReaderAt,
// executes nothing (no pickle is read), and reads no tensor data.
//
// All input is hostile. The limits are MaxTensors, MaxName and MaxHeader;
// nothing is allocated by a declared length or count before the file is seen to
// be that long. Reading takes time in proportion to the bytes that describe the
// file, and allocates at most 64
// times these bytes and 256 KiB, most of it garbage soon. A Layout holds at most
// 16 times these bytes; this much only in ONNX, where seven make a tensor.
//
// There is one reader for each format because nothing in Go is both safe and
// light: archive/zip allocates by the record count that a file declares, and
// GGUF libraries trust lengths or bring an HTTP client.
package modelfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

const (
	// MaxTensors bounds the tensors of a file, and the members of a ZIP file.
	MaxTensors = 1_000_000
	// MaxName is the longest name of a tensor, in bytes.
	MaxName = 4 << 10
	// MaxHeader bounds, in bytes, what describes the tensors: the header of
	// safetensors (as its reference implementation does) and GGUF, all headers
	// of a ZIP file, and in ONNX everything but the payloads that are skipped.
	MaxHeader = 100_000_000
)

// The formats, as Layout names them.
const (
	Safetensors = "safetensors"
	GGUF        = "gguf"
	ONNX        = "onnx"
	TorchZip    = "torch-zip"
)

var (
	// ErrUnknown means that a file is of none of the formats.
	ErrUnknown = errors.New("not a known weight format")
	// ErrMalformed means that a file claims to be of a format and is not well
	// formed, or is beyond a limit. The error says where.
	ErrMalformed = errors.New("malformed weight file")
)

// Layout says how a weight file is put together.
type Layout struct {
	Format string // Safetensors, GGUF, ONNX or TorchZip
	// Data is the offset of the first byte after the header. In ONNX and ZIP
	// files, which have no header in front, it is the offset of the first tensor,
	// and the size of the file where there is none.
	Data int64
	// Tensors stand in the order of their Offset, none before Data, inside the
	// file, without overlap, each name once. Bytes between them (padding, and in
	// ONNX and ZIP files the structure) belong to none.
	Tensors []Tensor
}

// Tensor is a tensor's place in a file.
type Tensor struct {
	// Name is valid UTF-8 of at most MaxName bytes; in a ZIP file the member's, in
	// an ONNX file the initialiser's or, for a constant without a name, that of
	// the node's output, with "@" and the offset where it is not unique.
	Name  string
	DType DType
	// Shape has the dimensions as the file lists them (GGUF lists the innermost
	// first), none negative. It is nil where the file does not say: in a ZIP file.
	Shape  []int64
	Offset int64 // in the file
	Size   int64 // in bytes
}

// Read recognises the format of a file of the given size by its content, and
// reads the layout. The extension of name decides only where content cannot: a
// file that is called .safetensors, .gguf or .onnx and is not, or .pt, .pth,
// .ckpt or .bin and is a broken ZIP file, is ErrMalformed, any other ErrUnknown.
// Errors of r are wrapped, and are neither. Safe for concurrent use as far as r
// is.
func Read(r io.ReaderAt, size int64, name string) (*Layout, error) {
	w := newWindow(r, size)
	head, err := w.peekUpTo(sniffed)
	if err != nil {
		return nil, err
	}
	claimed := claim(name)
	var l *Layout
	switch {
	case len(head) >= 4 && string(head[:4]) == ggufMagic:
		l, err = readGGUF(w)
	case len(head) >= 4 && string(head[:4]) == zipMagic:
		l, err = readTorch(w, head, isTorchName(name))
	case looksLikeSafetensors(head) || claimed == Safetensors:
		l, err = readSafetensors(w)
	case claimed == GGUF:
		err = malformed("a GGUF file starts with %q", ggufMagic)
	case claimed == ONNX:
		l, err = readONNX(w)
	default:
		l, err = probeONNX(w, head)
	}
	if claimed != "" && errors.Is(err, ErrUnknown) {
		err = malformed("not a file of %s", claimed)
	}
	if err != nil {
		return nil, err
	}
	return l, nil
}

// sniffed is how much of the start of a file recognises it: a local ZIP header
// with a name of ordinary length is the longest.
const sniffed = 512

// looksLikeSafetensors: the format has no magic, but a length that is possible
// and a brace after it.
func looksLikeSafetensors(head []byte) bool {
	return len(head) > 8 && head[8] == '{' && binary.LittleEndian.Uint64(head) <= MaxHeader
}

// claim returns the format that an extension stands for, which is none where
// several are in use: .bin, .pt and .pth.
func claim(name string) string {
	switch strings.ToLower(path.Ext(name)) {
	case ".safetensors":
		return Safetensors
	case ".gguf":
		return GGUF
	case ".onnx":
		return ONNX
	}
	return ""
}

func isTorchName(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".pt", ".pth", ".ckpt", ".bin":
		return true
	}
	return false
}

func malformed(format string, args ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{ErrMalformed}, args...)...)
}

func isMalformed(err error) bool { return errors.Is(err, ErrMalformed) }

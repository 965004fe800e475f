package modelfile

import (
	"errors"
	"path"
	"testing"

	"github.com/aivault/aivault/vault/modelfile/modelfiletest"
)

// fuzz reads what the fuzzer makes of good and broken files of a format. A
// reader must not crash, must refuse by one of its errors, and keep its bounds.
func fuzz(f *testing.F, format string) {
	extension := modelfiletest.Extension(format)
	for _, c := range modelfiletest.Broken() {
		if path.Ext(c.Name) == extension && len(c.Bytes) <= 4<<10 {
			f.Add(c.Bytes)
		}
	}
	f.Add(modelfiletest.Write(format, modelfiletest.Every(format)[:1]...))
	switch format {
	case ONNX:
		odd, _ := modelfiletest.ONNXOdd()
		f.Add(odd)
	case TorchZip:
		f.Add(modelfiletest.TorchZip64(modelfiletest.Every(format)...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range []string{"model" + extension, ""} {
			var l *Layout
			var err error
			spent := allocated(func() { l, err = read(b, name) })
			if limit := bound(int64(len(b))) + 1<<20; spent > limit { // the fuzzer allocates as well
				t.Errorf("%d bytes are allocated for %d", spent, len(b))
			}
			if err == nil {
				invariants(t, l, int64(len(b)))
			} else if l != nil || !errors.Is(err, ErrMalformed) && !errors.Is(err, ErrUnknown) {
				t.Errorf("%v, %v", l, err)
			}
		}
	})
}

func FuzzSafetensors(f *testing.F) { fuzz(f, Safetensors) }

func FuzzGGUF(f *testing.F) { fuzz(f, GGUF) }

func FuzzONNX(f *testing.F) { fuzz(f, ONNX) }

func FuzzTorchZip(f *testing.F) { fuzz(f, TorchZip) }

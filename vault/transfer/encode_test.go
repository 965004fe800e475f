package transfer_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault/modelfile/modelfiletest"
	"github.com/aivault/aivault/vault/transfer"
)

// weights returns n bf16 numbers as models have them.
func weights(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 0, 2*n)
	for range n {
		bits := math.Float32bits(float32(r.NormFloat64()*0.02)) >> 16
		b = append(b, byte(bits), byte(bits>>8))
	}
	return b
}

func TestEncodingSaves(t *testing.T) {
	src := tree(t, map[string]string{
		"model.safetensors": string(modelfiletest.Safetensors(modelfiletest.Tensor{Name: "w", DType: "bf16", Shape: []int64{3 << 20}, Data: weights(3 << 20)})),
		"tokenizer.json":    strings.Repeat(`{"a word": 1, "and others": 2}`, 50_000),
		"noise":             cheap(1, 5*mib),
	})
	for _, raw := range []bool{false, true} {
		v := newVault(t)
		p, id := v.newPush()
		p.Raw = raw
		var last transfer.Progress
		p.Progress = func(pr transfer.Progress) { last = pr }
		done, err := p.Run(t.Context(), scan(t, src), nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("raw %v: %d of %d bytes stored, %d saved", raw, done.Stored, done.Bytes, done.Saved)
		if done.Saved != last.Saved || raw != (done.Saved == 0) {
			t.Errorf("raw %v: %d saved, in the end %+v", raw, done.Saved, last)
		}
		if rest := done.Bytes - done.Saved; done.Stored < rest || done.Stored > rest+64<<10 {
			t.Errorf("raw %v: %d bytes stored of %d, and %d saved", raw, done.Stored, done.Bytes, done.Saved)
		}
		// A third of the weights, nearly all of the text.
		if !raw && done.Saved < 6*mib*3/10+1<<20 {
			t.Errorf("only %d of %d bytes were saved", done.Saved, done.Bytes)
		}
		s := v.source(p, done, id)
		dest := t.TempDir()
		mustPull(t, s, dest, transfer.PullOptions{})
		sameContents(t, dest, src)
		if report, err := transfer.Check(t.Context(), s, true, nil); err != nil || len(report.Problems) > 0 {
			t.Errorf("%+v, %v", report, err)
		}
		// What is borrowed is so however it is encoded.
		p, _ = v.newPush()
		p.Raw = !raw
		if again, err := p.Run(t.Context(), scan(t, src), v.base(s)); err != nil || !again.Unchanged {
			t.Errorf("%+v, %v", again, err)
		}
	}
}

// Padded chunks are encoded only where that spares a size class.
func TestPaddedChunksAreEncodedWhereThatHelps(t *testing.T) {
	v := newVault(t)
	v.padded = true
	src := tree(t, map[string]string{"text": strings.Repeat("word ", 300_000), "short": "text"})
	_, done := v.push(filepath.Join(src, "short"), nil)
	if done.Saved != 0 {
		t.Errorf("%d bytes of 4 were saved", done.Saved)
	}
	s, done := v.push(src, nil)
	if done.Saved < 1_400_000 || done.Stored > 6*70_000 {
		t.Errorf("%d bytes saved, %d stored", done.Saved, done.Stored)
	}
	dest := t.TempDir()
	mustPull(t, s, dest, transfer.PullOptions{})
	sameContents(t, dest, src)
}

// What is inserted into a large file that is no weight file moves the cuts around
// it.
func TestInsertionIntoALargeFile(t *testing.T) {
	v := newVault(t)
	const size = 80 * mib
	content := cheap(1, size)
	src := tree(t, map[string]string{"dataset": content})
	s, _ := v.push(src, nil)
	base := v.base(s)
	for _, at := range []int{0, 30 * mib} {
		write(t, filepath.Join(src, "dataset"), []byte(content[:at]+"an insertion"+content[at:]))
		p, id := v.newPush()
		done, err := p.Run(t.Context(), scan(t, src), base)
		if err != nil {
			t.Fatal(err)
		}
		// The piece it is in, and some on the way back to the old cuts.
		if done.Reused < size/3 {
			t.Errorf("at %d: %s", at, fmt.Sprint(done.Reused/mib, " of ", size/mib, " MiB were reused"))
		}
		dest := t.TempDir()
		mustPull(t, v.source(p, done, id), dest, transfer.PullOptions{})
		sameContents(t, dest, src)
	}
}

// A push that goes on with another encodes as that one did, whatever came first
// to which encoder: what was sent is recognised.
func TestEncodedChunksAreRecognised(t *testing.T) {
	v := newVault(t)
	var tensors []modelfiletest.Tensor
	w := weights(3 << 20)
	for i := range 6 {
		part := w[i<<20 : (i+1)<<20]
		tensors = append(tensors, modelfiletest.Tensor{Name: fmt.Sprint("w", i), DType: []string{"bf16", "u8", "f16"}[i%3], Shape: []int64{[]int64{1 << 19, 1 << 20, 1 << 19}[i%3]}, Data: part})
	}
	src := tree(t, map[string]string{"model.safetensors": string(modelfiletest.Safetensors(tensors...)), "a.json": strings.Repeat(`{"x": 1}`, 9000), "z.json": strings.Repeat(`{"z": 1}`, 90_000)})
	p, _ := v.newPush()
	first, err := p.Run(t.Context(), scan(t, src), nil)
	if err != nil || first.Saved == 0 {
		t.Fatal(first, err)
	}
	again := *p
	sent, err := transfer.ListSent(t.Context(), v.mem, v.aid, p.Version)
	if err != nil {
		t.Fatal(err)
	}
	next, _ := v.newPush()
	next.Version, next.Secret, next.Recipient, next.Sent = again.Version, again.Secret, again.Recipient, sent
	done, err := next.Run(t.Context(), scan(t, src), nil)
	if err != nil {
		t.Fatal(err)
	}
	if done.Reused != done.Bytes {
		t.Errorf("of %d bytes %d were recognised", done.Bytes, done.Reused)
	}
}

package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"strconv"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/codec"
	"github.com/aivault/aivault/vault/manifest"
)

// The stages of a transfer, each measured alone, on one core.
const (
	stageRead   = "read"
	stageBLAKE3 = "BLAKE3 of the chunk"
	stageSHA    = "SHA-256 of the file"
	stageSeal   = "seal (age)"
	stageSealed = "SHA-256 of the sealed chunk"
	stageName   = "CRC-64 in the name"
	stageOpen   = "open (age)"
	stageEncode = "encode (bf16)"
	stageDecode = "decode (bf16)"
)

// pushStages are those that every byte of a push goes through.
func pushStages() []string {
	return []string{stageRead, stageBLAKE3, stageSHA, stageSeal, stageSealed, stageName}
}

// pullStages are those of a pull, without writing.
func pullStages() []string { return []string{stageOpen, stageSHA} }

// kernelBytes bounds how much data the stages are measured on.
const kernelBytes = 256 << 20

// stepKernels measures every stage on the same chunks, taking turns chunk by chunk.
func stepKernels(_ context.Context, args []string) (map[string]spent, error) {
	return measureKernels(args[0], func(string) bool { return true })
}

// stepCoder is stepKernels for the bf16 coder alone, with a profile.
func stepCoder(_ context.Context, args []string) (sum map[string]spent, err error) {
	_, profileErr := profiled(args[1], 0, func() error {
		sum, err = measureKernels(args[0], func(stage string) bool { return stage == stageEncode || stage == stageDecode })
		return err
	})
	return sum, profileErr
}

// measureKernels measures the stages that are wanted on the files below dir.
func measureKernels(dir string, wanted func(stage string) bool) (map[string]spent, error) {
	id, err := seal.GenerateIdentity()
	if err != nil {
		return nil, err
	}
	k := kernels{id: id, wanted: wanted, secret: manifest.NewSecret(), sum: make(map[string]spent), encoder: codec.NewEncoder(), decoder: codec.NewDecoder(),
		encoded: make([]byte, 0, manifest.MaxChunk+codec.Spare),
		sealed:  make([]byte, 0, chunk.MaxSealed), opened: make([]byte, 0, manifest.MaxChunk)}
	buf := make([]byte, manifest.MaxChunk)
	left := int64(kernelBytes)
	return k.sum, walk(dir, func(_, path string) error {
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		for left > 0 {
			n, err := k.chunk(f, buf)
			if left -= int64(n); ended(err) {
				return nil
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

type kernels struct {
	id             *seal.Identity
	wanted         func(stage string) bool
	secret         manifest.Secret
	sealed, opened []byte
	encoder        *codec.Encoder
	decoder        *codec.Decoder
	encoding       string
	encoded        []byte
	sum            map[string]spent
}

// chunk takes the next chunk of f through all stages.
func (k *kernels) chunk(f io.Reader, buf []byte) (n int, err error) {
	var digest manifest.Digest
	read, err := timed(0, func() (err error) { n, err = io.ReadFull(f, buf); return err })
	if n == 0 || err != nil && !ended(err) {
		return n, errors.Join(err)
	}
	k.add(stageRead, int64(n), read)
	plain := buf[:n]
	for _, s := range []struct {
		name string
		do   func() error
	}{
		{stageBLAKE3, func() error { digest = manifest.Sum(plain); return nil }},
		{stageSHA, func() error { _ = canonical.Sum(plain); return nil }},
		{stageSeal, func() (err error) {
			k.sealed, err = seal.AppendSeal(k.sealed[:0], plain, 1, k.id.Recipient())
			return err
		}},
		{stageSealed, func() error { _ = canonical.Sum(k.sealed); return nil }},
		{stageName, func() error { _ = manifest.ChunkName(k.secret, digest, k.sealed); return nil }},
		{stageEncode, func() error {
			k.encoding, k.encoded = k.encoder.Encode(k.encoded[:0], plain, codec.BF16)
			return nil
		}},
		{stageDecode, func() (err error) {
			if k.encoding != codec.None {
				k.opened, err = k.decoder.Decode(k.opened[:0], k.encoded, k.encoding, len(plain))
			}
			return err
		}},
		{stageOpen, func() (err error) { k.opened, err = seal.AppendOpen(k.opened[:0], k.sealed, 1, k.id); return err }},
	} {
		if !k.wanted(s.name) {
			continue
		}
		took, stageErr := timed(0, s.do)
		if stageErr != nil {
			return n, stageErr
		}
		k.add(s.name, int64(n), took)
	}
	return n, err
}

func (k *kernels) add(name string, n int64, took spent) {
	s := k.sum[name]
	took.Bytes = n
	s.add(took)
	k.sum[name] = s
}

// stepHash sums files as the program sha256sum does, one after the other.
func stepHash(_ context.Context, args []string) (map[string]spent, error) {
	var n int64
	took, err := timed(0, func() error {
		return walk(args[0], func(_, path string) error {
			f, err := os.Open(path)
			if err != nil {
				return err
			}
			defer f.Close()
			h := sha256.New()
			got, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{f}, make([]byte, 1<<20))
			n += got
			return err
		})
	})
	took.Bytes = n
	return map[string]spent{"hash": took}, err
}

// directBlock is how much is written at once past the page cache.
const directBlock = 4 << 20

// stepDirect writes a file of about so many bytes past the page cache.
func stepDirect(_ context.Context, args []string) (_ map[string]spent, err error) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	if err != nil {
		return nil, err
	}
	blocks := max(1, size/directBlock)
	buf := aligned(directBlock)
	defer func() { err = errors.Join(err, os.Remove(args[0])) }()
	took, err := timed(blocks*directBlock, func() error {
		f, err := createDirect(args[0], blocks*directBlock)
		if err != nil {
			return err
		}
		for range blocks {
			if _, err := f.Write(buf); err != nil {
				return errors.Join(err, f.Close())
			}
		}
		return errors.Join(f.Sync(), f.Close())
	})
	return map[string]spent{"direct": took}, err
}

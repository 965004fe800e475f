package host

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"github.com/aivault/aivault/crypto/canonical"
)

// DigestOf returns the SHA-256 of the binary at path.
func DigestOf(path string) (canonical.Digest, error) {
	f, err := openBinary(path)
	if err != nil {
		return canonical.Digest{}, err
	}
	defer f.Close()
	var d canonical.Digest
	hash := sha256.New()
	if _, err := io.Copy(hash, f); err != nil {
		return d, err
	}
	hash.Sum(d[:0])
	return d, nil
}

// binary is a file of at most MaxBinary bytes.
type binary struct {
	io.Reader
	io.Closer
}

// openBinary opens a plugin's file without waiting for what is no file.
func openBinary(path string) (*binary, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !fi.Mode().IsRegular() || fi.Size() > MaxBinary {
		return nil, fmt.Errorf("%s is no file of at most %d MiB: %w", path, MaxBinary>>20, ErrStart)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &binary{io.LimitReader(f, MaxBinary), f}, nil
}

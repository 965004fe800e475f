package host

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/aivault/aivault/crypto/canonical"
	"golang.org/x/sys/unix"
)

// image is a private copy of a plugin's binary, in memory, which nobody can
// change any more, not even this process: what is hashed is what is executed,
// whatever happens to the file.
type image struct {
	file   *os.File
	digest canonical.Digest
}

// load copies the binary at path, if it is one of those allowed.
func load(path string, digests []canonical.Digest) (*image, error) {
	in, err := openBinary(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	fd, err := memory("aivault-plugin")
	if err != nil {
		return nil, fmt.Errorf("%w: making a private copy: %w", ErrStart, err)
	}
	img := &image{file: os.NewFile(uintptr(fd), "plugin")}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(hash, img.file), in)
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SEAL|unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE)
	}
	if err != nil {
		img.close()
		return nil, fmt.Errorf("%w: making a private copy: %w", ErrStart, err)
	}
	hash.Sum(img.digest[:0])
	if !slices.Contains(digests, img.digest) {
		img.close()
		return nil, fmt.Errorf("%s has the SHA-256 %s: %w", path, img.digest, ErrDigest)
	}
	return img, nil
}

// memory makes a file that is in no file system. Where the kernel is too old to
// know that memory may be declared executable, it is so anyhow.
func memory(name string) (int, error) {
	const flags = unix.MFD_CLOEXEC | unix.MFD_ALLOW_SEALING
	fd, err := unix.MemfdCreate(name, flags|unix.MFD_EXEC)
	if errors.Is(err, unix.EINVAL) {
		fd, err = unix.MemfdCreate(name, flags)
	}
	return fd, err
}

// path is what a child of this process executes.
func (i *image) path() string { return fmt.Sprintf("/proc/self/fd/%d", i.file.Fd()) }

func (i *image) close() error { return i.file.Close() }

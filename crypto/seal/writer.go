package seal

import (
	"fmt"
	"io"

	"filippo.io/age"
)

// NewWriter seals what is written to it, for one recipient, and writes it to w as
// it comes: for what is larger than an object. The file is whole only once the
// writer was closed without an error; Close does not close w. Memory: one segment
// of 64 KiB. It is not safe for concurrent use.
func NewWriter(w io.Writer, to *Recipient) (io.WriteCloser, error) {
	out, err := age.Encrypt(w, to.age)
	if err != nil {
		return nil, fmt.Errorf("seal to %.20s…: %w", to, err)
	}
	return out, nil
}

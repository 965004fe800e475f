package transfer

import (
	"fmt"

	"github.com/aivault/aivault/vault/manifest"
)

// pieces checks that selected files are whole, also where parts between them
// were not looked at.
type pieces struct {
	path      string
	end, size int64
}

func (s *pieces) next(e *manifest.Entry) error {
	if e.At == 0 {
		if err := s.done(); err != nil {
			return err
		}
	} else if e.Path != s.path || e.At != s.end {
		return fmt.Errorf("%w: %q goes on at %d after %q to %d", manifest.ErrMalformed, e.Path, e.At, s.path, s.end)
	}
	*s = pieces{e.Path, e.End(), e.Size}
	return nil
}

func (s *pieces) done() error {
	if s.end != s.size {
		return fmt.Errorf("%w: %q ends at %d of %d bytes", manifest.ErrMalformed, s.path, s.end, s.size)
	}
	return nil
}

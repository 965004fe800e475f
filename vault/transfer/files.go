package transfer

import (
	"context"
	"iter"

	"github.com/aivault/aivault/vault/manifest"
)

// Files yields the files and empty directories of the version as its manifest
// lists them, in bytewise order of their paths. It reads the manifest alone, and
// compares nothing with the references. An error comes last; ErrIntegrity: a
// part does not verify.
func (v *Version) Files(ctx context.Context) iter.Seq2[*manifest.Entry, error] {
	return func(yield func(*manifest.Entry, error) bool) {
		for l, err := range v.parts(ctx, all) {
			if err == nil {
				err = l.err
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for i := range l.part.Entries {
				if e := &l.part.Entries[i]; e.At == 0 && !yield(e, nil) {
					return
				}
			}
		}
	}
}

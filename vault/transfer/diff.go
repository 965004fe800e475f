package transfer

import (
	"context"
	"iter"
	"strings"

	"github.com/aivault/aivault/vault/manifest"
)

// FileDifference is a file or empty directory that two versions do not have in
// common: in one of them alone, or with other bytes or another mode.
type FileDifference struct {
	From, To *manifest.Entry // without extents; nil: not there
}

// Path is the file's.
func (d *FileDifference) Path() string {
	if d.To != nil {
		return d.To.Path
	}
	return d.From.Path
}

// Content reports whether the file is in both versions with other bytes.
func (d *FileDifference) Content() bool {
	return d.From != nil && d.To != nil && d.From.SHA256 != d.To.SHA256
}

// DiffFiles yields what differs between the files of two versions, in bytewise
// order of paths. It reads the manifests alone. An error comes last; ErrIntegrity:
// a part does not verify.
func DiffFiles(ctx context.Context, from, to *Version) iter.Seq2[FileDifference, error] {
	return func(yield func(FileDifference, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		before, stopBefore := iter.Pull2(from.Files(ctx))
		defer stopBefore()
		after, stopAfter := iter.Pull2(to.Files(ctx))
		defer stopAfter()
		x, err, moreX := before()
		if err != nil {
			yield(FileDifference{}, err)
			return
		}
		y, err, moreY := after()
		for err == nil && (moreX || moreY) {
			order := 0
			switch {
			case !moreY:
				order = -1
			case !moreX:
				order = 1
			default:
				order = strings.Compare(x.Path, y.Path)
			}
			d := FileDifference{}
			if order <= 0 {
				d.From = bare(x)
				x, err, moreX = before()
			}
			if order >= 0 && err == nil {
				d.To = bare(y)
				y, err, moreY = after()
			}
			if err != nil {
				break
			}
			same := order == 0 && d.From.Mode == d.To.Mode && d.From.Size == d.To.Size && d.From.SHA256 == d.To.SHA256
			if !same && !yield(d, nil) {
				return
			}
		}
		if err != nil {
			yield(FileDifference{}, err)
		}
	}
}

func bare(e *manifest.Entry) *manifest.Entry {
	return &manifest.Entry{Path: e.Path, Mode: e.Mode, Size: e.Size, SHA256: e.SHA256}
}

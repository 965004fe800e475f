package vault

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/vault/transfer"
)

// Diff is what two versions do not have in common.
type Diff struct {
	From, To  VersionRef
	Files     []transfer.FileDifference   // in bytewise order of paths
	Tensors   []transfer.TensorDifference // of files that both have and whose content differs
	Freshness string                      // of what is known least freshly
}

// VersionRef names a version.
type VersionRef struct {
	Artefact string
	Version  int
	Digest   string
}

// Diff compares two versions, of one artefact or of two, file by file, and weight
// files that differ tensor by tensor. It reads the manifests, and of the content
// only the tensors of which those do not tell. Memory: some hundred bytes for each
// difference, and for each tensor and chunk of a weight file that differs.
//
// Errors as of Pull; both versions must be readable.
func (v *Vault) Diff(ctx context.Context, from, to Ref) (*Diff, error) {
	d := &Diff{}
	var opened [2]*transfer.Version
	for i, ref := range []Ref{from, to} {
		l, a, cv, err := v.resolve(ctx, ref)
		if err != nil {
			return nil, err
		}
		if err := checkUsable(a.Name, cv); err != nil {
			return nil, err
		}
		if err := v.checkFresh(a.ID.String(), cv.Ref(a.Name)); err != nil {
			return nil, err
		}
		if opened[i], err = v.openVersion(ctx, l, a, cv, v.session.Store); err != nil {
			return nil, fmt.Errorf("opening %s: %w", cv.Ref(a.Name), err)
		}
		*[]*VersionRef{&d.From, &d.To}[i] = VersionRef{a.Name, cv.Number, cv.Digest.String()}
		if fresh := v.freshness(a.ID.String()); i == 0 || fresh == FreshNone {
			d.Freshness = fresh
		}
	}
	var changed []string
	for f, err := range transfer.DiffFiles(ctx, opened[0], opened[1]) {
		if err != nil {
			return nil, fmt.Errorf("comparing the files: %w", err)
		}
		d.Files = append(d.Files, f)
		if f.Content() {
			changed = append(changed, f.Path())
		}
	}
	if len(changed) > 0 {
		var err error
		if d.Tensors, err = transfer.DiffTensors(ctx, opened[0], opened[1], changed); err != nil {
			return nil, fmt.Errorf("comparing the tensors: %w", err)
		}
	}
	v.keep()
	return d, nil
}

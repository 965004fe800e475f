package vault

import (
	"context"
	"errors"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// FileInfo is one file of a version.
type FileInfo struct {
	Path   string
	Mode   string // "0644", "0755", or "dir" for an empty directory
	Size   int64
	SHA256 canonical.Digest
}

// VersionInfo is all there is to know of a version.
type VersionInfo struct {
	state.CommittedVersion
	Artefact  string
	Channels  []string   // that point to it
	Relations []Relation // what it is related to
	Pinned    []PartInfo // of a system
	Sealed    bool       // this member cannot open it: Files, FileCount and Bytes are unknown
	Why       string     // it is sealed to this member
	Files     []FileInfo
	FileCount int64
	Bytes     int64
	Head      ledger.Pin
	Freshness string
}

// Show tells what the journal says of a version, and, if this member may read
// it and reaches the keeper, what is in it. A destroyed version is shown as
// such: that is no error here.
func (v *Vault) Show(ctx context.Context, ref Ref) (*VersionInfo, error) {
	l, a, cv, err := v.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	if err := v.readKinIfSound(ctx, a, cv); err != nil {
		return nil, err
	}
	info := &VersionInfo{CommittedVersion: *cv, Relations: relations(a, cv), Artefact: a.Name, Head: pinOf(a), Freshness: v.freshness(a.ID.String()), Channels: channelsTo(a, cv.VID)}
	if info.Pinned, err = v.pinned(ctx, cv); err != nil {
		return nil, err
	}
	if err := checkUsable(a.Name, cv); err != nil {
		info.Sealed, info.Why = true, err.Error()
		return info, nil
	}
	version, err := v.openVersion(ctx, l, a, cv, v.session.Store)
	if errors.Is(err, ErrNotPermitted) || errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrDenied) {
		info.Sealed, info.Why = true, err.Error()
		return info, nil
	}
	if err != nil {
		return nil, fmt.Errorf("opening %s: %w", cv.Ref(a.Name), err)
	}
	info.FileCount, info.Bytes = version.Root.Files, version.Root.Bytes
	for f, err := range version.Files(ctx) {
		if err != nil {
			return nil, fmt.Errorf("reading the manifest of %s: %w", cv.Ref(a.Name), err)
		}
		info.Files = append(info.Files, FileInfo{Path: f.Path, Mode: string(f.Mode), Size: f.Size, SHA256: f.SHA256})
	}
	v.keep()
	return info, nil
}

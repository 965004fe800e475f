package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/lineage"
	"github.com/aivault/aivault/vault/receipt"
	"github.com/aivault/aivault/vault/state"
)

// findDigest finds the version with a digest, or the versions that hold a file
// with it. For the latter every version that this member can open is opened, and
// its manifest read.
func (i *impact) findDigest(ctx context.Context) error {
	d := i.options.Digest
	for _, k := range i.web.order {
		if i.web.committed(k).Digest == d {
			i.source(k, "this is its version digest")
		}
	}
	if len(i.sources) > 0 {
		return nil
	}
	for _, k := range i.web.order {
		path, err := i.holds(ctx, k)
		switch {
		case err == nil && path != "":
			i.source(k, "it holds that file as "+path)
		case err == nil:
		case concernsOne(err):
			i.unread[k] = err.Error()
		default:
			return fmt.Errorf("looking into %s: %w", i.web.ref(k), err)
		}
	}
	return nil
}

// concernsOne reports whether an error is about one version, and leaves the others
// to be looked into.
func concernsOne(err error) bool {
	for _, is := range []error{ErrNotPermitted, ErrDestroyed, ErrRefused, custody.ErrUnavailable, custody.ErrDenied, custody.ErrDestroyed} {
		if errors.Is(err, is) {
			return true
		}
	}
	return broken(err) || errors.Is(err, backends.NotExist)
}

// holds returns the path of a file of a version that has the digest, "" if it has
// none.
func (i *impact) holds(ctx context.Context, k lineage.Key) (string, error) {
	a, cv := i.web.kin[k.Artefact], i.web.committed(k)
	if err := checkUsable(a.Name, cv); err != nil {
		return "", err
	}
	version, err := i.openVersion(ctx, i.web.ledgers[k.Artefact], a, cv, i.session.Store)
	if err != nil {
		return "", err
	}
	for f, err := range version.Files(ctx) {
		if err != nil {
			return "", err
		}
		if f.SHA256 == i.options.Digest && f.Mode != "dir" {
			return f.Path, nil
		}
	}
	return "", nil
}

// holders enters who holds plaintext of what is suspect: receipts of pulls, one
// line for each member, machine and set of labels, and transfers to new owners.
func (i *impact) holders(ctx context.Context) error {
	at := map[lineage.Key]*Affected{}
	suspects := map[canonical.Digest]*state.Artefact{}
	for n := range i.report.Versions {
		f := &i.report.Versions[n]
		if f.Effect != lineage.Source && f.Effect != lineage.Suspect {
			continue
		}
		id, err := i.artefactID(f.Artefact)
		if err != nil {
			return err
		}
		k := lineage.Key{Artefact: id, Version: f.VID}
		at[k] = f
		suspects[id] = i.web.kin[id]
		for _, t := range i.web.committed(k).Transfers {
			f.Holders = append(f.Holders, Holder{By: cmp.Or(t.Owner, "a new owner"), Last: t.Time.UTC(), Times: 1, Owner: true})
		}
	}
	for _, a := range suspects {
		if err := i.receipts(ctx, a, at); err != nil {
			return err
		}
	}
	return nil
}

func (i *impact) receipts(ctx context.Context, a *state.Artefact, at map[lineage.Key]*Affected) error {
	seen := map[string]int{} // where in Holders
	for r, err := range receipt.List(ctx, i.config.Store, i.ledger, a.ID) {
		switch {
		case errors.Is(err, receipt.ErrMalformed):
			continue
		case errors.Is(err, backends.Denied):
			i.report.Gaps = append(i.report.Gaps, fmt.Sprintf("receipts of %s: %v", a.Name, err))
			return nil
		case err != nil:
			return fmt.Errorf("receipts of %s: %w", a.Name, err)
		}
		f := at[lineage.Key{Artefact: a.ID, Version: r.Version}]
		if f == nil {
			continue
		}
		h := Holder{By: r.By.String(), Host: r.Host, Labels: r.Labels, Last: r.Time.UTC(), Times: 1}
		if m := i.State().ByKey(r.By); m != nil {
			h.By = m.Name
		}
		id := strings.Join([]string{r.Version.String(), h.By, h.Host}, "\x00")
		for _, l := range slices.Sorted(maps.Keys(r.Labels)) {
			id += "\x00" + l + "\x00" + r.Labels[l]
		}
		n, known := seen[id]
		if !known {
			seen[id] = len(f.Holders)
			f.Holders = append(f.Holders, h)
			continue
		}
		f.Holders[n].Times++
		if h.Last.After(f.Holders[n].Last) {
			f.Holders[n].Last = h.Last
		}
	}
	for _, f := range at {
		slices.SortStableFunc(f.Holders, func(x, y Holder) int {
			return cmp.Or(cmp.Compare(x.By, y.By), cmp.Compare(x.Host, y.Host), x.Last.Compare(y.Last))
		})
	}
	return nil
}

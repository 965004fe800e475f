package vault

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/lineage"
	"github.com/aivault/aivault/vault/state"
)

// ImpactOptions says what is suspect: one of these, and perhaps a window.
type ImpactOptions struct {
	Refs      []Ref
	SourceURL string           // what was got there, or below it
	Digest    canonical.Digest // a version digest, or the SHA-256 of a file
	Key       canonical.Digest // what was signed with it
	Scanner   string           // what was scanned under this name of evidence
	// From and To bound when it was acquired (SourceURL) or signed (Key), both
	// included; zero: no bound.
	From, To time.Time
}

// Affected is a version that something suspect touches.
type Affected struct {
	GraphVersion
	Effect  lineage.Effect
	Why     string // in words
	Via     string // the version through which it is; "" for a source
	Role    string // how it is related to that
	Steps   int    // from the nearest source
	Holders []Holder
}

// Holder is who has plaintext of a version, as far as receipts and the journal tell.
type Holder struct {
	By     string // a member, or the new owner of what was handed over
	Host   string
	Labels map[string]string
	Last   time.Time
	Times  int  // how often it was taken
	Owner  bool // it was handed over
}

// Signed is an entry that a key has signed.
type Signed struct {
	Journal string // "vault", or the artefact's name
	Seq     uint64
	Time    time.Time
	Kind    string
	What    string
}

// Unexcluded is a version of which nobody can tell whether it is affected.
type Unexcluded struct {
	GraphVersion
	Why string
}

// ImpactReport is what follows if something is suspect.
type ImpactReport struct {
	Versions  []Affected     // the sources first, then the nearest
	Ancestors []GraphVersion // of the sources: where to look for the cause
	Links     []Link         // among Versions and, numbered after them, Ancestors
	Signed    []Signed       // with Key, the oldest first of each journal
	Open      []Unexcluded
	Gaps      []string // what else could not be looked at
	Complete  bool     // nothing is open
	Freshness string
}

// Impact tells what is affected if something is suspect: all that descends from
// it, through whatever number of artefacts; whose evidence rests on it; the
// channels that point there; who holds plaintext; and what cannot be excluded.
// It takes no right to read, but for the SHA-256 of a file: versions that this
// member cannot open are then open questions.
//
// Errors: ErrNotFound for a reference, key or scanner that is not there; ErrRefused
// for the want of a question, or for several.
func (v *Vault) Impact(ctx context.Context, o ImpactOptions) (*ImpactReport, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	w, err := v.readLineage(ctx)
	if err != nil {
		return nil, err
	}
	i := &impact{Vault: v, web: w, options: o, why: map[lineage.Key]string{}, unread: map[lineage.Key]string{},
		report: &ImpactReport{Freshness: v.freshness(entry.VaultJournal)}}
	if err := i.find(ctx); err != nil {
		return nil, err
	}
	i.follow()
	if err := i.holders(ctx); err != nil {
		return nil, err
	}
	i.report.Complete = len(i.report.Open) == 0 && len(i.report.Gaps) == 0
	v.keep()
	return i.report, nil
}

func (o ImpactOptions) check() error {
	n := 0
	for _, given := range []bool{len(o.Refs) > 0, o.SourceURL != "", !o.Digest.IsZero(), !o.Key.IsZero(), o.Scanner != ""} {
		if given {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%d things to look for, it must be one: %w", n, ErrRefused)
	}
	return nil
}

// within reports whether a time is in the window.
func (o ImpactOptions) within(t entry.Time) bool {
	return (o.From.IsZero() || !t.Before(o.From)) && (o.To.IsZero() || !t.After(o.To))
}

// impact is one search.
type impact struct {
	*Vault
	web     *web
	options ImpactOptions
	sources []lineage.Key
	why     map[lineage.Key]string // why a version is a source, or touched otherwise
	touched []lineage.Key          // not sources: what is shown for them is void
	unread  map[lineage.Key]string // versions that could not be opened, and why
	report  *ImpactReport
}

// source enters a version as what is suspect.
func (i *impact) source(k lineage.Key, why string) {
	if _, known := i.why[k]; !known {
		i.sources = append(i.sources, k)
	}
	i.why[k] = why
}

// find looks for what is suspect.
func (i *impact) find(ctx context.Context) error {
	switch o := i.options; {
	case len(o.Refs) > 0:
		return i.findRefs()
	case o.SourceURL != "":
		i.findSource()
	case !o.Key.IsZero():
		return i.findKey()
	case o.Scanner != "":
		return i.findScanner()
	default:
		return i.findDigest(ctx)
	}
	return nil
}

func (i *impact) findRefs() error {
	for _, r := range i.options.Refs {
		id, err := i.artefactID(r.Artefact)
		if err != nil {
			return err
		}
		a := i.web.kin[id]
		if a == nil {
			return fmt.Errorf("artefact %s: %w", r.Artefact, ErrNotFound)
		}
		cv, err := find(a, r)
		if err != nil {
			return err
		}
		i.source(lineage.Key{Artefact: id, Version: cv.VID}, "it was asked about")
	}
	return nil
}

// findSource finds what was got at a URL, or below it.
func (i *impact) findSource() {
	for _, k := range i.web.order {
		for _, s := range i.web.committed(k).Sources {
			if i.options.within(s.Acquired) && below(s.URL, i.options.SourceURL) {
				i.source(k, fmt.Sprintf("it comes from %s, acquired on %s", s.URL, s.Acquired))
			}
		}
	}
}

// below reports whether a URL is the same as another, or leads to something
// below it. How schemes and hosts are capitalised, a slash at the end and a
// fragment make no difference.
func below(text, top string) bool {
	u, err1 := url.Parse(text)
	t, err2 := url.Parse(top)
	if err1 != nil || err2 != nil {
		return text == top
	}
	if !strings.EqualFold(u.Scheme, t.Scheme) || !strings.EqualFold(u.Host, t.Host) || u.Opaque != t.Opaque || t.RawQuery != "" && t.RawQuery != u.RawQuery {
		return false
	}
	path, base := strings.TrimRight(u.EscapedPath(), "/"), strings.TrimRight(t.EscapedPath(), "/")
	return path == base || strings.HasPrefix(path, base+"/")
}

// findScanner finds what was scanned by a scanner that is not to be relied on.
func (i *impact) findScanner() error {
	for _, k := range i.web.order {
		for _, e := range i.web.committed(k).Evidence {
			if e.Type == state.Scan && e.Attest.Name == i.options.Scanner {
				i.touch(k, fmt.Sprintf("its scan %s says %s, by %s on %s", e.Attest.Name, e.Result, e.By, e.Time))
			}
		}
	}
	if len(i.touched) == 0 {
		return fmt.Errorf("no scan is attested under the name %q: %w", i.options.Scanner, ErrNotFound)
	}
	return nil
}

// touch enters a version whose evidence is void.
func (i *impact) touch(k lineage.Key, why string) {
	if _, known := i.why[k]; !known {
		i.touched, i.why[k] = append(i.touched, k), why
	} else {
		i.why[k] += "; " + why
	}
}

// findKey finds what a key has signed in the window.
func (i *impact) findKey() error {
	key := i.options.Key
	if i.State().Key(key) == nil {
		return fmt.Errorf("key %s is and was no member's: %w", key, ErrNotFound)
	}
	i.signed(entry.VaultJournal, i.ledger.Log().Entries, i.ledger.Voids(), describeVault)
	for _, a := range i.web.sorted() {
		i.signed(a.Name, i.web.ledgers[a.ID].Log().Entries, a.Voids, func(e *entry.Entry) string { return describe(a, e) })
		for _, cv := range a.Versions {
			if cv.Key == key && i.options.within(cv.Time) {
				i.source(lineage.Key{Artefact: a.ID, Version: cv.VID}, fmt.Sprintf("%s pushed it on %s", cv.By, cv.Time))
			}
		}
	}
	for _, k := range i.web.order {
		cv := i.web.committed(k)
		for _, ap := range cv.Approvals {
			if ap.Key == key && i.options.within(ap.Time) {
				i.touch(k, fmt.Sprintf("%s approved it on %s", ap.By, ap.Time))
			}
		}
		for _, e := range cv.Evidence {
			if e.Key == key && i.options.within(e.Time) {
				i.touch(k, fmt.Sprintf("its %s says %s, by %s on %s", strings.TrimSpace(e.Type+" "+e.Attest.Name), e.Result, e.By, e.Time))
			}
		}
	}
	return nil
}

// signed enters the entries of a journal that the key has signed, and that count.
func (i *impact) signed(name string, entries []*entry.Entry, voids []state.Void, what func(*entry.Entry) string) {
	void := map[uint64]bool{}
	for _, vd := range voids {
		void[vd.At.Seq] = true
	}
	for _, e := range entries {
		if e.Author == i.options.Key && i.options.within(e.Time) && !void[e.Seq] {
			i.report.Signed = append(i.report.Signed, Signed{name, e.Seq, e.Time.UTC(), e.Kind, what(e)})
		}
	}
}

// follow walks the lineage from what is suspect.
func (i *impact) follow() {
	result := i.web.graph.Impact(i.sources, slices.Collect(maps.Keys(i.unread)))
	var keys []lineage.Key
	in := map[lineage.Key]bool{}
	enter := func(f lineage.Found, why string) {
		keys, in[f.Key] = append(keys, f.Key), true
		i.report.Versions = append(i.report.Versions, Affected{GraphVersion: i.web.version(f.Key), Effect: f.Effect, Why: why, Via: i.web.ref(f.Via), Role: f.Role, Steps: f.Steps, Holders: []Holder{}})
	}
	for _, f := range result.Found {
		why := i.why[f.Key]
		if f.Effect != lineage.Source {
			why = strings.TrimSuffix(fmt.Sprintf("%s; %s", i.related(f), why), "; ")
		}
		enter(f, why)
	}
	for _, k := range i.touched {
		if !in[k] {
			enter(lineage.Found{Key: k, Effect: lineage.Evidence}, i.why[k])
		}
	}
	for _, f := range i.web.graph.Ancestors(i.sources) {
		if !in[f.Key] {
			keys, in[f.Key] = append(keys, f.Key), true
			i.report.Ancestors = append(i.report.Ancestors, i.web.version(f.Key))
		}
	}
	i.report.Links = i.web.links(keys)
	if len(i.sources) == 0 && i.options.SourceURL == "" && i.options.Digest.IsZero() {
		return // nothing came of anything suspect, whatever others descend from
	}
	for _, o := range result.Open {
		cv := i.web.committed(o.Key)
		worrying := slices.Contains([]string{"model", "dataset", state.KindSystem}, cv.Version.Kind) && len(cv.Parts) == 0
		if worrying && cv.State <= state.Executed {
			i.report.Open = append(i.report.Open, Unexcluded{i.web.version(o.Key), i.excuse(o)})
		}
	}
	slices.SortStableFunc(i.report.Open, func(x, y Unexcluded) int {
		return cmp.Or(cmp.Compare(x.Artefact, y.Artefact), cmp.Compare(x.Number, y.Number))
	})
}

// related says how a version is related to what is suspect.
func (i *impact) related(f lineage.Found) string {
	via := i.web.ref(f.Via)
	for _, e := range edgesOf(i.web.committed(f.Key)) {
		if e.Role == f.Role && (lineage.Key{Artefact: e.Artefact, Version: e.Version}) == f.Via {
			return f.Role + " " + via
		}
	}
	if f.Role == pins {
		return via + " pins it"
	}
	return fmt.Sprintf("%s is %s it", via, f.Role)
}

// excuse says why a version cannot be excluded.
func (i *impact) excuse(o lineage.Open) string {
	var why string
	switch o.Why {
	case lineage.Incomplete:
		why = "its lineage is not declared complete"
	case lineage.Missing:
		why = "it names a version of which storage shows nothing"
	default:
		why = "its files could not be looked into: " + i.unread[o.From]
	}
	if o.From == o.Key {
		return why
	}
	return fmt.Sprintf("it descends from %s: %s", i.web.ref(o.From), why)
}

package vault

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/chunk"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// PushOptions describes a version to be.
type PushOptions struct {
	Artefact       string
	Paths          []string // one directory: its contents; several paths: each under its base name
	Exclude        []string // globs
	Follow         bool     // links within Paths: what they lead to is stored in their place
	Channel        string   // to move to the version; "": the default one, if the author may
	Kind           string   // "": model
	Classification string   // "": internal
	Labels         map[string]string
	Sources        []state.Source // where material from outside was got, and when
	DerivedFrom    []Derivation   // earlier versions that it is related to
	Complete       bool           // DerivedFrom and Sources name all that it comes from
	Justification  string         // a file that says why material from outside is used; "": none
	Parts          []Part         // of a system, which Paths may then add files to, or nothing
	Encode         string         // "", "auto": make smaller what gains; "none": store everything as it is
	IfVersion      *int           // only if the newest version has this number
	Op             canonical.ID   // zero: drawn; the same author's retry with the same id returns the first version
}

// PushResult is the version that stands after a push.
type PushResult struct {
	Artefact  string
	Version   int
	Digest    canonical.Digest
	VID       canonical.ID
	Files     int64 // of what was pushed; 0 if an earlier try had done the work
	Bytes     int64 // of those files
	Stored    int64 // bytes that the version takes in storage, shared objects included
	Uploaded  int64 // bytes that this push sent
	Reused    int64 // bytes of files that storage had already
	Resumed   bool  // it went on with a push that was broken off
	Saved     int64 // bytes of files that encoding spared sending
	Changed   bool  // a version was made, or a channel moved
	Channel   string
	Head      ledger.Pin
	Freshness string
}

// errUnchanged ends a push that found its files in storage already.
var errUnchanged = errors.New("nothing changed")

// Push stores files as a new version. An artefact that is not registered is,
// if the author may. A reader's push borrows what the newest version holds, and
// where that is everything it makes no version. A pusher who may not read
// stores all of it anew.
//
// Errors: ErrNotPermitted; ErrConflict for IfVersion; ErrRefused while a
// disposal of the whole artefact is under way; ErrDestroyed after it;
// ErrChanged, transfer.ErrSource; those of storage and keeper.
func (v *Vault) Push(ctx context.Context, o PushOptions) (*PushResult, error) {
	o.Kind, o.Classification = cmp.Or(o.Kind, "model"), cmp.Or(o.Classification, "internal")
	described := state.Version{Kind: o.Kind, Classification: o.Classification, Labels: o.Labels}
	scan := transfer.ScanOptions{Exclude: o.Exclude, Follow: o.Follow}
	if len(o.Parts) > 0 {
		pins, document, err := v.pin(ctx, o.Artefact, o.Parts)
		if err != nil {
			return nil, err
		}
		described.Parts, scan.Add = pins, []transfer.Added{{Path: state.SystemFile, Data: document}}
	}
	if err := described.Check(); err != nil {
		return nil, err
	}
	if err := v.describeOrigin(ctx, o, &described); err != nil {
		return nil, err
	}
	if o.Encode != "" && o.Encode != "auto" && o.Encode != "none" {
		return nil, fmt.Errorf("encoding %q: it is auto or none", o.Encode)
	}
	if o.Op.IsZero() {
		o.Op = canonical.NewID()
	}
	tree, err := transfer.Scan(ctx, o.Paths, scan)
	if err != nil {
		return nil, err
	}
	for _, p := range described.Parts {
		if slices.Contains(tree.Top(), p.Name) {
			return nil, fmt.Errorf("%s: part %s is pulled to a directory of this name, and nothing else can be there: %w", p.Name, p.Name, ErrSource)
		}
	}
	l, a, err := v.fold(ctx, o.Artefact)
	if errors.Is(err, ErrNotFound) || err == nil && a.Current == nil && !a.Ended {
		if may := v.State().May(v.session.Author(), state.KindRegister, o.Artefact, entry.At(v.config.Now())); may != nil {
			return nil, fmt.Errorf("%s is not registered; a developer, operator or custodian runs aivault register %s: %w", o.Artefact, o.Artefact, may)
		}
		err = v.register(ctx, l, o.Artefact, nil)
		a = l.State()
	}
	if err != nil {
		return nil, err
	}
	if err := v.justify(ctx, l, a, o, &described); err != nil {
		return nil, err
	}
	p := &push{vault: v, options: o, described: described, tree: tree, ledger: l}
	if p.described.Move, err = p.channel(a); err != nil {
		return nil, err
	}
	before := a.ByOp(v.session.Author(), o.Op)
	cv, err := p.run(ctx)
	if errors.Is(err, errUnchanged) {
		return p.unchanged(ctx)
	}
	if err != nil {
		return nil, pushError(o.Artefact, err)
	}
	v.keep()
	res := p.result(cv)
	res.Changed = before == nil
	return res, nil
}

// pushError gives the errors of the key layer their names here.
func pushError(name string, err error) error {
	switch {
	case errors.Is(err, keyring.ErrEnded):
		return fmt.Errorf("%s: %w: %w", name, ErrDestroyed, err)
	case errors.Is(err, keyring.ErrEnding):
		return fmt.Errorf("%s: %w: %w", name, ErrRefused, err)
	}
	return fmt.Errorf("pushing %s: %w", name, err)
}

// push is one push under way.
type push struct {
	vault     *Vault
	options   PushOptions
	described state.Version // the fields that describe, and the channel to move
	tree      *transfer.Tree
	ledger    *ledger.Artefact
	ring      *keyring.Ring

	begun  *begunPush // to go on with; nil: none
	vid    canonical.ID
	upload *transfer.Push
	secret state.Version // where the digest of s stands
	pushed *transfer.Pushed
	latest *state.CommittedVersion // what it was compared with
}

// channel says which channel the version entry moves: the one that was asked
// for, or the default one if the author may move it and it has no gates.
func (p *push) channel(a *state.Artefact) (string, error) {
	self := p.vault.Self()
	if self == nil {
		return "", fmt.Errorf("%w: this identity is no member's", ErrNotPermitted)
	}
	if c := p.options.Channel; c != "" {
		if err := state.CheckShortName(c); err != nil {
			return "", err
		}
		if !a.MayMove(self.Name, c) {
			return "", fmt.Errorf("moving channel %s takes an operator of %s: %w", c, p.options.Artefact, ErrNotPermitted)
		}
		if a.Gated(c, p.options.Kind) {
			return "", fmt.Errorf("channel %s has gates, and no push moves it (rule %s): %w", c, state.RuleGates, ErrGates)
		}
		return c, nil
	}
	if a.MayMove(self.Name, state.DefaultChannel) && !a.Gated(state.DefaultChannel, p.options.Kind) {
		return state.DefaultChannel, nil
	}
	return "", nil
}

func (p *push) run(ctx context.Context) (*state.CommittedVersion, error) {
	keepers, err := p.vault.connect(ctx)
	if err != nil {
		keepers = nil // who cannot reach the keeper cannot compare, but can push
	}
	p.ring = p.vault.ring(p.ledger, p.vault.session.Store, keepers)
	if p.begun, err = p.findBegun(ctx); err != nil {
		return nil, err
	}
	return p.ring.Push(ctx, keyring.Push{Op: p.options.Op, Check: p.check, Upload: p.store, Resume: p.begun.resume()})
}

// check holds at every fold before the entry is written.
func (p *push) check(a *state.Artefact) error {
	if want := p.options.IfVersion; want != nil && *want != len(a.Versions) {
		return fmt.Errorf("%s: the newest version is v%d, not v%d: %w", p.options.Artefact, len(a.Versions), *want, ErrConflict)
	}
	return nil
}

// store uploads what the version needs and returns its entry.
func (p *push) store(ctx context.Context, at keyring.Attempt) (state.Version, error) {
	if p.upload == nil || p.vid != at.VID {
		if err := p.prepare(at); err != nil {
			return state.Version{}, err
		}
	}
	base, through, err := p.base(ctx, at.Artefact)
	if err != nil {
		return state.Version{}, err
	}
	first := &firstPut{Store: p.vault.session.Store, before: func(ctx context.Context) error { return p.begin(ctx, at) }}
	p.upload.Store = first
	if p.pushed, err = p.upload.Run(ctx, p.tree, base); err != nil {
		return state.Version{}, err
	}
	if p.pushed.Unchanged {
		return state.Version{}, errUnchanged
	}
	body := p.described
	body.Secret, body.Manifest, body.References, body.Digest = p.secret.Secret, p.pushed.Manifest, p.pushed.References, p.pushed.Digest
	body.Stored, body.Uploaded = p.pushed.Stored, p.pushed.Uploaded
	if p.pushed.Borrowed {
		body.Borrowed = []canonical.ID{through.VID}
	}
	return body, nil
}

// prepare draws the push secret of a version, or takes that of the push to go on
// with, and sets up its upload.
func (p *push) prepare(at keyring.Attempt) error {
	recipient, err := seal.ParseRecipient(at.Key.Recipient())
	if err != nil {
		return err
	}
	metadata, err := seal.ParseRecipient(p.vault.State().CurrentMetadata().Recipient)
	if err != nil {
		return err
	}
	c := p.vault.config
	p.vid = at.VID
	p.upload = &transfer.Push{Artefact: at.Artefact.ID, Version: at.VID, Recipient: recipient, Metadata: metadata, Secret: manifest.NewSecret(),
		Padded: p.options.Classification == "confidential", Raw: p.options.Encode == "none", Jobs: c.Jobs, Stall: c.Stall, Progress: c.Progress}
	if b := p.begun; b != nil && b.vid == at.VID {
		p.upload.Secret, p.upload.Sent = b.secret, b.sent
		p.secret = state.Version{VID: at.VID, Secret: b.stored}
	}
	return nil
}

// begin stores what must stand before the first chunk: the row, then the push
// secret, from which a later process could go on.
func (p *push) begin(ctx context.Context, at keyring.Attempt) error {
	if err := at.Begin(ctx); err != nil {
		return err
	}
	if !p.secret.Secret.IsZero() && p.secret.VID == at.VID {
		return nil
	}
	sealed, err := transfer.SealSecret(ctx, p.upload.Secret, p.tree.Mark(p.upload.Secret), at.Artefact.ID, at.VID, p.vault.session.Signer, p.upload.Recipient)
	if err != nil {
		return err
	}
	if err := chunk.Put(ctx, p.vault.session.Store, secretKey(at.Artefact.ID, at.VID), sealed, p.vault.config.Stall); err != nil {
		return err
	}
	p.secret = state.Version{VID: at.VID, Secret: canonical.Sum(sealed)}
	return nil
}

// base opens the newest live version to compare with and borrow from. A pusher
// who may not read, or cannot reach the keeper, has none.
func (p *push) base(ctx context.Context, a *state.Artefact) (*transfer.Base, *state.CommittedVersion, error) {
	p.latest = a.Latest()
	if p.latest == nil || p.latest.State != state.Live || p.ring.Keepers == nil {
		return nil, nil, nil
	}
	key, err := p.ring.OpenVersion(ctx, a, p.latest)
	if errors.Is(err, keyring.ErrNoReader) || errors.Is(err, custody.ErrDenied) || errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrDestroyed) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("opening %s to compare with: %w", p.latest.Ref(a.Name), err)
	}
	source, err := p.vault.source(a, p.latest, key, p.vault.session.Store)
	if err != nil {
		return nil, nil, err
	}
	base, err := transfer.OpenBase(ctx, source)
	if err != nil {
		return nil, nil, fmt.Errorf("opening %s to compare with: %w", p.latest.Ref(a.Name), err)
	}
	if !sameDescription(p.latest.Version, p.described) {
		base.MustChange()
	}
	return base, p.latest, nil
}

// sameDescription reports whether a version would be described as another is.
func sameDescription(a, b state.Version) bool {
	return a.Kind == b.Kind && a.Classification == b.Classification && maps.Equal(a.Labels, b.Labels) &&
		slices.EqualFunc(a.Sources, b.Sources, func(x, y state.Source) bool { return x.Compare(y) == 0 }) && slices.Equal(a.Lineage, b.Lineage) &&
		a.Complete == b.Complete && a.Justification == b.Justification && slices.Equal(a.Parts, b.Parts)
}

// unchanged ends a push that needed no version. The channel follows all the same.
func (p *push) unchanged(ctx context.Context) (*PushResult, error) {
	changed := false
	for {
		a, cv := p.ledger.State(), p.latest
		if p.described.Move == "" || a.Channel(p.described.Move) == cv.VID {
			break
		}
		err := p.ledger.Append(ctx, state.KindChannel, state.Channel{Channel: p.described.Move, From: a.Channel(p.described.Move), To: cv.VID, Reason: "push"}, p.options.Op)
		if err == nil {
			changed = true
			continue
		}
		if !errors.Is(err, errLost) {
			return nil, err
		}
		if _, err := p.ledger.Fold(ctx); err != nil {
			return nil, err
		}
	}
	p.vault.keep()
	res := p.result(p.latest)
	res.Changed, res.Uploaded, res.Saved, res.Reused = changed, 0, 0, p.pushed.Bytes
	return res, nil
}

func (p *push) result(cv *state.CommittedVersion) *PushResult {
	a := p.ledger.State()
	res := &PushResult{Artefact: a.Name, Version: cv.Number, Digest: cv.Digest, VID: cv.VID, Stored: cv.Stored,
		Channel: p.described.Move, Head: pinOf(a), Freshness: p.vault.freshness(a.ID.String())}
	if p.pushed != nil {
		res.Files, res.Bytes, res.Reused, res.Uploaded = p.pushed.Files, p.pushed.Bytes, p.pushed.Reused, p.pushed.Sent
		res.Resumed = p.begun != nil && p.begun.vid == cv.VID
		res.Saved = p.pushed.Saved
	}
	return res
}

// source is what the data plane needs to read a version.
func (v *Vault) source(a *state.Artefact, cv *state.CommittedVersion, key seal.Key, store backends.Store) (transfer.Source, error) {
	id, err := seal.IdentityFromSeed(key.RevealSeed())
	if err != nil {
		return transfer.Source{}, err
	}
	return transfer.Source{Store: store, Artefact: a.ID, Version: cv.VID, Manifest: cv.Manifest, References: cv.References, Digest: cv.Digest,
		Identity: id, OpenMetadata: func(sealed []byte) ([]byte, error) { return v.ledger.OpenMetadata(context.Background(), sealed) },
		Jobs: v.config.Jobs, Stall: v.config.Stall}, nil
}

// firstPut does something once before the first object is stored.
type firstPut struct {
	backends.Store
	before func(context.Context) error
	once   sync.Once
	err    error
}

// Put stores, after what must come before. A failure there fails every put.
func (s *firstPut) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	s.once.Do(func() { s.err = s.before(ctx) })
	if s.err != nil {
		return backends.Info{}, s.err
	}
	return s.Store.Put(ctx, key, body)
}

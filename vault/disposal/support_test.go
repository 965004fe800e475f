package disposal

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/receipt"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// office is a vault with everybody whom a disposal takes: cust and dora are
// custodians, run is a runner, rita reads, pat pushes, olaf operates.
type office struct {
	*vaulttest.World
	t       *testing.T
	store   backends.Store
	content map[string]byte // what a stored chunk holds, by key

	lineage []state.Edge // of what is pushed next, and from then on
}

var members = map[string][]string{
	"cust": {state.Custodian}, "dora": {state.Custodian}, "run": {state.Runner}, "rita": {state.Developer}, "olaf": {state.Operator},
}

func newOffice(t *testing.T, c vaulttest.Config) *office {
	t.Helper()
	if c.Cipher == nil {
		c.Cipher = vaulttest.Symbolic{}
	}
	if c.Members == nil {
		c.Members = members
	}
	w := vaulttest.NewWorld(t, c)
	return &office{World: w, t: t, store: w.Store, content: map[string]byte{}}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// desk returns somebody's desk on this office's storage.
func (o *office) desk(name string) *Desk {
	o.t.Helper()
	return &Desk{Vault: o.Open(o.t, name, o.store), Store: o.store, Keepers: o.AllKeepers(), Jobs: 1, Tool: "aivault test"}
}

func (d *Desk) id(name string) canonical.Digest { return state.ArtefactID(d.Vault.NameKey(), name) }

// register brings an artefact into being that rita reads.
func (o *office) register(name string) canonical.Digest {
	o.t.Helper()
	d := o.desk("rita")
	rita := keyring.Reader{Name: "rita", Recipient: o.Members["rita"].Key.Recipient()}
	must(o.t, d.ring(d.id(name)).Register(o.t.Context(), name, []keyring.Reader{rita}, canonical.NewID()))
	return d.id(name)
}

// push commits a version that stores chunks of its own, and lists those of others.
func (o *office) push(name string, own int, others ...*state.CommittedVersion) *state.CommittedVersion {
	o.t.Helper()
	return o.pushOn(o.desk("rita"), name, own, others...)
}

// pushOn is push on a desk that has read the journals up to some entry.
func (o *office) pushOn(d *Desk, name string, own int, others ...*state.CommittedVersion) *state.CommittedVersion {
	o.t.Helper()
	ring := d.ring(d.id(name))
	v, err := ring.Push(o.t.Context(), keyring.Push{Op: canonical.NewID(), Upload: func(ctx context.Context, at keyring.Attempt) (state.Version, error) {
		if err := at.Begin(ctx); err != nil {
			return state.Version{}, err
		}
		return o.upload(ctx, d, at, own, others)
	}})
	must(o.t, err)
	return v
}

func (o *office) upload(ctx context.Context, d *Desk, at keyring.Attempt, own int, others []*state.CommittedVersion) (state.Version, error) {
	prefix := manifest.VersionPrefix(at.Artefact.ID, at.VID)
	put := func(name string, body []byte) (state.Object, error) {
		_, err := o.store.Put(ctx, prefix+name, body)
		return state.Object{Key: prefix + name, SHA256: canonical.Sum(body)}, err
	}
	b := state.Version{Lineage: o.lineage, Digest: canonical.Sum(at.VID[:]), Kind: "model", Classification: "internal", Stored: 1000 * int64(own+len(others))}
	size := seal.SealedSize(1, 1)
	refs := manifest.References{Artefact: at.Artefact.ID, Version: at.VID, Root: "m-" + canonical.NewID().String(), RootSize: size}
	for i := range own {
		sum := canonical.Sum(fmt.Appendf(nil, "%s %d", at.VID, i))
		name := sum.String() + "-0123456789abcdef"
		if _, err := put("c/"+name, []byte("chunk")); err != nil {
			return b, err
		}
		refs.Objects = append(refs.Objects, manifest.Reference{Creator: at.VID, Name: name, Size: size})
	}
	for _, other := range others {
		theirs, err := d.ring(at.Artefact.ID).AllReferences(ctx)
		if err != nil {
			return b, err
		}
		refs.Objects = append(refs.Objects, theirs[other.VID].Objects...)
		b.Borrowed = append(b.Borrowed, other.VID)
	}
	plain, err := refs.Encode()
	if err != nil {
		return b, err
	}
	sealed, err := d.Vault.SealMetadata(plain)
	if err != nil {
		return b, err
	}
	if b.References, err = put("r-"+canonical.NewID().String(), sealed); err != nil {
		return b, err
	}
	if b.Manifest, err = put(refs.Root, []byte("root")); err != nil {
		return b, err
	}
	secret, err := put("s", []byte("secret"))
	b.Secret = secret.SHA256
	return b, err
}

// scope names versions of an artefact; none: all of it.
func scope(aid canonical.Digest, vs ...*state.CommittedVersion) state.DisposalScope {
	s := state.DisposalScope{Artefact: aid, Whole: len(vs) == 0}
	for _, v := range vs {
		s.Versions = append(s.Versions, v.VID)
	}
	return s
}

// request plans and requests as cust.
func (o *office) request(decisions map[string]string, scopes ...state.DisposalScope) *state.Request {
	o.t.Helper()
	d := o.desk("cust")
	p, err := d.Plan(o.t.Context(), Draft{Scope: scopes, Reason: "end of life", Decisions: decisions})
	must(o.t, err)
	r, err := d.Request(o.t.Context(), p)
	must(o.t, err)
	return r
}

// approved is request, approved by dora.
func (o *office) approved(decisions map[string]string, scopes ...state.DisposalScope) *state.Request {
	o.t.Helper()
	r := o.request(decisions, scopes...)
	must(o.t, o.desk("dora").Approve(o.t.Context(), r.ID, r.Plan.SHA256))
	return r
}

// run runs a disposal as the runner.
func (o *office) run(id canonical.ID) (*Outcome, error) {
	o.t.Helper()
	return o.desk("run").Run(o.t.Context(), id)
}

// mustRun is run that ends in a certificate.
func (o *office) mustRun(id canonical.ID) *Outcome {
	o.t.Helper()
	out, err := o.run(id)
	must(o.t, err)
	if out.Certificate == nil || out.Phase != Verified {
		o.t.Fatalf("the run ended %s, with certificate %v", out.Phase, out.Certificate)
	}
	return out
}

func (o *office) policy(p state.Policy) {
	o.t.Helper()
	if p.AdminQuorum == 0 {
		p.AdminQuorum = 1
	}
	if p.Approvals == 0 {
		p.Approvals = 1
	}
	must(o.t, o.desk("alice").append(o.t.Context(), state.KindPolicy, state.PolicySet{Policy: p}, canonical.NewID()))
}

// hold places a hold as olaf.
func (o *office) hold(aid canonical.Digest, vs ...*state.CommittedVersion) canonical.ID {
	o.t.Helper()
	d := o.desk("olaf")
	_, err := d.fold(o.t.Context(), aid)
	must(o.t, err)
	id := canonical.NewID()
	must(o.t, d.ring(aid).Ledger.Append(o.t.Context(), state.KindHold, state.Hold{ID: id, Versions: scope(aid, vs...).Versions, Reason: "litigation"}, canonical.NewID()))
	return id
}

// release ends a hold, as a custodian.
func (o *office) release(aid canonical.Digest, hold canonical.ID) {
	o.t.Helper()
	d := o.desk("dora")
	_, err := d.fold(o.t.Context(), aid)
	must(o.t, err)
	must(o.t, d.ring(aid).Ledger.Append(o.t.Context(), state.KindRelease, state.Release{ID: hold, Reason: "settled"}, canonical.NewID()))
}

// handOver records a transfer as cust.
func (o *office) handOver(aid canonical.Digest, v *state.CommittedVersion) {
	o.t.Helper()
	d := o.desk("cust")
	_, err := d.fold(o.t.Context(), aid)
	must(o.t, err)
	body := state.Transfer{Version: v.VID, Digest: v.Digest, Recipient: "age1pq1new", Owner: "Nova <Models> Ltd"}
	must(o.t, d.ring(aid).Ledger.Append(o.t.Context(), state.KindTransfer, body, canonical.NewID()))
}

// opens reports whether rita can open versions.
func (o *office) opens(aid canonical.Digest, vs ...*state.CommittedVersion) error {
	d := o.desk("rita")
	a, err := d.fold(o.t.Context(), aid)
	if err != nil {
		return err
	}
	for _, v := range vs {
		if _, err := d.ring(aid).OpenVersion(o.t.Context(), a, a.Version(v.VID)); err != nil {
			return err
		}
	}
	return nil
}

// pulled leaves a receipt of rita's.
func (o *office) pulled(aid canonical.Digest, v *state.CommittedVersion, host string) {
	o.t.Helper()
	d := o.desk("rita")
	r := receipt.Receipt{ID: canonical.NewID(), Artefact: aid, Version: v.VID, Digest: v.Digest, By: d.Vault.Author(), Time: entry.At(o.Clock.Now()), Host: host}
	sealed, err := receipt.Seal(o.t.Context(), r, o.Members["rita"].Identity.Signing(), d.Vault.SealMetadata)
	must(o.t, err)
	_, err = o.store.Put(o.t.Context(), r.Key(), sealed)
	must(o.t, err)
}

func days(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

package vault_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/checkpoint"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// copied returns a place that goes on from the storage of p as it is now.
func (p *place) copied(t testing.TB) *place {
	t.Helper()
	c := *p
	c.mem = mem.New(mem.Options{})
	c.store = c.mem
	for _, key := range p.mem.Keys() {
		b, err := ledger.ReadObject(bg, p.mem, key, 0)
		must(t, err)
		_, err = c.mem.Put(bg, key, b)
		must(t, err)
	}
	return &c
}

// graft replaces everything below a prefix by what other has there.
func (p *place) graft(t testing.TB, other *place, prefix string) {
	t.Helper()
	for _, key := range p.mem.Keys() {
		if strings.HasPrefix(key, prefix) {
			p.mem.Remove(key)
		}
	}
	for _, key := range other.mem.Keys() {
		if strings.HasPrefix(key, prefix) {
			b, err := ledger.ReadObject(bg, other.mem, key, 0)
			must(t, err)
			_, err = p.mem.Put(bg, key, b)
			must(t, err)
		}
	}
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (p *place) register(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		_, err := p.open(t).Register(bg, name)
		must(t, err)
	}
}

func (p *place) checkpoint(t testing.TB, since int64) *vault.CheckpointResult {
	t.Helper()
	r, err := p.open(t).Checkpoint(bg, since)
	must(t, err)
	return r
}

// witness is somebody who cosigns, with nothing but files.
type witness struct {
	key  *checkpoint.Key
	seen *checkpoint.Witnessed
}

func newWitness(t testing.TB) *witness {
	t.Helper()
	key, err := checkpoint.NewKey("witness.example/1")
	must(t, err)
	return &witness{key: key}
}

func (w *witness) cosign(x *checkpoint.Export, at time.Time) (*checkpoint.Export, error) {
	b, err := x.Marshal()
	if err != nil {
		return nil, err
	}
	if x, err = checkpoint.ParseExport(b); err != nil {
		return nil, err
	}
	signed, seen, err := checkpoint.Cosign(w.seen, x, w.key, at)
	if err == nil {
		w.seen = seen
	}
	return signed, err
}

// trusting is p's configuration of a client that trusts w.
func (p *place) trusting(w *witness) vault.Config {
	c := p.config()
	c.Witnesses = []*checkpoint.Witness{w.key.Witness()}
	return c
}

// merge takes a cosigned export back.
func (p *place) merge(t testing.TB, w *witness, x *checkpoint.Export) *vault.MergeResult {
	t.Helper()
	v, err := vault.Open(bg, p.trusting(w))
	must(t, err)
	r, err := v.Merge(bg, x)
	must(t, err)
	return r
}

func TestCheckpoints(t *testing.T) {
	p, w := newPlace(t), newWitness(t)
	p.init(t)
	first := p.checkpoint(t, -1)
	if !first.Changed || first.Checkpoint.Size != 2 || first.Journals != 1 {
		t.Errorf("of a new vault: %+v", first)
	}
	if again := p.checkpoint(t, -1); again.Changed || again.Checkpoint != first.Checkpoint {
		t.Errorf("of nothing new: %+v", again)
	}
	signed, err := w.cosign(first.Export, time.Now())
	must(t, err)
	if r := p.merge(t, w, signed); !r.Changed || r.Freshness != vault.FreshWitnessed {
		t.Errorf("merging: %+v", r)
	}
	if r := p.merge(t, w, signed); r.Changed {
		t.Errorf("merging again: %+v", r)
	}
	p.register(t, "team/a", "team/b")
	second := p.checkpoint(t, -1)
	if second.Export.Old.Size != first.Checkpoint.Size || second.Journals != 3 || second.Added != second.Checkpoint.Size-2 {
		t.Errorf("since the one that was cosigned: %+v", second)
	}
	p.register(t, "team/c")
	for _, since := range []int64{0, 2, int64(second.Checkpoint.Size)} {
		if r := p.checkpoint(t, since); r.Export.Old.Size != uint64(since) && r.Changed {
			t.Errorf("since %d: from %d", since, r.Export.Old.Size)
		}
	}
	if _, err := p.open(t).Checkpoint(bg, 3); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("since a size without a checkpoint: %v", err)
	}
	// The witness cosigns over the one it has not seen.
	third := p.checkpoint(t, -1)
	signed, err = w.cosign(third.Export, time.Now())
	must(t, err)
	p.merge(t, w, signed)
	a, err := vault.AuditVerify(bg, p.trusting(w), signed)
	must(t, err)
	if !a.OK || len(a.Checkpoints) != 3 || len(a.Checkpoints[1].Cosignatures) != 0 || len(a.Checkpoints[2].Cosignatures) != 1 || a.Freshness != vault.FreshWitnessed {
		t.Errorf("audit: %+v", a)
	}
	r, err := vault.Verify(bg, p.config(), vault.VerifyOptions{})
	must(t, err)
	if !r.OK || len(r.Unknown) != 0 {
		t.Errorf("verify: %+v", r)
	}
}

func TestFreshnessByWitness(t *testing.T) {
	p, w := newPlace(t), newWitness(t)
	p.init(t)
	p.register(t, "a")
	signed, err := w.cosign(p.checkpoint(t, -1).Export, time.Now().Add(-time.Hour))
	must(t, err)
	p.merge(t, w, signed)
	p.register(t, "b")
	fresh := func(c vault.Config, name string) string {
		t.Helper()
		v, err := vault.Open(bg, c)
		must(t, err)
		h, err := v.History(bg, name)
		must(t, err)
		return h.Freshness
	}
	if f := fresh(p.trusting(w), "a"); f != vault.FreshWitnessed {
		t.Errorf("a: %s", f)
	}
	if f := fresh(p.trusting(w), "b"); f != vault.FreshNone {
		t.Errorf("b, registered since: %s", f)
	}
	if f := fresh(p.config(), "a"); f != vault.FreshNone {
		t.Errorf("without the witness's key: %s", f)
	}
	if f := fresh(p.trusting(newWitness(t)), "a"); f != vault.FreshNone {
		t.Errorf("with another witness's key: %s", f)
	}
	late := p.trusting(w)
	late.MaxStaleness = 30 * time.Minute
	if f := fresh(late, "a"); f != vault.FreshNone {
		t.Errorf("an hour is not fresh within 30 minutes: %s", f)
	}
	v, err := vault.Open(bg, late)
	must(t, err)
	if _, err := v.Merge(bg, p.checkpoint(t, -1).Export); !errors.Is(err, checkpoint.ErrUnknownWitness) && !errors.Is(err, checkpoint.ErrMalformed) {
		t.Errorf("merging what nobody cosigned: %v", err)
	}
}

func TestStalenessRefusesContent(t *testing.T) {
	p, _, _ := realistic(t)
	w := newWitness(t)
	pull := func(max time.Duration) error {
		c := p.trusting(w)
		c.MaxStaleness = max
		v, err := vault.Open(bg, c)
		must(t, err)
		_, err = v.Pull(bg, vault.Ref{Artefact: "fraud-detector", Latest: true}, t.TempDir(), vault.PullOptions{})
		return err
	}
	if err := pull(time.Hour); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("without a cosignature: %v", err)
	}
	signed, err := w.cosign(p.checkpoint(t, -1).Export, time.Now().Add(-time.Hour))
	must(t, err)
	p.merge(t, w, signed)
	must(t, pull(2*time.Hour))
	must(t, pull(0))
	if err := pull(time.Minute); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("with one that is too old: %v", err)
	}
	for _, c := range []struct {
		policy  string
		refused bool
	}{{"PT30M", true}, {"P1M", false}} {
		_, err := p.open(t).SetPolicy(bg, func(now state.Policy) (state.Policy, error) { return vault.SetField(now, "max_staleness", c.policy) })
		must(t, err)
		if err := pull(0); errors.Is(err, vault.ErrRefused) != c.refused {
			t.Errorf("with a cosignature of an hour ago, where policy says %s: %v", c.policy, err)
		}
	}
}

// TestRewrittenHistory: somebody with every member's keys and all of storage
// writes a journal anew, with valid signatures. The witness cosigns no such
// history, and what it cosigned before shows it to everybody.
func TestRewrittenHistory(t *testing.T) {
	p, w := newPlace(t), newWitness(t)
	p.init(t)
	p.register(t, "a")
	before := p.copied(t)
	p.register(t, "b", "c")
	signed, err := w.cosign(p.checkpoint(t, -1).Export, time.Now())
	must(t, err)
	p.merge(t, w, signed)

	rewritten := before.copied(t)
	rewritten.register(t, "b", "c", "d")
	if _, err := w.cosign(rewritten.checkpoint(t, 0).Export, time.Now()); !errors.Is(err, checkpoint.ErrFork) {
		t.Errorf("the witness cosigns a rewritten history: %v", err)
	}
	a, err := vault.AuditVerify(bg, rewritten.config(), signed)
	must(t, err)
	if a.OK || !a.RolledBack {
		t.Errorf("compared with the file: %+v", a)
	}
	rewritten.graft(t, p, "wit/")
	if _, err := vault.Open(bg, rewritten.trusting(w)); !errors.Is(err, vault.ErrRolledBack) {
		t.Errorf("a client that trusts the witness opens it: %v", err)
	}
	if a, err = vault.AuditVerify(bg, rewritten.trusting(w), nil); err != nil || !a.RolledBack {
		t.Errorf("audit: %+v, %v", a, err)
	}

	// One artefact's journal alone; the vault's own stays as it was.
	part := p.copied(t)
	other := before.copied(t)
	other.register(t, "b")
	c, err := p.open(t).History(bg, "b")
	must(t, err)
	part.graft(t, other, "a/"+c.Head.Journal+"/")
	if a, err = vault.AuditVerify(bg, part.config(), nil); err != nil || !a.RolledBack {
		t.Errorf("audit of one rewritten journal: %+v, %v", a, err)
	}
	v, err := vault.Open(bg, part.trusting(w))
	must(t, err)
	if _, err := v.History(bg, "b"); !errors.Is(err, vault.ErrRolledBack) {
		t.Errorf("a client that trusts the witness reads it: %v", err)
	}
	if _, err := part.open(t).Checkpoint(bg, -1); !errors.Is(err, vault.ErrRolledBack) {
		t.Errorf("a checkpoint of it: %v", err)
	}
	// Hidden altogether.
	for _, key := range part.mem.Keys() {
		if strings.HasPrefix(key, "a/"+c.Head.Journal+"/") {
			part.mem.Remove(key)
		}
	}
	if v, err = vault.Open(bg, part.trusting(w)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.List(bg, ""); !errors.Is(err, vault.ErrRolledBack) {
		t.Errorf("a list without it: %v", err)
	}
	if _, err := v.History(bg, "b"); !errors.Is(err, vault.ErrRolledBack) {
		t.Errorf("its history: %v", err)
	}
}

// TestDamagedCheckpoints: heads that are missing or damaged are named.
func TestDamagedCheckpoints(t *testing.T) {
	p, w := newPlace(t), newWitness(t)
	p.init(t)
	p.register(t, "a")
	signed, err := w.cosign(p.checkpoint(t, -1).Export, time.Now())
	must(t, err)
	p.merge(t, w, signed)
	heads := p.open(t).State().Checkpoints[0].Heads.Key
	for what, do := range map[string]func(*place){
		"missing": func(p *place) { p.mem.Remove(heads) },
		"damaged": func(p *place) { p.mem.Tamper(heads, func(b []byte) []byte { b[len(b)/2] ^= 1; return b }) },
	} {
		bad := p.copied(t)
		do(bad)
		a, err := vault.AuditVerify(bg, bad.config(), nil)
		must(t, err)
		if a.OK || len(a.Problems) == 0 || a.Problems[0].Object != heads {
			t.Errorf("%s heads: %+v", what, a)
		}
		if r, err := vault.Verify(bg, bad.config(), vault.VerifyOptions{}); err != nil || r.OK {
			t.Errorf("%s heads: verify %+v, %v", what, r, err)
		}
	}
	junk := p.copied(t)
	_, err = junk.mem.Put(bg, "wit/ffffffffffffffff-junk", []byte("junk"))
	must(t, err)
	if a, err := vault.AuditVerify(bg, junk.trusting(w), nil); err != nil || !a.OK || len(a.Unknown) != 1 || a.Freshness != vault.FreshWitnessed {
		t.Errorf("junk: %+v, %v", a, err)
	}
}

func TestAuditLog(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	p.register(t, "a")
	p.checkpoint(t, -1)
	events, _, err := p.open(t).AuditLog(bg, "", time.Time{})
	must(t, err)
	var what []string
	for _, e := range events {
		what = append(what, e.Journal+": "+e.What)
	}
	all := strings.Join(what, "\n")
	for _, want := range []string{"vault: vault founded by ada", "a: registered a", "vault: checkpoint of 7 entries"} {
		if !strings.Contains(all, want) {
			t.Errorf("no %q in\n%s", want, all)
		}
	}
	if events, _, err = p.open(t).AuditLog(bg, "a", time.Now().Add(time.Hour)); err != nil || len(events) != 0 {
		t.Errorf("since later: %v, %v", events, err)
	}
	if events, _, err = p.open(t).AuditLog(bg, "a", time.Time{}); err != nil || len(events) != 5 && len(events) != 4 || events[0].Hash.IsZero() {
		t.Errorf("of a: %v, %v", events, err)
	}
}

package integration_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// staff is who works on the vault of TestRoles, and their roles.
var staff = map[string][]string{
	"admin": {state.Admin}, "dev1": {state.Developer}, "dev2": {state.Developer}, "op": {state.Operator}, "cust1": {state.Custodian},
	"cust2": {state.Custodian}, "run": {state.Runner}, "aud": {state.Auditor}, "host": nil, "push": {state.Pusher},
}

// person is one of the staff, with a home of their own, and a session of the
// library for acts that have no command.
type person struct {
	name    string
	home    *home
	vault   *ledger.Vault
	scratch *ledger.Artefact

	busy sync.Mutex // one act at a time: a session and a ledger are nobody else's meanwhile
}

// office is a vault on S3 and everybody who works on it.
type office struct {
	t      *testing.T
	store  backends.Store
	env    []string
	root   *person // the founder, who has every role and prepares what others need
	people map[string]*person
	n      int
}

// TestRoles lets everybody try everything: every act of the role table by every
// member, each allowed, or refused with exit code 12 or 15 and the rule. Acts
// with a command go through the program; the rest through the library.
func TestRoles(t *testing.T) {
	o := newOffice(t)
	acts := o.acts()
	var kinds errgroup.Group
	kinds.SetLimit(4)
	for _, kind := range slices.Sorted(maps.Keys(state.RoleTable())) {
		act, ok := acts[kind]
		if !ok {
			t.Errorf("%s: nobody tries it", kind)
			continue
		}
		for _, who := range slices.Sorted(maps.Keys(staff)) {
			if permitted(kind, who) {
				continue
			}
			kinds.Go(func() error {
				p := o.people[who]
				p.busy.Lock()
				defer p.busy.Unlock()
				if why := act(p, false); why != nil {
					t.Errorf("%s by %s, who may not: %v", kind, who, why)
				}
				return nil
			})
		}
	}
	if err := kinds.Wait(); err != nil || t.Failed() {
		t.FailNow()
	}
	order := slices.DeleteFunc(slices.Sorted(maps.Keys(acts)), func(kind string) bool { return kind == state.KindPolicy })
	for _, kind := range append(order, state.KindPolicy) { // last: open disposals are held to a stricter policy
		for _, who := range slices.Sorted(maps.Keys(staff)) {
			if permitted(kind, who) {
				if why := act(acts[kind], o.people[who]); why != nil {
					t.Errorf("%s by %s, who may: %v", kind, who, why)
				}
			}
		}
	}
	o.reading()
}

func act(do attempt, p *person) error { return do(p, true) }

// attempt tries an act and returns nil if it went as it should: done if the
// member may, refused by the rule "role" if not.
type attempt func(p *person, may bool) error

func permitted(kind, who string) bool {
	allowed := state.RoleTable()[kind]
	return slices.Contains(allowed, "member") || slices.ContainsFunc(staff[who], func(r string) bool { return slices.Contains(allowed, r) })
}

func newOffice(t *testing.T) *office {
	storage := servers.VersityGW(t, servers.Options{})
	storage.MakeBucket(t, "models", false, false)
	keys := servers.VersityGW(t, servers.Options{AccessKey: "keeperaccess", SecretKey: "keepersecret456"})
	keys.MakeBucket(t, "keys", false, false)
	location, custody := storage.URL("models", "team"), "object:"+keys.URL("keys", "")
	o := &office{t: t, store: openS3(t, storage, "models", "team"), people: map[string]*person{}}
	o.env = slices.Concat(storage.Environ(""), keys.Environ("AIVAULT_CUSTODY_"), []string{"AIVAULT_VAULT=" + location, "AIVAULT_CUSTODY=" + custody})
	founder := newHome(t, o.env...)
	genesis := founder.json(t, 0, "init", location, "--custody", custody, "--member", "root")["genesis"].(string)
	o.env = append(o.env, "AIVAULT_GENESIS="+genesis)
	founder.env = append(founder.env, "AIVAULT_GENESIS="+genesis)
	for _, who := range slices.Sorted(maps.Keys(staff)) {
		h := newHome(t, o.env...)
		o.must(os.MkdirAll(filepath.Dir(h.identity()), 0o700))
		line := h.json(t, 0, "identity", "new", h.identity())["public"].(string)
		args := []string{"member", "add", who, "--key", line}
		if roles := staff[who]; len(roles) > 0 {
			args = append(args, "--role", strings.Join(roles, ","))
		}
		founder.run(t, 0, args...)
		o.people[who] = &person{name: who, home: h}
	}
	for _, who := range []string{"victim", "leaver"} {
		founder.run(t, 0, "member", "add", who, "--key", o.line())
	}
	o.root = &person{name: "root", home: founder}
	for _, p := range append(slices.Collect(maps.Values(o.people)), o.root) {
		o.enter(p)
	}
	o.prepare()
	return o
}

// line returns the line of a member nobody else has.
func (o *office) line() string {
	id, err := identity.New()
	o.must(err)
	return id.Public().String()
}

func (o *office) must(err error) {
	o.t.Helper()
	if err != nil {
		o.t.Fatal(err)
	}
}

// enter opens the library's session of a person.
func (o *office) enter(p *person) {
	text, err := os.ReadFile(p.home.identity())
	o.must(err)
	id, err := identity.Parse(text, nil)
	o.must(err)
	p.vault, err = ledger.Open(o.t.Context(), &ledger.Session{Store: o.store, Cipher: seal.Age{}, Self: seal.AsKey(id.Sealing()), Signer: id.Signing(), Now: time.Now}, canonical.Digest{})
	o.must(err)
	p.scratch = p.vault.Artefact(state.ArtefactID(p.vault.NameKey(), "scratch"))
}

func (o *office) id() canonical.ID { return canonical.NewID() }

func (o *office) digest() canonical.Digest {
	id := canonical.NewID()
	return canonical.Sum(id[:])
}

func (o *office) doc() state.Object {
	d := o.digest()
	return state.Object{Key: "doc/" + d.String(), SHA256: d}
}

func (o *office) object(dir string, id canonical.ID, rest string) state.Object {
	return state.Object{Key: "a/" + o.root.scratch.ID.String() + "/" + dir + "/" + id.String() + rest + o.id().String(), SHA256: o.digest()}
}

// write appends to the journal of the artefact "scratch", in which nothing has
// content: what entries say there is judged, and nothing else.
func (o *office) write(p *person, kind string, body any) error {
	if err := p.vault.Refresh(o.t.Context()); err != nil {
		return err
	}
	if _, err := p.scratch.Fold(o.t.Context()); err != nil && !errors.Is(err, journal.ErrEmpty) {
		return err
	}
	return p.scratch.Append(o.t.Context(), kind, body, o.id())
}

// writeVault appends to the vault's own journal.
func (o *office) writeVault(p *person, kind string, body any) error {
	if err := p.vault.Refresh(o.t.Context()); err != nil {
		return err
	}
	return p.vault.Append(o.t.Context(), kind, body, o.id())
}

// prepare registers the scratch artefact, and a real one that dev1 and the host read.
func (o *office) prepare() {
	gid := o.id()
	o.must(o.write(o.root, state.KindRegister, state.Register{Name: "scratch"}))
	o.must(o.write(o.root, state.KindReaders, state.Readers{GID: gid, Recipient: "age1pq1x", Object: o.object("g", gid, "-"), List: o.doc()}))
	o.epoch()
	model := o.t.TempDir()
	o.must(os.WriteFile(filepath.Join(model, "weights.bin"), []byte("weights"), 0o600))
	o.people["dev1"].home.run(o.t, 0, "push", "real", model)
	o.people["dev1"].home.run(o.t, 0, "grant", "real", "dev2", "host", "root")
	o.root.home.run(o.t, 0, "grant", "reg/**", "host")
}

func (o *office) fold() *state.Artefact {
	a, err := o.root.scratch.Fold(o.t.Context())
	o.must(err)
	return a
}

func (o *office) intent() (canonical.ID, state.Intent) {
	o.must(o.root.vault.Refresh(o.t.Context()))
	eid := o.id()
	return eid, state.Intent{EID: eid, Label: state.EpochLabel(o.root.vault.State().Genesis, o.root.scratch.ID, eid), Custody: o.root.vault.State().Custody}
}

func (o *office) candidate(eid canonical.ID) state.Candidate {
	c := state.Candidate{EID: eid, Mode: state.AnyOf, Recipient: "age1pq1epoch"}
	for _, k := range o.root.vault.State().Custody.Keepers {
		c.Keys = append(c.Keys, state.KeyRef{Instance: k.Instance, Ref: "ref-" + eid.String()})
	}
	return c
}

func (o *office) activate(eid canonical.ID) state.Activate {
	return state.Activate{EID: eid, Seed: o.digest(), Index: o.object("e", eid, "/i-"), Survivors: o.fold().Survivors()}
}

// open takes an epoch to its candidate, epoch brings one into force.
func (o *office) open() canonical.ID {
	eid, body := o.intent()
	o.must(o.write(o.root, state.KindIntent, body))
	o.must(o.write(o.root, state.KindCandidate, o.candidate(eid)))
	return eid
}

func (o *office) epoch() { o.must(o.write(o.root, state.KindActivate, o.activate(o.open()))) }

func (o *office) version(vid canonical.ID) state.Version {
	a := o.fold()
	return state.Version{VID: vid, EID: a.Current.EID, GID: a.Generation().GID, Recipient: "age1pq1v", Row: o.digest(), Secret: o.digest(), Digest: o.digest(),
		Manifest: o.object("v", vid, "/m-"), References: o.object("v", vid, "/r-"), Kind: "model", Classification: "internal"}
}

// pushed returns a version that root has pushed.
func (o *office) pushed() state.Version {
	v := o.version(o.id())
	o.must(o.write(o.root, state.KindVersion, v))
	return v
}

// ref names a version of the scratch artefact: a new one for who may do something
// with it, which root prepares. Others are refused whatever they name.
func (o *office) ref(may bool, prepare func() state.Version) string {
	if !may {
		return "scratch@v1"
	}
	return "scratch@sha256:" + prepare().Digest.String()
}

// quarantined is a version that root has put in quarantine.
func (o *office) quarantined() state.Version {
	v := o.pushed()
	o.must(o.write(o.root, state.KindQuarantine, state.Quarantine{Versions: []canonical.ID{v.VID}, Reason: "test"}))
	return v
}

func (o *office) request(versions ...canonical.ID) state.DisposalRequest {
	scope := state.DisposalScope{Artefact: o.root.scratch.ID, Versions: versions, Whole: len(versions) == 0}
	return state.DisposalRequest{ID: o.id(), Scope: []state.DisposalScope{scope}, After: entry.At(time.Now()), Plan: o.doc(), Reason: "test"}
}

// requested is a disposal that root has asked for; approved, one that cust1 agreed to.
func (o *office) requested(versions ...canonical.ID) state.DisposalRequest {
	r := o.request(versions...)
	o.must(o.writeVault(o.root, state.KindDisposalRequest, r))
	return r
}

func (o *office) approved(versions ...canonical.ID) state.DisposalRequest {
	r := o.requested(versions...)
	o.must(o.writeVault(o.people["cust1"], state.KindDisposalApprove, state.DisposalMark{ID: r.ID, Plan: r.Plan.SHA256}))
	return r
}

func (o *office) executed() (state.DisposalRequest, canonical.ID) {
	vid := o.pushed().VID
	r := o.approved(vid)
	o.must(o.write(o.root, state.KindExecute, state.Execute{Disposal: r.ID, Versions: []canonical.ID{vid}}))
	return r, vid
}

// destroyed names the keys of every superseded epoch.
func (o *office) destroyed(versions ...canonical.ID) state.Destroyed {
	d := state.Destroyed{Versions: versions, Keys: []state.DestroyedKey{}}
	for _, ep := range o.fold().Doomed() {
		for _, k := range ep.Candidate.Keys {
			d.Keys = append(d.Keys, state.DestroyedKey{EID: ep.EID, KeyRef: k, State: "destroyed", At: entry.At(time.Now())})
		}
	}
	return d
}

// judged holds an error of the library to what it should be.
func judged(err error, may bool) error {
	switch {
	case may:
		return err
	case err == nil:
		return errors.New("done")
	case !errors.Is(err, state.ErrNotPermitted) || !strings.Contains(err.Error(), "rule role"):
		return err
	}
	return nil
}

// library is an act on the scratch artefact. build prepares what it needs, which
// only who may comes to.
func (o *office) library(kind string, build func(p *person) any) attempt {
	return o.attempt(kind, build, o.write)
}

func (o *office) inVault(kind string, build func(p *person) any) attempt {
	return o.attempt(kind, build, o.writeVault)
}

func (o *office) attempt(kind string, build func(*person) any, write func(*person, string, any) error) attempt {
	return func(p *person, may bool) error {
		if !may {
			return judged(write(p, kind, struct{}{}), may)
		}
		return judged(write(p, kind, build(p)), may)
	}
}

// command is an act that has a command. It may be left done in part.
func (o *office) command(args func(p *person, may bool) []string) attempt {
	return func(p *person, may bool) error {
		code, text := p.home.try(args(p, may)...)
		switch {
		case may && (code == 0 || code == 3):
			return nil
		case !may && (code == 12 || code == 15) && strings.Contains(text, "rule role"):
			return nil
		}
		return fmt.Errorf("exit code %d: %s", code, text)
	}
}

func fixed(args ...string) func(*person, bool) []string {
	return func(*person, bool) []string { return args }
}

// acts has an attempt for every kind of entry.
func (o *office) acts() map[string]attempt {
	vid := func() []canonical.ID { return []canonical.ID{o.pushed().VID} }
	return map[string]attempt{
		state.KindMemberAdd: o.command(func(p *person, _ bool) []string {
			return []string{"member", "add", "by-" + p.name, "--key", o.line()}
		}),
		state.KindMemberRemove:   o.command(fixed("member", "remove", "leaver")),
		state.KindMemberRekey:    o.command(func(*person, bool) []string { return []string{"member", "rekey", "victim", "--key", o.line()} }),
		state.KindMemberSuspend:  o.command(fixed("member", "suspend", "victim")),
		state.KindMemberResume:   o.command(fixed("member", "resume", "victim")),
		state.KindMemberTaint:    o.command(fixed("member", "taint", "victim", "--between", "2026-01-01", "--between", "2026-01-02")),
		state.KindMemberTraining: o.command(fixed("member", "train", "victim", "--role", "operator", "--course", "incident response", "--expires", "P1Y")),
		state.KindMemberRotate: o.command(func(p *person, _ bool) []string {
			next := filepath.Join(p.home.dir, "next")
			p.home.run(o.t, 0, "identity", "new", next)
			return []string{"identity", "rotate", next, "--overlap", "1h"}
		}),
		state.KindGroup:  o.command(fixed("group", "add", "crew", "admin", "host")),
		state.KindRule:   o.command(func(p *person, _ bool) []string { return []string{"grant", "by-" + p.name + "/*", "host"} }),
		state.KindPolicy: o.command(fixed("policy", "set", "approvals=2")),
		state.KindCustody: o.inVault(state.KindCustody, func(p *person) any {
			return state.CustodySet{Custody: p.vault.State().Custody}
		}),
		state.KindPlugin: o.inVault(state.KindPlugin, func(*person) any {
			return state.Plugin{Name: "keeper", Platform: "linux/amd64", SHA256: o.digest()}
		}),
		state.KindDisposalRequest: o.inVault(state.KindDisposalRequest, func(*person) any { return o.request() }),
		state.KindDisposalApprove: o.inVault(state.KindDisposalApprove, func(*person) any {
			r := o.requested()
			return state.DisposalMark{ID: r.ID, Plan: r.Plan.SHA256}
		}),
		state.KindDisposalCancel: o.inVault(state.KindDisposalCancel, func(*person) any { return state.DisposalMark{ID: o.requested().ID} }),
		state.KindDisposalAccept: o.inVault(state.KindDisposalAccept, func(*person) any { return state.DisposalMark{ID: o.requested().ID} }),

		state.KindDisposalRemoved: o.inVault(state.KindDisposalRemoved, func(*person) any {
			return state.DisposalRemoved{ID: o.requested().ID, Holder: "serving", By: "test"}
		}),
		state.KindCheckpoint: o.command(fixed("audit", "checkpoint")),

		state.KindRegister: o.command(func(p *person, _ bool) []string { return []string{"register", "reg/" + p.name} }),
		state.KindReaders: o.library(state.KindReaders, func(*person) any {
			g := o.fold().Generation()
			return state.Readers{GID: g.GID, Recipient: g.Recipient, Object: o.object("g", g.GID, "-"), List: o.doc(), Add: true}
		}),
		state.KindIntent: o.command(func(p *person, may bool) []string { return []string{"custody", "rotate", "real"} }),
		state.KindCandidate: o.library(state.KindCandidate, func(*person) any {
			eid, body := o.intent()
			o.must(o.write(o.root, state.KindIntent, body))
			return o.candidate(eid)
		}),
		state.KindActivate: o.library(state.KindActivate, func(*person) any { return o.activate(o.open()) }),
		state.KindVersion: o.command(func(p *person, _ bool) []string {
			model := filepath.Join(p.home.dir, "model")
			o.must(errors.Join(os.MkdirAll(model, 0o700), os.WriteFile(filepath.Join(model, "weights.bin"), []byte("by "+p.name), 0o600)))
			return []string{"push", "real", model}
		}),
		state.KindChannel: o.command(func(p *person, may bool) []string { return []string{"promote", o.ref(may, o.pushed), "by-" + p.name} }),
		state.KindCondemn: o.library(state.KindCondemn, func(*person) any { return state.Versions{Versions: []canonical.ID{o.id()}} }),
		state.KindExecute: o.library(state.KindExecute, func(*person) any {
			vids := vid()
			return state.Execute{Disposal: o.approved(vids...).ID, Versions: vids}
		}),
		state.KindCancel: o.library(state.KindCancel, func(*person) any {
			r, _ := o.executed()
			return state.Disposal{Disposal: r.ID}
		}),
		state.KindDestroyed: o.library(state.KindDestroyed, func(*person) any {
			o.epoch()
			return o.destroyed()
		}),
		state.KindPurged: o.library(state.KindPurged, func(*person) any {
			_, gone := o.executed()
			o.epoch()
			o.must(o.write(o.root, state.KindDestroyed, o.destroyed(gone)))
			return state.Purged{Versions: []canonical.ID{gone}}
		}),
		state.KindVerified: o.library(state.KindVerified, func(*person) any {
			r, gone := o.executed()
			o.epoch()
			o.must(o.write(o.root, state.KindDestroyed, o.destroyed(gone)))
			return state.Verified{Disposal: r.ID, Result: "verified", Report: o.doc()}
		}),
		state.KindHold: o.library(state.KindHold, func(*person) any { return state.Hold{ID: o.id(), Versions: vid(), Reason: "test"} }),
		state.KindRelease: o.library(state.KindRelease, func(*person) any {
			h := state.Hold{ID: o.id(), Versions: vid(), Reason: "test"}
			o.must(o.write(o.root, state.KindHold, h))
			return state.Release{ID: h.ID, Reason: "test"}
		}),
		state.KindQuarantine: o.command(func(_ *person, may bool) []string {
			return []string{"quarantine", o.ref(may, o.pushed), "--reason", "test"}
		}),
		state.KindClear: o.command(func(_ *person, may bool) []string {
			return []string{"quarantine", "clear", o.ref(may, o.quarantined), "--reason", "test"}
		}),
		state.KindPermit: o.command(func(_ *person, may bool) []string {
			return []string{"quarantine", "permit", o.ref(may, o.quarantined), "host", "--reason", "test"}
		}),
		state.KindApprove: o.command(func(_ *person, may bool) []string { return []string{"approve", o.ref(may, o.pushed)} }),
		state.KindWaive: o.library(state.KindWaive, func(*person) any {
			policy := state.Policy{Approvals: 1, AdminQuorum: 1, Channels: []state.Requirement{{Artefact: "scratch", Channel: "gated", Approvals: 1}}}
			o.must(o.writeVault(o.root, state.KindPolicy, state.PolicySet{Policy: policy}))
			return state.Waive{Version: vid()[0], Channel: "gated", Gate: state.GateApproval, Reason: "test"}
		}),
		state.KindAttest: o.command(func(_ *person, may bool) []string {
			return []string{"attest", o.ref(may, o.pushed), "--type", "scan", "--result", "pass"}
		}),
		state.KindTransfer: o.library(state.KindTransfer, func(*person) any {
			v := o.pushed()
			return state.Transfer{Version: v.VID, Digest: v.Digest, Recipient: v.Recipient, Owner: "Nova Models Ltd"}
		}),
		state.KindFence: o.library(state.KindFence, func(*person) any { return state.Fence{} }),
		state.KindSkip:  o.skip,
	}
}

// skip passes over junk in the journal of the scratch artefact.
func (o *office) skip(p *person, may bool) error {
	if !may {
		return judged(o.write(p, state.KindSkip, struct{}{}), may)
	}
	seq := o.fold().Head.Seq + 1
	junk := []byte("junk for " + p.name)
	key := "a/" + o.root.scratch.ID.String() + "/log/" + journal.Slot(seq)
	if _, err := o.store.Put(o.t.Context(), key, junk); err != nil {
		return err
	}
	return o.command(fixed("audit", "skip", key, "--artefact", "scratch", "--sha256", canonical.Sum(junk).String(), "--reason", "test"))(p, may)
}

// reading is who reads content: whom grants name, whatever their role.
func (o *office) reading() {
	for _, who := range slices.Sorted(maps.Keys(staff)) {
		want := 12
		if slices.Contains([]string{"dev1", "dev2", "host"}, who) {
			want = 0
		}
		p := o.people[who]
		if code, text := p.home.try("pull", "real@v1", filepath.Join(p.home.dir, "out")); code != want {
			o.t.Errorf("%s reads: exit code %d, want %d: %s", who, code, want, text)
		}
		p.home.run(o.t, 0, "history", "real")
	}
	verified := o.root.home.json(o.t, 0, "verify", "real@latest")
	if voids, ok := verified["voids"].([]any); !ok || len(voids) != 0 {
		o.t.Errorf("refused acts left entries behind: %v", verified["voids"])
	}
}

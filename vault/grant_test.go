package vault_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

func waits(s *vault.Settlement, artefact, what string) bool {
	return slices.ContainsFunc(s.Waiting, func(w vault.Waiting) bool {
		return w.Artefact == artefact && strings.Contains(w.What, what)
	})
}

// TestRegisterByRule: the first readers are those whom rules cover, and a
// developer who registers; an artefact that nobody could read is not made.
func TestRegisterByRule(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	olga, dev, host := p.join(t, "olga", state.Operator), p.join(t, "dev", state.Developer), p.join(t, "host")
	if _, err := olga.open(t).Register(t.Context(), "team/a"); !errors.Is(err, vault.ErrRefused) {
		t.Fatalf("registered for nobody: %v", err)
	}
	if keys := p.mem.Keys(); slices.ContainsFunc(keys, func(k string) bool { return strings.HasPrefix(k, "a/") }) {
		t.Fatalf("a refused registration left %v", keys)
	}
	r := ok[*vault.GrantResult](t)(olga.open(t).Grant(t.Context(), "team/*", []string{"host"}))
	if !r.Rule || !r.Changed {
		t.Errorf("grant by glob: %+v", r)
	}
	if r := ok[*vault.GrantResult](t)(olga.open(t).Grant(t.Context(), "team/*", []string{"host"})); r.Changed {
		t.Errorf("the same again: %+v", r)
	}
	ok[*vault.RegisterResult](t)(olga.open(t).Register(t.Context(), "team/a"))
	dev.push(t, "team/b", 1) // registers
	dev.push(t, "team/a", 1)
	for _, c := range []struct {
		who      *place
		artefact string
		ok       bool
	}{{host, "team/a", true}, {host, "team/b", true}, {dev, "team/a", false}, {dev, "team/b", true}, {olga, "team/a", false}} {
		if err := c.who.reads(t, c.artefact, 1); (err == nil) != c.ok {
			t.Errorf("reading %s: %v, want %v", c.artefact, err, c.ok)
		}
	}
	if _, err := dev.open(t).Grant(t.Context(), "team/a", []string{"olga"}); !errors.Is(err, vault.ErrNotPermitted) {
		t.Errorf("a developer who does not read lets others read: %v", err)
	}
	if _, err := dev.open(t).Grant(t.Context(), "team/b", []string{"nobody"}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("granted to nobody: %v", err)
	}
}

// TestRevokeByWhoDoesNotRead: it binds pushes at once; what stands waits for a
// reader, whose command is the same.
func TestRevokeByWhoDoesNotRead(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	olga, host, run := p.join(t, "olga", state.Operator), p.join(t, "host"), p.join(t, "run", state.Runner)
	p.join(t, "dev", state.Developer)
	ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), "m", []string{"host", "dev"}))
	p.push(t, "m", 1)
	r := ok[*vault.GrantResult](t)(olga.open(t).Revoke(t.Context(), "m", []string{"host"}))
	if !r.Changed || !waits(r.Settlement, "m", "sealed to the readers before") {
		t.Fatalf("revoke: %+v %+v", r, r.Settlement)
	}
	p.push(t, "m", 2)
	if err := host.reads(t, "m", 1); err != nil {
		t.Errorf("v1 before it is sealed anew: %v", err)
	}
	if err := host.reads(t, "m", 2); !errors.Is(err, vault.ErrNotPermitted) {
		t.Errorf("v2: %v", err)
	}
	rr := ok[*vault.RotateResult](t)(run.open(t).CustodyRotate(t.Context(), "m"))
	if !waits(rr.Settlement, "m", "sealed to the readers before") {
		t.Errorf("a rotation by a runner: %+v", rr.Settlement)
	}
	dev := p.as(t, "dev")
	rr = ok[*vault.RotateResult](t)(dev.open(t).CustodyRotate(t.Context(), "m"))
	if waits(rr.Settlement, "m", "readers before") || !waits(rr.Settlement, "m", "earlier epochs") {
		t.Errorf("a rotation by a reader without the right to destroy: %+v", rr.Settlement)
	}
	if err := host.reads(t, "m", 1); !errors.Is(err, vault.ErrNotPermitted) {
		t.Errorf("v1 after it: %v", err)
	}
	rr = ok[*vault.RotateResult](t)(run.open(t).CustodyRotate(t.Context(), "m"))
	if len(rr.Settlement.Waiting) != 0 {
		t.Errorf("the runner's end: %+v", rr.Settlement)
	}
	for n := 1; n <= 2; n++ {
		if err := dev.reads(t, "m", n); err != nil {
			t.Errorf("dev reads v%d: %v", n, err)
		}
	}
	if _, err := olga.open(t).Revoke(t.Context(), "m", []string{"ada", "dev"}); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("nobody left: %v", err)
	}
	if _, err := dev.open(t).Revoke(t.Context(), "m", []string{"ada"}); !errors.Is(err, vault.ErrNotPermitted) {
		t.Errorf("revoked by a developer: %v", err)
	}
	if _, err := olga.open(t).Revoke(t.Context(), "m", []string{"nobody"}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("revoked from nobody: %v", err)
	}
	infos, _, err := p.open(t).Readers(t.Context(), "m")
	if err != nil || len(infos) != 2 || !slices.ContainsFunc(infos, func(i vault.ReaderInfo) bool { return i.Reader == "dev" && i.Known }) || infos[0].Pending != 0 {
		t.Errorf("readers %+v, %v", infos, err)
	}
}

// TestGroups: who joins reads at once, who leaves reads nothing new; every
// artefact that the group reads follows.
func TestGroups(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	one, two := p.join(t, "one"), p.join(t, "two")
	admin := p.join(t, "eve", state.Admin)
	ok[*vault.Change](t)(p.open(t).GroupAdd(t.Context(), "ml", []string{"one", "ada"}))
	for _, a := range []string{"a", "b"} {
		ok[*vault.GrantResult](t)(p.open(t).Grant(t.Context(), a, []string{"@ml"}))
		p.push(t, a, 1)
	}
	if err := two.reads(t, "a", 1); !errors.Is(err, vault.ErrNotPermitted) {
		t.Fatalf("before joining: %v", err)
	}
	if _, err := admin.open(t).GroupAdd(t.Context(), "ml", []string{"two"}); !errors.Is(err, vault.ErrNotPermitted) || !strings.Contains(err.Error(), "one, ada") {
		t.Errorf("by an admin who is not in it: %v", err)
	}
	for _, want := range []bool{true, false} {
		if c := ok[*vault.Change](t)(p.open(t).GroupAdd(t.Context(), "ml", []string{"two"})); c.Changed != want {
			t.Errorf("changed %v, want %v", c.Changed, want)
		}
	}
	if one.reads(t, "a", 1) != nil || two.reads(t, "b", 1) != nil {
		t.Error("a member of the group does not read")
	}
	_, s, err := p.open(t).GroupRemove(t.Context(), "ml", []string{"one"})
	done(t, s, err)
	if len(s.Resized) != 2 || len(s.Rotated) != 2 {
		t.Errorf("%+v", s)
	}
	p.push(t, "a", 2)
	for n := 1; n <= 2; n++ {
		if err := one.reads(t, "a", n); !errors.Is(err, vault.ErrNotPermitted) {
			t.Errorf("who left reads v%d: %v", n, err)
		}
		if err := two.reads(t, "a", n); err != nil {
			t.Errorf("who stayed, v%d: %v", n, err)
		}
	}
	if _, _, err := p.open(t).GroupRemove(t.Context(), "ml", []string{"two", "ada"}); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("emptied: %v", err)
	}
	if _, _, err := p.open(t).GroupRemove(t.Context(), "none", []string{"two"}); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("no such group: %v", err)
	}
	// A removed member leaves groups too.
	_, s, err = p.open(t).MemberRemove(t.Context(), "two", "")
	done(t, s, err)
	groups, _, err := p.open(t).Groups(t.Context())
	if err != nil || len(groups) != 1 || !slices.Equal(groups[0].Members, []string{"ada"}) {
		t.Errorf("groups %+v, %v", groups, err)
	}
	if err := p.reads(t, "a", 2); err != nil {
		t.Errorf("ada: %v", err)
	}
}

// TestOneNewMemberAmongMany: 300 members in groups, 200 artefacts. One more
// member, and their place in a group, cost a handful of requests and touch no
// artefact.
func TestOneNewMemberAmongMany(t *testing.T) {
	members, artefacts, inGroup := 300, 200, 100
	if raceDetector {
		members, artefacts, inGroup = 30, 20, 10
	}
	p := newPlace(t)
	genesis := p.init(t).Genesis
	// The crowd: entries as the verbs would write them, metadata identities sealed to ada alone.
	l, err := ledger.Open(t.Context(), &ledger.Session{Store: p.store, Cipher: seal.Age{}, Self: seal.AsKey(p.id.Sealing()), Signer: p.id.Signing(), Now: p.now}, genesis)
	if err != nil {
		t.Fatal(err)
	}
	var crowd []string
	for i := range members {
		name := fmt.Sprintf("m%d", i)
		crowd = append(crowd, name)
		meta, sealed, err := l.NewMetadata(t.Context(), []string{seal.AsKey(p.id.Sealing()).Recipient()})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := p.mem.Put(t.Context(), ledger.MetadataKey(meta.MID), sealed); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(t.Context(), state.KindMemberAdd, state.MemberAdd{Member: p.spec(t, name), Metadata: meta}, canonical.NewID()); err != nil {
			t.Fatal(err)
		}
	}
	ok[*vault.Change](t)(p.open(t).GroupAdd(t.Context(), "g", append([]string{"ada"}, crowd[:inGroup]...)))
	recipient := p.open(t).State().Group("g").Recipient
	if err := l.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i := range artefacts {
		name := fmt.Sprintf("team/a%d", i)
		a := l.Artefact(state.ArtefactID(l.NameKey(), name))
		r := &keyring.Ring{Ledger: a, Vault: l, Store: p.store}
		if err := r.Register(t.Context(), name, []keyring.Reader{{Name: "@g", Recipient: recipient}}, canonical.NewID()); err == nil {
			t.Fatal("registered without a keeper")
		}
	}
	if n := len(must3(p.open(t).Readers(t.Context(), "team/*"))); n != artefacts {
		t.Fatalf("%d artefacts are read by the group", n)
	}
	counted := backendtest.NewCounting(p.store)
	p.store = counted
	total := 0
	for _, act := range []func(*vault.Vault) (*vault.Change, error){
		func(v *vault.Vault) (*vault.Change, error) { return v.MemberAdd(t.Context(), p.spec(t, "new")) },
		func(v *vault.Vault) (*vault.Change, error) { return v.GroupAdd(t.Context(), "g", []string{"new"}) },
	} {
		v := p.open(t)
		counted.Reset()
		ok[*vault.Change](t)(act(v))
		total += len(counted.Requests())
		if n := counted.Count("", "a/"); n > 0 {
			t.Errorf("%d requests of artefacts", n)
		}
	}
	t.Logf("%d requests for one new member in a group, once the vault is open", total)
	if total > 20 {
		t.Errorf("%d requests", total)
	}
}

func must3(all []vault.ReaderInfo, _ string, _ error) []vault.ReaderInfo { return all }

// TestGrantThatDied: an addition that was stored and never came on record is taken
// back by whoever revokes, or removes, although nobody stands on the list.
func TestGrantThatDied(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	p.join(t, "bob")
	p.push(t, "m", 1)
	ok[*vault.Change](t)(p.open(t).GroupAdd(t.Context(), "g", []string{"ada"}))
	stray := func(prefix string) {
		t.Helper()
		i := slices.IndexFunc(p.mem.Keys(), func(k string) bool { return strings.Contains(k, prefix) })
		key := p.mem.Keys()[i]
		if _, err := p.mem.Put(t.Context(), key[:len(key)-32]+canonical.NewID().String(), []byte("sealed to somebody")); err != nil {
			t.Fatal(err)
		}
	}
	revoke := func() int {
		t.Helper()
		return len(ok[*vault.GrantResult](t)(p.open(t).Revoke(t.Context(), "m", []string{"bob"})).Settlement.Resized)
	}
	if n := revoke(); n != 0 {
		t.Errorf("revoking who never read makes %d new generations", n)
	}
	stray("/g/")
	if n := revoke(); n != 1 {
		t.Errorf("a grant that died: %d new generations", n)
	}
	if n := revoke(); n != 0 {
		t.Errorf("once more: %d new generations", n)
	}
	id := p.open(t).State().Group("g").ID
	leave := func() bool {
		t.Helper()
		c, _, err := p.open(t).GroupRemove(t.Context(), "g", []string{"bob"})
		if err != nil {
			t.Fatal(err)
		}
		return c.Changed
	}
	if leave() {
		t.Error("taking out who never was in changes something")
	}
	stray("grp/")
	if !leave() || p.open(t).State().Group("g").ID == id {
		t.Error("an addition that died leaves the group its identity")
	}
	id = p.open(t).State().Group("g").ID
	stray("grp/" + id.String())
	if _, _, err := p.open(t).MemberRemove(t.Context(), "bob", ""); err != nil {
		t.Fatal(err)
	}
	if p.open(t).State().Group("g").ID == id {
		t.Error("a removal leaves a group its identity that somebody may hold")
	}
	if err := p.reads(t, "m", 1); err != nil {
		t.Error(err)
	}
}

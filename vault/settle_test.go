package vault_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// TestRemovalResumes: a removal that dies at any of its writes, applied or not,
// is finished by the same command. Who runs it may do all but destroy keys, so
// that every try can begin with the same storage and keeper.
func TestRemovalResumes(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	eve, mal := p.join(t, "eve", state.Admin, state.Developer), p.join(t, "mal")
	ok[*vault.Change](t)(eve.open(t).GroupAdd(t.Context(), "g", []string{"eve", "mal"}))
	ok[*vault.GrantResult](t)(eve.open(t).Grant(t.Context(), "m", []string{"@g"}))
	eve.push(t, "m", 1)
	begin := map[string][]byte{}
	for _, key := range p.mem.Keys() {
		body, err := ledger.ReadObject(t.Context(), p.mem, key, 0)
		if err != nil {
			t.Fatal(err)
		}
		begin[key] = body
	}
	points := 0
	for n := 1; ; n++ {
		for _, mode := range []backendtest.Mode{backendtest.FailLost, backendtest.FailStored} {
			store := mem.New(mem.Options{})
			for key, body := range begin {
				if _, err := store.Put(t.Context(), key, body); err != nil {
					t.Fatal(err)
				}
			}
			removal := func(s backends.Store, stall time.Duration) (*vault.Settlement, error) {
				c := eve.config()
				c.Store, c.Stall, c.Jobs = s, stall, 1
				v, err := vault.Open(t.Context(), c)
				if err != nil {
					return nil, err
				}
				_, settled, err := v.MemberRemove(t.Context(), "mal", "left")
				return settled, err
			}
			_, err := removal(backendtest.NewFaulty(store, backendtest.CrashAt(backendtest.Put, n, mode)), 5*time.Millisecond)
			if err == nil {
				if points < 30 {
					t.Errorf("only %d crashes: a removal has more writes than that", points)
				}
				return
			}
			points++
			s, err := removal(store, 0)
			if err != nil || len(s.Waiting) != 1 || !waits(s, "m", "earlier epochs") {
				t.Fatalf("write %d, mode %d, resumed: %+v, %v", n, mode, s, err)
			}
			left, gone := *eve, *mal
			left.store, gone.store = store, store
			if err := left.reads(t, "m", 1); err != nil {
				t.Errorf("write %d, mode %d: who stayed reads: %v", n, mode, err)
			}
			if err := gone.reads(t, "m", 1); err == nil || !left.open(t).State().Member("mal").Removed {
				t.Errorf("write %d, mode %d: who was removed reads on", n, mode)
			}
		}
	}
}

// TestRemovalByAnAdminAlone: an admin who neither reads nor rotates ends the
// membership and says what waits for whom; each of them runs the same command.
func TestRemovalByAnAdminAlone(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	eve := p.join(t, "eve", state.Admin)
	dev, run := p.join(t, "dev", state.Developer), p.join(t, "run", state.Runner)
	p.join(t, "mal")
	ok[*vault.GrantResult](t)(dev.open(t).Grant(t.Context(), "m", []string{"mal"}))
	dev.push(t, "m", 1)
	_, s, err := eve.open(t).MemberRemove(t.Context(), "mal", "")
	if err != nil || !slices.Equal(s.Resized, []string{"m"}) || !waits(s, "m", "sealed to the readers before") || len(s.Waiting) != 1 {
		t.Fatalf("by the admin: %+v, %v", s, err)
	}
	_, s, err = dev.open(t).MemberRemove(t.Context(), "mal", "")
	if err != nil || !slices.Equal(s.Rotated, []string{"m"}) || !waits(s, "m", "earlier epochs") || len(s.Waiting) != 1 {
		t.Fatalf("by a developer who reads: %+v, %v", s, err)
	}
	_, s, err = run.open(t).MemberRemove(t.Context(), "mal", "")
	done(t, s, err)
	if err := dev.reads(t, "m", 1); err != nil {
		t.Error(err)
	}
}

// TestSuspension: the brake holds in every journal at once, and comes off.
func TestSuspension(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	olga, dev := p.join(t, "olga", state.Operator), p.join(t, "dev", state.Developer)
	dev.push(t, "m", 1)
	asleep := dev.open(t)
	c, s, err := olga.open(t).MemberSuspend(t.Context(), "dev", "laptop stolen")
	done(t, s, err)
	if !c.Changed || !slices.Equal(s.Fenced, []string{"m"}) {
		t.Errorf("%+v, %+v", c, s)
	}
	for what, v := range map[string]*vault.Vault{"a session that knew nothing": asleep, "a new one": dev.open(t)} {
		if _, err := v.Push(t.Context(), vault.PushOptions{Artefact: "m", Paths: []string{smallModel(t, 2)}}); !errors.Is(err, vault.ErrNotPermitted) {
			t.Errorf("%s pushes: %v", what, err)
		}
	}
	if _, err := olga.open(t).MemberResume(t.Context(), "dev", ""); !errors.Is(err, vault.ErrNotPermitted) {
		t.Errorf("resumed by an operator: %v", err)
	}
	ok[*vault.Change](t)(p.open(t).MemberResume(t.Context(), "dev", "found"))
	dev.push(t, "m", 2)
	from := time.Now().Add(-time.Hour)
	ok[*vault.Change](t)(olga.open(t).MemberTaint(t.Context(), "dev", [32]byte{}, from, time.Now()))
	if _, err := olga.open(t).MemberTaint(t.Context(), "nobody", [32]byte{}, from, time.Now()); !errors.Is(err, vault.ErrNotFound) {
		t.Errorf("tainted nobody: %v", err)
	}
}

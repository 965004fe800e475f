package vault_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// alive counts the living keys of a keeper.
func alive(t *testing.T, k custody.Keeper) int {
	t.Helper()
	n := 0
	for ref, err := range k.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		s := ok[custody.KeyStatus](t)(k.Status(t.Context(), ref))
		if s.State == custody.Alive {
			n++
		}
	}
	return n
}

// TestCustodyMigrateResumes: a migration that dies at its first write, its
// second, and so on, each time from where the last one left it, arrives.
func TestCustodyMigrateResumes(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	for _, name := range []string{"m", "n"} {
		p.push(t, name, 1)
	}
	old, next := p.keeper, custodytest.NewMem(time.Now, 0)
	migrate := func(c vault.Config) (*vault.MigrateResult, error) {
		v, err := vault.Open(t.Context(), c)
		if err != nil {
			return nil, err
		}
		return v.CustodyMigrate(t.Context(), vault.MigrateOptions{Mode: state.AnyOf, Keepers: []custody.Keeper{next}})
	}
	for n := 1; ; n++ {
		c := p.config()
		mode := backendtest.FailLost
		if n%2 == 0 {
			mode = backendtest.FailStored
		}
		c.Store, c.Stall, c.Jobs = backendtest.NewFaulty(p.store, backendtest.CrashAt(backendtest.Put, n, mode)), 5*time.Millisecond, 1
		r, err := migrate(c)
		if err == nil && len(r.Settlement.Waiting) == 0 {
			if n < 5 {
				t.Errorf("only %d crashes: a migration has more writes than that", n-1)
			}
			break
		}
	}
	if n, m := alive(t, old), alive(t, next); n != 0 || m != 2 {
		t.Errorf("%d keys live at the keeper before, %d at the new one", n, m)
	}
	r := ok[*vault.MigrateResult](t)(migrate(p.config()))
	if r.Changed || len(r.Moved) > 0 || len(r.Settlement.Waiting) > 0 {
		t.Errorf("again: %+v", r)
	}
	p.keeper = next
	for _, name := range []string{"m", "n"} {
		if err := p.reads(t, name, 1); err != nil {
			t.Error(err)
		}
	}
}

// TestCustodyMigrateByMany: an admin pins the keepers, a developer moves the
// keys, a runner ends the old ones, which take a while to go; each runs the same
// command. Who is none of these learns what waits.
func TestCustodyMigrateByMany(t *testing.T) {
	p := newPlace(t)
	now := time.Now()
	p.now = func() time.Time { return now }
	p.keeper = custodytest.NewMem(p.now, 24*time.Hour)
	p.init(t)
	eve, dev, run := p.join(t, "eve", state.Admin), p.join(t, "dev", state.Developer), p.join(t, "run", state.Runner)
	dev.push(t, "m", 1)
	next := []custody.Keeper{custodytest.NewMem(p.now, 0), custodytest.NewMem(p.now, 0)}
	migrate := func(who *place) (*vault.MigrateResult, error) {
		return who.open(t).CustodyMigrate(t.Context(), vault.MigrateOptions{Mode: state.AllOf, Keepers: next, Again: "the same"})
	}
	if _, err := migrate(dev); !errors.Is(err, vault.ErrNotPermitted) {
		t.Errorf("pinned by a developer: %v", err)
	}
	if _, err := p.open(t).CustodyMigrate(t.Context(), vault.MigrateOptions{Mode: state.AnyOf, Keepers: []custody.Keeper{next[0], next[0]}}); !errors.Is(err, vault.ErrUnfit) {
		t.Errorf("one keeper as two: %v", err)
	}
	r := ok[*vault.MigrateResult](t)(migrate(eve))
	if !r.Changed || len(r.Moved) > 0 || !waits(r.Settlement, "m", "still at the keepers before") {
		t.Errorf("by the admin: %+v, %+v", r, r.Settlement)
	}
	r = ok[*vault.MigrateResult](t)(migrate(dev))
	if !slices.Equal(r.Moved, []string{"m"}) || !waits(r.Settlement, "m", "earlier epochs") {
		t.Errorf("by a developer: %+v, %+v", r, r.Settlement)
	}
	r = ok[*vault.MigrateResult](t)(migrate(run))
	if !waits(r.Settlement, "m", "are pending destruction") {
		t.Errorf("by a runner: %+v, %+v", r, r.Settlement)
	}
	now = now.Add(25 * time.Hour)
	r = ok[*vault.MigrateResult](t)(migrate(run))
	if !r.Changed || len(r.Settlement.Waiting) > 0 || alive(t, p.keeper) > 0 {
		t.Errorf("by a runner, later: %+v, %+v", r, r.Settlement)
	}
	c := dev.config()
	c.Keepers = func(context.Context, []state.Plugin) ([]custody.Keeper, error) { return next, nil }
	v := ok[*vault.Vault](t)(vault.Open(t.Context(), c))
	s := ok[*vault.CustodyStatus](t)(v.CustodyStatus(t.Context()))
	if len(s.Artefacts) != 1 || !s.Artefacts[0].InCustody || s.Artefacts[0].Superseded != 0 || s.Mode != state.AllOf {
		t.Errorf("custody: %+v", s)
	}
}

// TestOneKeeperAway: what any-of goes on without is told, what all-of cannot is
// an error that names the keeper.
func TestOneKeeperAway(t *testing.T) {
	for _, mode := range []string{state.AnyOf, state.AllOf} {
		p := newPlace(t)
		both := []custody.Keeper{custodytest.NewMem(time.Now, 0), custodytest.NewMem(time.Now, 0)}
		away := errors.Join(errors.New("it is away"), custody.ErrUnavailable)
		var told []error
		config := func(keepers []custody.Keeper, err error) vault.Config {
			c := p.config()
			c.Keepers = func(context.Context, []state.Plugin) ([]custody.Keeper, error) { return keepers, err }
			c.Warn = func(err error) { told = append(told, err) }
			return c
		}
		if _, err := vault.Init(t.Context(), config(both[:1], away), vault.InitOptions{Member: "ada", Mode: mode}); !errors.Is(err, custody.ErrUnavailable) {
			t.Errorf("%s: init with a keeper away: %v", mode, err)
		}
		ok[*vault.InitResult](t)(vault.Init(t.Context(), config(both, nil), vault.InitOptions{Member: "ada", Mode: mode}))
		v := ok[*vault.Vault](t)(vault.Open(t.Context(), config(both, nil)))
		ok[*vault.PushResult](t)(v.Push(t.Context(), vault.PushOptions{Artefact: "m", Paths: []string{smallModel(t, 1)}}))
		if len(told) > 0 {
			t.Errorf("%s: warned of %v", mode, told)
		}
		deaf := custodytest.NewFaulty(both[0], func(c custodytest.Call) custodytest.Fault {
			if c.Op == custodytest.OpUnwrap {
				return custodytest.FailBefore
			}
			return custodytest.NoFault
		})
		for what, c := range map[string]vault.Config{"not reached": config(both[1:], away), "failing": config([]custody.Keeper{deaf, both[1]}, nil)} {
			told = nil
			v := ok[*vault.Vault](t)(vault.Open(t.Context(), c))
			_, err := v.Pull(t.Context(), vault.Ref{Artefact: "m", Number: 1}, t.TempDir(), vault.PullOptions{})
			switch {
			case mode == state.AnyOf && (err != nil || len(told) == 0):
				t.Errorf("any-of, one keeper %s: %v, warned of %v", what, err, told)
			case mode == state.AllOf && !errors.Is(err, custody.ErrUnavailable):
				t.Errorf("all-of, one keeper %s: %v", what, err)
			}
		}
	}
}

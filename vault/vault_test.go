package vault_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// place is storage, keeper and one member, for the tests of what a vault does.
type place struct {
	store  backends.Store
	mem    *mem.Store
	keeper custody.Keeper
	id     *identity.Identity
	people map[string]*identity.Identity // who else there is, see as
	now    func() time.Time
}

func newPlace(t testing.TB) *place {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	m := mem.New(mem.Options{})
	return &place{store: m, mem: m, keeper: custodytest.NewMem(time.Now, 0), id: id, now: time.Now}
}

func (p *place) config() vault.Config {
	return vault.Config{Store: p.store, Identity: p.id, Now: p.now, Jobs: 4,
		Keepers: func(context.Context, []state.Plugin) ([]custody.Keeper, error) {
			return []custody.Keeper{p.keeper}, nil
		}}
}

func (p *place) init(t testing.TB) *vault.InitResult {
	t.Helper()
	res, err := vault.Init(t.Context(), p.config(), vault.InitOptions{Member: "ada"})
	if err != nil {
		t.Fatal(err)
	}
	return res
}

func (p *place) open(t testing.TB) *vault.Vault {
	t.Helper()
	v, err := vault.Open(t.Context(), p.config())
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestInitOnce(t *testing.T) {
	p := newPlace(t)
	res := p.init(t)
	if _, err := vault.Init(t.Context(), p.config(), vault.InitOptions{Member: "bob"}); !errors.Is(err, vault.ErrVaultExists) {
		t.Fatalf("a second init: %v", err)
	}
	v := p.open(t)
	if v.Genesis() != res.Genesis || v.Self() == nil || v.Self().Name != "ada" {
		t.Fatalf("opened %v, self %v", v.Genesis(), v.Self())
	}
	for _, key := range p.mem.Keys() {
		if len(key) > 6 && key[:6] == "probe/" {
			t.Errorf("init left %s", key)
		}
	}
}

func TestRacingInits(t *testing.T) {
	p := newPlace(t)
	const racers = 8
	var wg sync.WaitGroup
	errs := make([]error, racers)
	for i := range racers {
		wg.Go(func() { _, errs[i] = vault.Init(t.Context(), p.config(), vault.InitOptions{Member: "ada"}) })
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, vault.ErrVaultExists) {
			t.Errorf("a loser's error: %v", err)
		}
	}
	metas := 0
	for _, key := range p.mem.Keys() {
		if key[:5] == "meta/" {
			metas++
		}
	}
	if won != 1 || metas != 1 {
		t.Fatalf("%d of %d inits won, %d metadata identities are left", won, racers, metas)
	}
}

func TestOpenRefusesAnotherGenesis(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	c := p.config()
	c.Genesis = canonical.Sum([]byte("another"))
	if _, err := vault.Open(t.Context(), c); !errors.Is(err, vault.ErrRolledBack) {
		t.Fatalf("got %v", err)
	}
	if _, err := vault.Open(t.Context(), newPlace(t).config()); !errors.Is(err, vault.ErrNoVault) {
		t.Fatalf("an empty store: %v", err)
	}
}

func TestRegisterTwice(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	for i, want := range []bool{true, false} {
		res, err := p.open(t).Register(t.Context(), "team/fraud-detector")
		if err != nil || res.Changed != want {
			t.Fatalf("register %d: %+v, %v", i, res, err)
		}
	}
	list, _, err := p.open(t).List(t.Context(), "team/*")
	if err != nil || len(list) != 1 || list[0].Artefact != "team/fraud-detector" || list[0].State != "empty" {
		t.Fatalf("list: %+v, %v", list, err)
	}
}

func TestPinsAreReadAsPrinted(t *testing.T) {
	pin := ledger.Pin{Journal: entry.VaultJournal, Position: entry.Position{Seq: 7, Hash: canonical.Sum([]byte("x"))}}
	got, err := vault.ParsePin(pin.String())
	if err != nil || got != pin {
		t.Fatalf("%s: %v, %v", pin, got, err)
	}
	for _, bad := range []string{"", "vault", "vault/1", "vault/x/" + pin.Hash.String(), "Vault/1/" + pin.Hash.String(), pin.String() + "/"} {
		if _, err := vault.ParsePin(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

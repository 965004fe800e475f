package vault_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// TestRacingQuarantines: many at once put the same versions in quarantine. Each
// version is put there by exactly one of them, and all see that it is done.
func TestRacingQuarantines(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	p.push(t, "m", 1)
	p.push(t, "m", 2)
	refs := []vault.Ref{{Artefact: "m", Number: 1}, {Artefact: "m"}, {Artefact: "m", Number: 1}}
	var wg sync.WaitGroup
	var changed atomic.Int32
	for range 6 {
		v := p.open(t)
		wg.Go(func() {
			done, err := v.Quarantine(t.Context(), refs, "poisoned", "INC-1")
			if err != nil || len(done) != 2 {
				t.Errorf("%+v, %v", done, err)
			}
			for _, q := range done {
				if q.Changed {
					changed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if changed.Load() != 2 {
		t.Errorf("%d versions were put in quarantine, want 2", changed.Load())
	}
	for n := 1; n <= 2; n++ {
		if err := p.reads(t, "m", n); !errors.Is(err, vault.ErrRefused) {
			t.Errorf("v%d is read: %v", n, err)
		}
	}
	quarantines := 0
	for _, e := range ok[*vault.History](t)(p.open(t).History(t.Context(), "m")).Events {
		if e.Kind == state.KindQuarantine {
			quarantines++
		}
	}
	if quarantines != 1 {
		t.Errorf("%d entries where one does", quarantines)
	}
}

// TestPermitEnds: by a permit one member reads, until its time is over, and not
// after the quarantine that it belongs to has been lifted and placed anew.
func TestPermitEnds(t *testing.T) {
	p := newPlace(t)
	now := time.Now()
	p.now = func() time.Time { return now }
	p.init(t)
	bob := p.join(t, "bob", state.Developer)
	bob.push(t, "m", 1)
	ref := vault.Ref{Artefact: "m", Number: 1}
	examine := func() error {
		_, err := bob.open(t).Pull(t.Context(), ref, t.TempDir(), vault.PullOptions{Forensic: true})
		return err
	}
	place := func() {
		ok[[]vault.QuarantineInfo](t)(p.open(t).Quarantine(t.Context(), []vault.Ref{ref}, "poisoned", ""))
	}
	permit := func(until time.Time) {
		ok[*vault.PermitInfo](t)(p.open(t).Permit(t.Context(), ref, "bob", "to examine", until))
	}
	if err := examine(); err != nil {
		t.Errorf("in no quarantine: %v", err)
	}
	place()
	if err := examine(); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("without a permit: %v", err)
	}
	permit(now.Add(time.Hour))
	if err := examine(); err != nil {
		t.Errorf("by a permit: %v", err)
	}
	if err := bob.reads(t, "m", 1); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("without asking for it: %v", err)
	}
	now = now.Add(time.Hour)
	if err := examine(); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("when its time is over: %v", err)
	}
	permit(now.Add(time.Hour))
	ok[[]vault.QuarantineInfo](t)(p.open(t).Clear(t.Context(), []vault.Ref{ref}, "false alarm", ""))
	place()
	if err := examine(); !errors.Is(err, vault.ErrRefused) {
		t.Errorf("by a permit of the quarantine before: %v", err)
	}
}

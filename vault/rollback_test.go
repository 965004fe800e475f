package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// stage is a vault with two versions by dev, both of which prod pointed to, and
// policy that asks for everything; v1 is known good.
type stage struct {
	*place
	t   *testing.T
	now time.Time
	dev *place
	ops *place // an operator who approves, and does nothing else
}

func newStage(t *testing.T, requirements ...state.Requirement) *stage {
	t.Helper()
	s := emptyStage(t, requirements...)
	for n := 1; n <= 2; n++ {
		s.dev.push(t, "m", n)
		if n == 1 {
			ok[*vault.GrantResult](t)(s.dev.open(t).Grant(t.Context(), "m", []string{"ada"}))
		}
	}
	return s
}

// newSystemStage is a stage whose versions are systems of one part, p@v1, by ada,
// that is known good; and every operator was trained.
func newSystemStage(t *testing.T) *stage {
	t.Helper()
	s := emptyStage(t, all())
	otto := s.join(t, "otto", state.Operator)
	for name, by := range map[string]*place{"ada": s.ops, "olga": s.place, "otto": s.place} {
		ok[*vault.Change](t)(by.open(t).MemberTrain(t.Context(), name, vault.TrainingOptions{Role: state.Operator, Course: "rolling back"}))
	}
	s.place.push(t, "p", 1)
	ok[*vault.ApproveResult](t)(otto.open(t).ApproveVersion(t.Context(), vault.Ref{Artefact: "p", Number: 1}))
	for n := 1; n <= 2; n++ {
		ok[*vault.PushResult](t)(s.dev.open(t).Push(t.Context(), vault.PushOptions{Artefact: "m", Kind: state.KindSystem, Paths: []string{smallModel(t, n)},
			Parts: []vault.Part{{Name: "p", Ref: vault.Ref{Artefact: "p", Number: 1}}}}))
		if n == 1 {
			ok[*vault.GrantResult](t)(s.dev.open(t).Grant(t.Context(), "m", []string{"ada"}))
		}
	}
	return s
}

// setPolicy makes policy ask for these things.
func (s *stage) setPolicy(requirements ...state.Requirement) {
	s.t.Helper()
	ok[*vault.Change](s.t)(s.open(s.t).SetPolicy(s.t.Context(), func(p state.Policy) (state.Policy, error) {
		p.Channels = requirements
		return p, nil
	}))
}

func emptyStage(t *testing.T, requirements ...state.Requirement) *stage {
	t.Helper()
	s := &stage{place: newPlace(t), t: t, now: time.Now().Truncate(time.Second)}
	s.place.now = func() time.Time { return s.now }
	s.init(t)
	s.dev, s.ops = s.join(t, "dev", state.Developer), s.join(t, "olga", state.Operator)
	s.setPolicy(requirements...)
	return s
}

// all is policy that asks for everything there is.
func all() state.Requirement {
	return state.Requirement{Artefact: "m", Channel: "prod", Evidence: []string{"evaluation/robustness", "scan", "risk-assessment"}, Independent: true,
		Approvals: 1, Trained: []string{state.Operator}, Drill: state.Duration{Days: 90}}
}

func (s *stage) attest(version int, evidence, name, result string, expires time.Time) {
	s.t.Helper()
	ok[*vault.AttestResult](s.t)(s.open(s.t).Attest(s.t.Context(), vault.Ref{Artefact: "m", Number: version}, vault.AttestOptions{Type: evidence, Name: name, Result: result, Expires: expires}))
}

func (s *stage) promote(version int) {
	s.t.Helper()
	ok[*vault.PromoteResult](s.t)(s.open(s.t).Promote(s.t.Context(), vault.Ref{Artefact: "m", Number: version}, "prod", vault.PromoteOptions{Reason: "release"}))
}

// show gives both versions all that policy asks for, and moves prod to them.
func (s *stage) show() {
	s.t.Helper()
	for n := 1; n <= 2; n++ {
		s.attest(n, state.Evaluation, "robustness", state.Pass, s.now.Add(24*time.Hour))
		s.attest(n, state.Scan, "", state.Pass, time.Time{})
		s.attest(n, "risk-assessment", "", state.Pass, time.Time{})
		ok[*vault.ApproveResult](s.t)(s.ops.open(s.t).ApproveVersion(s.t.Context(), vault.Ref{Artefact: "m", Number: n}))
		s.promote(n)
	}
	ok[*vault.DrillResult](s.t)(s.open(s.t).Drill(s.t.Context(), "m", "prod", s.t.TempDir()))
}

func (s *stage) rollback(o vault.RollbackOptions) (*vault.RollbackResult, error) {
	s.t.Helper()
	return s.open(s.t).Rollback(s.t.Context(), "m", "prod", o)
}

// TestEachCheckBlocks: each check that fails, or is unknown, alone keeps a
// version from being known good, and says so.
func TestEachCheckBlocks(t *testing.T) {
	for _, c := range []struct {
		check, status, why string
		spoil              func(s *stage)
	}{
		{"bytes", state.CheckFail, "objects do not verify", func(s *stage) {
			for _, key := range s.mem.Keys() {
				if strings.Contains(key, "/c/") {
					s.mem.Remove(key)
				}
			}
		}},
		{"key", state.CheckFail, "has destroyed the key", func(s *stage) { s.keeper = destroyedKeeper{s.keeper} }},
		{"key", state.CheckUnknown, "unavailable", func(s *stage) { s.keeper = deadKeeper{s.keeper} }},
		{"signatures", state.CheckFail, "with a key that is tainted at that time", func(s *stage) { s.taint("dev") }},
		{"approval", state.CheckFail, "0 of 1 approvals", func(s *stage) { s.taint("olga") }},
		{"evaluation", state.CheckFail, "fail by ada", func(s *stage) { s.attest(1, state.Evaluation, "robustness", state.Fail, time.Time{}) }},
		{"evaluation", state.CheckFail, "expired on", func(s *stage) { s.now = s.now.Add(24 * time.Hour) }},
		{"evaluation", state.CheckFail, "evaluation fairness: fail by ada", func(s *stage) { s.attest(1, state.Evaluation, "fairness", state.Fail, time.Time{}) }},
		{"scan", state.CheckFail, "warn by ada", func(s *stage) { s.attest(1, state.Scan, "", state.Warn, time.Time{}) }},
		{"evidence", state.CheckFail, "monitoring drift: fail by ada", func(s *stage) { s.attest(1, "monitoring", "drift", state.Fail, time.Time{}) }},
		{"evidence", state.CheckFail, "risk-assessment: fail by ada", func(s *stage) { s.attest(1, "risk-assessment", "", state.Fail, time.Time{}) }},
		{"release", state.CheckFail, "in quarantine since", func(s *stage) {
			ok[[]vault.QuarantineInfo](s.t)(s.open(s.t).Quarantine(s.t.Context(), []vault.Ref{{Artefact: "m", Number: 1}}, "poisoned", ""))
		}},
		{"parts", state.CheckFail, "p, p@v1: release: in quarantine since", func(s *stage) {
			ok[[]vault.QuarantineInfo](s.t)(s.open(s.t).Quarantine(s.t.Context(), []vault.Ref{{Artefact: "p", Number: 1}}, "poisoned", ""))
		}},
		{"parts", state.CheckFail, "p, p@v1: scan: scan: fail by ada", func(s *stage) {
			ok[*vault.AttestResult](s.t)(s.open(s.t).Attest(s.t.Context(), vault.Ref{Artefact: "p", Number: 1}, vault.AttestOptions{Type: state.Scan, Result: state.Fail}))
		}},
		{"training", state.CheckFail, "dev: no training as developer", func(s *stage) {
			more := all()
			more.Trained = state.TrainedRoles()
			s.setPolicy(more)
		}},
		{"drill", state.CheckFail, "fail by ada", func(s *stage) { s.attest(1, state.Drill, "prod", state.Fail, time.Time{}) }},
		{"drill", state.CheckFail, "the last one, by ada, was on", func(s *stage) {
			s.attest(1, state.Evaluation, "robustness", state.Pass, time.Time{})
			s.now = s.now.Add(91 * 24 * time.Hour)
		}},
	} {
		t.Run(c.check+" "+c.status+" "+c.why, func(t *testing.T) {
			s := newSystemStage(t)
			s.show()
			res, err := s.rollback(vault.RollbackOptions{Pretend: true})
			if err != nil || res.To != 1 {
				t.Fatalf("before it: %+v, %v", res, err)
			}
			for _, k := range res.Judged[len(res.Judged)-1].Checks {
				if k.Status != state.CheckPass {
					t.Errorf("before it: %+v", k)
				}
			}
			c.spoil(s)
			res, err = s.rollback(vault.RollbackOptions{Reason: "incident"})
			if !errors.Is(err, vault.ErrNoKnownGood) || res.Changed {
				t.Fatalf("after it: %+v, %v", res, err)
			}
			for _, k := range res.Judged[len(res.Judged)-1].Checks {
				bad := k.Status == state.CheckFail || k.Status == state.CheckUnknown
				if k.Name == c.check && (k.Status != c.status || !strings.Contains(k.Why, c.why)) || bad && k.Name != c.check && !(c.check == "key" && k.Name == "bytes") {
					t.Errorf("after it: %+v", k)
				}
			}
		})
	}
}

// taint says that nothing is to be trusted that a member has signed so far.
func (s *stage) taint(name string) {
	s.t.Helper()
	ok[*vault.Change](s.t)(s.open(s.t).MemberTaint(s.t.Context(), name, canonical.Digest{}, s.now, s.now))
}

// TestRollbackPassesOver: what fails is passed over with its reason, what the
// channel never pointed to is nobody's fallback, and the move is one entry.
func TestRollbackPassesOver(t *testing.T) {
	s := newStage(t)
	s.dev.push(t, "m", 3)
	s.dev.push(t, "m", 4)
	ok[*vault.ApproveResult](t)(s.ops.open(t).ApproveVersion(t.Context(), vault.Ref{Artefact: "m", Number: 1}))
	for _, n := range []int{1, 2, 4} {
		s.promote(n)
	}
	ok[[]vault.QuarantineInfo](t)(s.open(t).Quarantine(t.Context(), []vault.Ref{{Artefact: "m", Number: 4}, {Artefact: "m", Number: 2}}, "poisoned", "INC-1"))
	before := len(ok[*vault.History](t)(s.open(t).History(t.Context(), "m")).Events)
	res := ok[*vault.RollbackResult](t)(s.rollback(vault.RollbackOptions{Reason: "incident", Incident: "INC-1", Depth: vault.DepthFull}))
	var got []int
	for _, j := range res.Judged {
		got = append(got, j.Version)
	}
	if !slices.Equal(got, []int{4, 3, 2, 1}) || res.From != 4 || res.To != 1 || !res.Changed {
		t.Fatalf("%+v", res)
	}
	for i, want := range []string{"in quarantine", "never pointed to it", "in quarantine", ""} {
		if reason := res.Judged[i].Reason(); !strings.Contains(reason, want) || (want == "") != (reason == "") {
			t.Errorf("v%d: %q", res.Judged[i].Version, reason)
		}
	}
	events := ok[*vault.History](t)(s.open(t).History(t.Context(), "m")).Events
	if last := events[len(events)-1]; len(events) != before+1 || last.What != "channel prod rolled back from v4 to v1: incident (incident INC-1)" {
		t.Errorf("%d entries, the last is %+v", len(events)-before, last)
	}
	if _, err := s.rollback(vault.RollbackOptions{Reason: "again"}); !errors.Is(err, vault.ErrNoKnownGood) {
		t.Errorf("with nothing older: %v", err)
	}
}

// TestRacingRollbacks: two rollbacks and a promote, all of which have decided by
// the same state. One wins, the others say that somebody else was faster.
func TestRacingRollbacks(t *testing.T) {
	for range 3 {
		race(t)
	}
}

func race(t *testing.T) {
	t.Helper()
	s := newStage(t)
	s.dev.push(t, "m", 3)
	ok[*vault.ApproveResult](t)(s.ops.open(t).ApproveVersion(t.Context(), vault.Ref{Artefact: "m", Number: 1}))
	s.promote(1)
	s.promote(2)
	line := newStartingLine(s.store, 3)
	var wg sync.WaitGroup
	var won, conflicts atomic.Int32
	count := func(changed bool, err error) {
		switch {
		case err == nil && changed:
			won.Add(1)
		case errors.Is(err, vault.ErrConflict):
			conflicts.Add(1)
		case err != nil:
			t.Error(err)
		}
	}
	run := func(act func(v *vault.Vault) (bool, error)) {
		q := *s.place
		q.store = line.lane()
		v := q.open(t)
		wg.Go(func() { count(act(v)) })
	}
	for range 2 {
		run(func(v *vault.Vault) (bool, error) {
			res, err := v.Rollback(t.Context(), "m", "prod", vault.RollbackOptions{Reason: "race"})
			return res != nil && res.Changed, err
		})
	}
	run(func(v *vault.Vault) (bool, error) {
		res, err := v.Promote(t.Context(), vault.Ref{Artefact: "m", Number: 3}, "prod", vault.PromoteOptions{Reason: "race"})
		return res != nil && res.Changed, err
	})
	wg.Wait()
	// Of two rollbacks to the same version the second finds it done.
	if won.Load() != 1 || conflicts.Load() == 0 {
		t.Errorf("%d won, %d say that somebody else did", won.Load(), conflicts.Load())
	}
}

// TestQuickRollbackRequests: the quick way takes no more requests for a large
// version than for a small one; the others do.
func TestQuickRollbackRequests(t *testing.T) {
	requests := func(chunks int, depth vault.Depth) int {
		s := newStage(t)
		for n := range 2 {
			dir := t.TempDir()
			for i := range chunks {
				content := bytes.Repeat([]byte{byte(n), byte(i)}, 5<<19) // a chunk of its own
				if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), content, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			ok[*vault.PushResult](t)(s.dev.open(t).Push(t.Context(), vault.PushOptions{Artefact: "big", Paths: []string{dir}}))
		}
		ok[*vault.GrantResult](t)(s.dev.open(t).Grant(t.Context(), "big", []string{"ada"}))
		ok[*vault.ApproveResult](t)(s.ops.open(t).ApproveVersion(t.Context(), vault.Ref{Artefact: "big", Number: 1}))
		for n := 1; n <= 2; n++ {
			ok[*vault.PromoteResult](t)(s.open(t).Promote(t.Context(), vault.Ref{Artefact: "big", Number: n}, "prod", vault.PromoteOptions{}))
		}
		ok[*vault.DrillResult](t)(s.open(t).Drill(t.Context(), "big", "prod", t.TempDir()))
		counted := backendtest.NewCounting(s.store)
		s.store = counted
		v := s.open(t)
		counted.Reset()
		res := ok[*vault.RollbackResult](t)(v.Rollback(t.Context(), "big", "prod", vault.RollbackOptions{Reason: "r", Depth: depth}))
		if res.To != 1 || !res.Changed {
			t.Fatalf("%+v", res)
		}
		return len(counted.Requests())
	}
	small, large := requests(1, vault.DepthRoot), requests(4, vault.DepthRoot)
	objects, full := requests(4, vault.DepthObjects), requests(4, vault.DepthFull)
	t.Logf("quick: %d and %d requests; every header: %d; every byte: %d", small, large, objects, full)
	if small != large || objects <= large || full <= large {
		t.Errorf("quick: %d requests for a small version and %d for a large one; every header: %d; every byte: %d", small, large, objects, full)
	}
}

// deadKeeper is out of reach; destroyedKeeper has destroyed every key.
type (
	deadKeeper      struct{ custody.Keeper }
	destroyedKeeper struct{ custody.Keeper }
)

func (deadKeeper) Unwrap(context.Context, custody.KeyRef, [32]byte, []byte) ([]byte, error) {
	return nil, custody.ErrUnavailable
}

func (destroyedKeeper) Unwrap(context.Context, custody.KeyRef, [32]byte, []byte) ([]byte, error) {
	return nil, custody.ErrDestroyed
}

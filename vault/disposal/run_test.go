package disposal

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

func TestRun(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("team/fraud")
	v1, v2 := o.push("team/fraud", 3), o.push("team/fraud", 2)
	o.pulled(aid, v1, "serving-1")
	r := o.approved(nil, scope(aid, v1))
	out := o.mustRun(r.ID)
	if !out.Changed {
		t.Error("a run that destroyed something says that nothing changed")
	}
	must(t, o.opens(aid, v2))
	if err := o.opens(aid, v1); err == nil {
		t.Error("a destroyed version opens")
	}
	for _, key := range o.Store.Keys() {
		if strings.Contains(key, v1.VID.String()) {
			t.Errorf("storage still has %s", key)
		}
	}
	d := out.Certificate.Details
	if len(d.Artefacts) != 1 || len(d.Artefacts[0].Versions) != 1 || d.Artefacts[0].Versions[0].Number != 1 || d.Artefacts[0].Survivors != 1 ||
		len(d.Artefacts[0].Keys) != 1 || len(d.Artefacts[0].Receipts) != 1 || d.Artefacts[0].Receipts[0].Host != "serving-1" ||
		d.Requested.By.Name != "cust" || len(d.Approvals) != 1 || d.Approvals[0].By.Name != "dora" || d.Performed.Name != "run" || d.Sole {
		t.Errorf("%+v", d)
	}
	again := o.mustRun(r.ID)
	if again.Changed || again.Certificate.Statement.Predicate.Time != out.Certificate.Statement.Predicate.Time {
		t.Error("a second run changed something")
	}
	must(t, o.desk("dora").Accept(t.Context(), r.ID, ""))
	if s, err := o.desk("cust").Status(t.Context(), r.ID); err != nil || s.Phase != Accepted {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestRunWhole(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	one, two := o.register("one"), o.register("two")
	v1, v2, w := o.push("one", 1), o.push("one", 1), o.push("two", 1)
	r := o.approved(nil, scope(one), scope(two, w))
	out := o.mustRun(r.ID)
	if n := out.Certificate.Details.count(); n != 3 {
		t.Errorf("the certificate names %d versions, not 3", n)
	}
	for _, v := range []*state.CommittedVersion{v1, v2} {
		if err := o.opens(one, v); err == nil {
			t.Errorf("v%d opens", v.Number)
		}
	}
	if err := o.opens(two, w); err == nil {
		t.Error("the other artefact's version opens")
	}
	d := o.desk("rita")
	if a, err := d.fold(t.Context(), one); err != nil || !a.Ended {
		t.Errorf("%v, %v", a, err)
	}
}

// TestRunOverManyKeepers destroys with every custody.
func TestRunOverManyKeepers(t *testing.T) {
	for _, c := range []vaulttest.Config{{Mode: state.AnyOf, Keepers: 2}, {Mode: state.AllOf, Keepers: 2}} {
		o := newOffice(t, c)
		aid := o.register("m")
		v1, v2 := o.push("m", 1), o.push("m", 1)
		out := o.mustRun(o.approved(nil, scope(aid, v1)).ID)
		if len(out.Certificate.Details.Keepers) != 2 {
			t.Errorf("%+v: %+v", c, out.Certificate.Details.Keepers)
		}
		must(t, o.opens(aid, v2))
	}
}

func TestRunPending(t *testing.T) {
	o := newOffice(t, vaulttest.Config{Delay: days(7)})
	aid := o.register("m")
	v1, v2 := o.push("m", 1), o.push("m", 1)
	r := o.approved(nil, scope(aid, v1))
	for range 2 {
		out, err := o.run(r.ID)
		must(t, err)
		if out.Phase != Pending || len(out.Pending) != 1 || out.Until().IsZero() || out.Certificate != nil {
			t.Errorf("%+v", out)
		}
	}
	if _, err := o.desk("run").Verify(t.Context(), r.ID); !errors.Is(err, ErrRefused) {
		t.Errorf("verifying what is pending: %v", err)
	}
	o.Clock.Advance(days(7))
	o.mustRun(r.ID)
	must(t, o.opens(aid, v2))
}

func TestRunRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		prepare func(o *office, aid canonical.Digest, v *state.CommittedVersion) canonical.ID
		says    string
	}{
		"not approved": {func(o *office, aid canonical.Digest, v *state.CommittedVersion) canonical.ID {
			return o.request(nil, scope(aid, v)).ID
		}, "0 of 1 approvals"},
		"policy asks for two since": {func(o *office, aid canonical.Digest, v *state.CommittedVersion) canonical.ID {
			r := o.approved(nil, scope(aid, v))
			o.policy(state.Policy{Approvals: 2})
			return r.ID
		}, "1 of 2 approvals"},
		"cancelled": {func(o *office, aid canonical.Digest, v *state.CommittedVersion) canonical.ID {
			r := o.approved(nil, scope(aid, v))
			_, err := o.desk("dora").Cancel(o.t.Context(), r.ID, "no")
			must(o.t, err)
			return r.ID
		}, "cancelled"},
		"not due": {func(o *office, aid canonical.Digest, v *state.CommittedVersion) canonical.ID {
			d := o.desk("cust")
			p, err := d.Plan(o.t.Context(), Draft{Scope: []state.DisposalScope{scope(aid, v)}, Reason: "later", After: entry.At(o.Clock.Now().Add(time.Hour))})
			must(o.t, err)
			r, err := d.Request(o.t.Context(), p)
			must(o.t, err)
			must(o.t, o.desk("dora").Approve(o.t.Context(), r.ID, r.Plan.SHA256))
			return r.ID
		}, "is due on"},
		"within the grace": {func(o *office, aid canonical.Digest, v *state.CommittedVersion) canonical.ID {
			o.policy(state.Policy{Grace: state.Duration{Days: 1}})
			return o.approved(nil, scope(aid, v)).ID
		}, "is due on"},
		"within minimum retention": {func(o *office, aid canonical.Digest, v *state.CommittedVersion) canonical.ID {
			o.policy(state.Policy{Retention: []state.Retention{{Class: state.Weights, Min: state.Duration{Months: 6}}}})
			return o.approved(nil, scope(aid, v)).ID
		}, "kept until"},
		"held": {func(o *office, aid canonical.Digest, v *state.CommittedVersion) canonical.ID {
			r := o.approved(nil, scope(aid, v))
			o.hold(aid, v)
			return r.ID
		}, "held by olaf"},
		"more would die": {func(o *office, aid canonical.Digest, _ *state.CommittedVersion) canonical.ID {
			r := o.approved(nil, scope(aid))
			o.push("m", 1)
			return r.ID
		}, "pushed after"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, vaulttest.Config{})
			aid := o.register("m")
			v := o.push("m", 1)
			id := c.prepare(o, aid, v)
			before := len(o.Store.Keys())
			out, err := o.run(id)
			if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), c.says) {
				t.Errorf("%+v, %v", out, err)
			}
			if after := len(o.Store.Keys()); after != before {
				t.Errorf("%d objects became %d", before, after)
			}
			must(t, o.opens(aid, v))
		})
	}
}

// TestRunClock: neither a machine whose clock runs ahead nor a storage whose
// clock does destroys what is not due by the other.
// TestHeldAfterDisabled: a hold that comes between the disabling and the
// activation keeps the version. Nothing is attacked, let alone certified, that
// lives on; once the hold is gone everything follows.
func TestHeldAfterDisabled(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v1, v2, v3 := o.push("m", 1), o.push("m", 1), o.push("m", 1)
	r := o.approved(nil, scope(aid, v1, v2))
	d := o.desk("run")
	s, err := d.Status(t.Context(), r.ID)
	must(t, err)
	must(t, d.execute(t.Context(), s, aid, &Outcome{}))
	hold := o.hold(aid, v1)
	out, err := o.run(r.ID)
	if !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), hold.String()) || out.Phase != Disabled || out.Certificate != nil {
		t.Errorf("with a hold: %+v, %v", out, err)
	}
	a, err := o.desk("cust").fold(t.Context(), aid)
	must(t, err)
	if at := a.Attacked(r.ID); at != nil {
		t.Errorf("an attack on what lives on is on record: %+v", at)
	}
	must(t, o.opens(aid, v1)) // by its keys; readers are refused by the journal
	must(t, o.opens(aid, v3))
	if err := o.opens(aid, v2); err == nil {
		t.Error("what no hold keeps is not destroyed")
	}
	// Nor does anybody's word that it is verified count.
	ring := d.ring(aid)
	report, err := ring.PutDocument(t.Context(), []byte("{}"))
	must(t, err)
	_, err = ring.Ledger.Fold(t.Context())
	must(t, err)
	var void *state.Void
	err = ring.Ledger.Append(t.Context(), state.KindVerified, state.Verified{Disposal: r.ID, Result: keyring.ResultVerified, Report: *report}, canonical.NewID())
	if !errors.As(err, &void) || void.Rule != state.RuleTarget {
		t.Errorf("a claim that it is verified: %v", err)
	}
	o.release(aid, hold)
	o.mustRun(r.ID)
	if err := o.opens(aid, v1); err == nil {
		t.Error("v1 opens")
	}
}

func TestRunClock(t *testing.T) {
	for _, skew := range []time.Duration{-time.Hour, time.Hour} {
		o := newOffice(t, vaulttest.Config{})
		aid := o.register("m")
		v := o.push("m", 1)
		r := o.approved(nil, scope(aid, v))
		d := o.desk("run")
		d.Vault.Now = func() time.Time { return o.Clock.Now().Add(skew) }
		_, err := d.Run(t.Context(), r.ID)
		if skew > 0 && !errors.Is(err, ErrClock) || skew < 0 && err == nil {
			t.Errorf("skew %v: %v", skew, err)
		}
		must(t, o.opens(aid, v))
	}
}

func TestCancel(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v1, v2 := o.push("m", 1), o.push("m", 1)
	r := o.approved(nil, scope(aid, v1))
	d := o.desk("run")
	s, err := d.Status(t.Context(), r.ID)
	must(t, err)
	must(t, d.execute(t.Context(), s, aid, &Outcome{}))
	if s, err = d.Status(t.Context(), r.ID); err != nil || s.Phase != Disabled {
		t.Fatalf("%+v, %v", s, err)
	}
	late, err := o.desk("cust").Cancel(t.Context(), r.ID, "needed after all")
	must(t, err)
	if len(late) > 0 {
		t.Errorf("too late for %v", late)
	}
	must(t, o.opens(aid, v1, v2))
	if _, err := o.run(r.ID); !errors.Is(err, ErrRefused) {
		t.Errorf("running what was cancelled: %v", err)
	}
	if err := o.desk("dora").Accept(t.Context(), r.ID, "as scheduled"); !errors.Is(err, ErrRefused) {
		t.Errorf("accepting what was cancelled: %v", err)
	}

	r = o.approved(nil, scope(aid, v1))
	o.mustRun(r.ID)
	late, err = o.desk("cust").Cancel(t.Context(), r.ID, "too late")
	must(t, err)
	if len(late) != 1 {
		t.Errorf("cancelling what is destroyed: %v", late)
	}
	must(t, o.desk("dora").Accept(t.Context(), r.ID, "as scheduled"))
	if s, err := o.desk("run").Status(t.Context(), r.ID); err != nil || s.Phase != Accepted {
		t.Errorf("accepting what was cancelled too late: %+v, %v", s, err)
	}
}

// A cancel that was cut short leaves what it did not reach disabled, says so, and
// is finished by whoever cancels once more.
func TestHalfACancel(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v := o.push("m", 1)
	r := o.approved(nil, scope(aid, v))
	d := o.desk("run")
	s, err := d.Status(t.Context(), r.ID)
	must(t, err)
	must(t, d.execute(t.Context(), s, aid, &Outcome{}))
	cust := o.desk("cust")
	must(t, cust.Vault.Refresh(t.Context()))
	must(t, cust.append(t.Context(), state.KindDisposalCancel, state.DisposalMark{ID: r.ID, Reason: "needed"}, canonical.NewID()))
	if s, err = d.Status(t.Context(), r.ID); err != nil || s.Phase != Disabled || !strings.Contains(s.Missing, "cancels it once more") {
		t.Errorf("half a cancel: %+v, %v", s, err)
	}
	if _, err := d.ring(aid).Rotate(t.Context(), canonical.NewID()); !errors.Is(err, keyring.ErrLapsed) {
		t.Errorf("a rotation: %v", err)
	}
	if _, err := cust.Cancel(t.Context(), r.ID, "needed"); err != nil {
		t.Fatal(err)
	}
	if s, err = d.Status(t.Context(), r.ID); err != nil || s.Phase != Cancelled {
		t.Errorf("a whole one: %+v, %v", s, err)
	}
	must(t, o.opens(aid, v))
}

// TestVerifyFindsOut: keys that come back, and keepers that cannot be asked.
func TestVerifyFindsOut(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v1, v2 := o.push("m", 1), o.push("m", 1)
	backup := o.Keepers["keeper-0"].CurrentState()
	r := o.approved(nil, scope(aid, v1))

	d := o.desk("run")
	d.Keepers["keeper-0"] = unsure{d.Keepers["keeper-0"]}
	out, err := d.Run(t.Context(), r.ID)
	if !errors.Is(err, ErrInconclusive) || out.Certificate != nil {
		t.Errorf("an attack that the keeper denies: %+v, %v", out, err)
	}
	if _, err := d.Certificate(t.Context(), r.ID); !errors.Is(err, ErrUnknown) {
		t.Errorf("there is a certificate: %v", err)
	}
	o.mustRun(r.ID)

	d = o.desk("run")
	d.Keepers["keeper-0"] = revived{d.Keepers["keeper-0"], backup}
	reports, err := d.Verify(t.Context(), r.ID)
	if !errors.Is(err, ErrFailed) || len(reports) != 1 || reports[0].Result != keyring.ResultFailed {
		t.Errorf("a key that came back: %+v, %v", reports, err)
	}
	if s, err := o.desk("cust").Status(t.Context(), r.ID); err != nil || s.Phase != Failed {
		t.Errorf("%+v, %v", s, err)
	}
	must(t, o.opens(aid, v2))
}

// TestStolenRunner: a runner's identity gets nothing that is not approved.
func TestStolenRunner(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v := o.push("m", 1)
	d := o.desk("run")
	p, err := d.Plan(t.Context(), Draft{Scope: []state.DisposalScope{scope(aid, v)}, Reason: "sabotage"})
	must(t, err)
	if _, err := d.Request(t.Context(), p); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a runner requests: %v", err)
	}
	r := o.request(nil, scope(aid, v))
	if err := d.Approve(t.Context(), r.ID, r.Plan.SHA256); !errors.Is(err, state.ErrNotPermitted) {
		t.Errorf("a runner approves: %v", err)
	}
	if err := o.desk("cust").Approve(t.Context(), r.ID, r.Plan.SHA256); err == nil {
		t.Error("the requester approves, though there is another custodian")
	}
	if err := o.desk("dora").Approve(t.Context(), r.ID, canonical.Sum([]byte("another plan"))); err == nil {
		t.Error("another plan was approved")
	}
	must(t, o.opens(aid, v))
}

package disposal

import (
	"errors"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// move points a channel to a version, as olaf.
func (o *office) move(aid canonical.Digest, channel string, to *state.CommittedVersion) {
	o.t.Helper()
	d := o.desk("olaf")
	a, err := d.fold(o.t.Context(), aid)
	must(o.t, err)
	must(o.t, d.ring(aid).Ledger.Append(o.t.Context(), state.KindChannel, state.Channel{Channel: channel, From: a.Channel(channel), To: to.VID}, canonical.NewID()))
}

// approve marks a version as known good, as olaf.
func (o *office) approve(aid canonical.Digest, v *state.CommittedVersion) {
	o.t.Helper()
	d := o.desk("olaf")
	_, err := d.fold(o.t.Context(), aid)
	must(o.t, err)
	must(o.t, d.ring(aid).Ledger.Append(o.t.Context(), state.KindApprove, state.Approve{Version: v.VID}, canonical.NewID()))
}

func TestInterlocks(t *testing.T) {
	for name, c := range map[string]struct {
		prepare  func(o *office, aid canonical.Digest) *state.CommittedVersion
		key      string
		decision string
		says     string
	}{
		"channel": {func(o *office, aid canonical.Digest) *state.CommittedVersion {
			v := o.push("m", 1)
			o.move(aid, "prod", v)
			return v
		}, "channel:m:prod", "leave", "channel prod points to v1, moved by olaf on"},
		"known-good": {func(o *office, aid canonical.Digest) *state.CommittedVersion {
			v := o.push("m", 1)
			o.move(aid, "prod", v)
			o.move(aid, "prod", o.push("m", 1))
			o.approve(aid, v)
			return v
		}, "known-good:m:prod", "accept", "v1 is what channel prod falls back to from v2, and nothing else is known good"},
		"descendants": {func(o *office, aid canonical.Digest) *state.CommittedVersion {
			v := o.push("m", 1)
			o.register("n")
			o.descend("n", aid, v)
			return v
		}, "descendants:n@v1", "keep:licensed apart", "n@v1 descends from v1 (fine-tuned-from), and lives on"},
		"shared": {func(o *office, aid canonical.Digest) *state.CommittedVersion {
			v := o.push("m", 2)
			o.push("m", 1, v)
			return v
		}, "shared:m@v1", "accept", "of v1 are part of v2 too"},
		"transfer": {func(o *office, aid canonical.Digest) *state.CommittedVersion {
			v := o.push("m", 1)
			o.handOver(aid, v)
			return v
		}, "transfer:m@v1", "received", "v1 was handed over to Nova <Models> Ltd by cust on"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOffice(t, vaulttest.Config{})
			aid := o.register("m")
			v := c.prepare(o, aid)
			plan := func(decisions map[string]string) (*Plan, error) {
				return o.desk("cust").Plan(t.Context(), Draft{Scope: []state.DisposalScope{scope(aid, v)}, Reason: "r", Decisions: decisions})
			}
			p, err := plan(nil)
			var undecided *UndecidedError
			if !errors.As(err, &undecided) || len(undecided.Open) != 1 || !strings.Contains(err.Error(), c.says) || p == nil {
				t.Fatalf("%+v, %v", p, err)
			}
			for _, bad := range []map[string]string{{c.key: "ignore"}, {c.key: c.decision, "channel:m:nowhere": "leave"}} {
				if _, err := plan(bad); !errors.Is(err, ErrBadDecision) {
					t.Errorf("%v: %v", bad, err)
				}
			}
			p, err = plan(map[string]string{c.key: c.decision})
			if err != nil || len(p.Decisions) != 1 || p.Decisions[0].Rule+":"+p.Decisions[0].Subject != c.key {
				t.Fatalf("%+v, %v", p, err)
			}
			r := o.approved(map[string]string{c.key: c.decision}, scope(aid, v))
			if d := o.mustRun(r.ID).Certificate.Details.Decisions; len(d) != 1 || strings.TrimSuffix(d[0].Decision+":"+d[0].Reason, ":") != c.decision {
				t.Errorf("the certificate says %+v", d)
			}
		})
	}
}

// TestInterlockSincePlan: a channel that is moved to what dies after the plan
// was approved is nobody's decision.
func TestInterlockSincePlan(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v := o.push("m", 1)
	r := o.approved(nil, scope(aid, v))
	o.move(aid, "prod", v)
	if _, err := o.run(r.ID); !errors.Is(err, ErrUndecided) {
		t.Errorf("%v", err)
	}
	must(t, o.opens(aid, v))
}

// descend pushes a version that descends from v.
func (o *office) descend(name string, aid canonical.Digest, v *state.CommittedVersion) *state.CommittedVersion {
	o.lineage = []state.Edge{{Artefact: aid, Version: v.VID, Role: state.FineTunedFrom}}
	defer func() { o.lineage = nil }()
	return o.push(name, 1)
}

// TestDescendants: each that lives on is decided about, however far away; what
// dies in the same request, or is gone, is not.
func TestDescendants(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid, bid, cid := o.register("a"), o.register("b"), o.register("c")
	v := o.push("a", 1)
	near := o.descend("b", aid, v)
	far := o.descend("c", bid, near)
	plan := func(decisions map[string]string, scopes ...state.DisposalScope) error {
		_, err := o.desk("cust").Plan(t.Context(), Draft{Scope: scopes, Reason: "r", Decisions: decisions})
		return err
	}
	var undecided *UndecidedError
	err := plan(nil, scope(aid, v))
	if !errors.As(err, &undecided) || len(undecided.Open) != 2 || undecided.Open[0].Name != "b@v1" || undecided.Open[1].Name != "c@v1" || !strings.Contains(undecided.Open[1].Why, "2 steps") {
		t.Fatal(err)
	}
	for _, bad := range []string{"keep", "keep: ", "retrain:soon", "keep:" + strings.Repeat("x", state.MaxText+1)} {
		if err := plan(map[string]string{"descendants:b@v1": bad, "descendants:c@v1": "dispose"}, scope(aid, v)); !errors.Is(err, ErrBadDecision) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	must(t, plan(map[string]string{"descendants:b@v1": "keep:not the same data", "descendants:c@v1": "retrain"}, scope(aid, v)))
	if err := plan(nil, scope(aid, v), scope(bid, near)); !errors.As(err, &undecided) || len(undecided.Open) != 2 || undecided.Open[0].Name != "c@v1" || undecided.Open[1].Name != "c@v1" {
		t.Errorf("what dies with it: %v", err)
	}
	must(t, plan(nil, scope(aid, v), scope(bid), scope(cid, far)))
	o.mustRun(o.approved(nil, scope(cid, far)).ID)
	must(t, plan(nil, scope(bid, near)))
}

// TestDescendantSincePlan: what was made of a version after its disposal was
// approved is nobody's decision.
func TestDescendantSincePlan(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	o.register("n")
	v := o.push("m", 1)
	r := o.approved(nil, scope(aid, v))
	o.descend("n", aid, v)
	if _, err := o.run(r.ID); !errors.Is(err, ErrUndecided) {
		t.Errorf("%v", err)
	}
	must(t, o.opens(aid, v))
}

// TestTransferSincePlan: what is handed over after the plan was approved does not
// die before somebody has said that the new owner holds it.
func TestTransferSincePlan(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v := o.push("m", 1)
	r := o.approved(nil, scope(aid, v))
	o.handOver(aid, v)
	if _, err := o.run(r.ID); !errors.Is(err, ErrUndecided) {
		t.Errorf("%v", err)
	}
	must(t, o.opens(aid, v))
}

// TestPlan: what dies, what survives, and how many bytes.
func TestPlan(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v1 := o.push("m", 3)
	v2 := o.push("m", 1, v1)
	o.hold(aid, v2)
	o.pulled(aid, v1, "host-1")
	p, err := o.desk("cust").Plan(t.Context(), Draft{Scope: []state.DisposalScope{scope(aid, v1)}, Reason: "r", Decisions: map[string]string{"shared:m@v1": "accept"}})
	must(t, err)
	a := p.Artefacts[0]
	if len(a.Dies) != 1 || a.Dies[0].Number != 1 || a.Dies[0].Objects != 3 || a.Dies[0].Shared == 0 || a.Dies[0].Erased+a.Dies[0].Shared != a.Dies[0].Stored {
		t.Errorf("%+v", a.Dies)
	}
	if len(a.Survives) != 1 || !strings.Contains(a.Survives[0].Why, "held by olaf") {
		t.Errorf("%+v", a.Survives)
	}
	if len(a.Receipts) != 1 || a.Receipts[0].By != "rita" || a.Receipts[0].Host != "host-1" {
		t.Errorf("%+v", a.Receipts)
	}
	if _, err := o.desk("cust").Plan(t.Context(), Draft{Scope: []state.DisposalScope{{Artefact: aid, Versions: []canonical.ID{canonical.NewID()}}}}); !errors.Is(err, ErrUnknown) {
		t.Errorf("a version that is not there: %v", err)
	}
}

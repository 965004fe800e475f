package disposal

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// certified returns an office with a certified disposal, and its bundle.
func certified(t *testing.T) (*office, *state.Request, []byte) {
	t.Helper()
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("team/fraud")
	v1 := o.push("team/fraud", 1)
	o.push("team/fraud", 1)
	o.pulled(aid, v1, "serving <1>")
	o.handOver(aid, v1)
	r := o.approved(map[string]string{"transfer:team/fraud@v1": "received"}, scope(aid, v1))
	o.Clock.Advance(time.Hour)
	o.mustRun(r.ID)
	b, err := o.desk("cust").Bundle(t.Context(), r.ID)
	must(t, err)
	return o, r, b
}

func TestJudge(t *testing.T) {
	o, r, b := certified(t)
	j, err := Judge(b, o.Genesis)
	must(t, err)
	if j.Accepted != nil || j.Certificate.Details.Disposal != r.ID {
		t.Errorf("%+v", j)
	}
	must(t, o.desk("dora").Accept(t.Context(), r.ID, "as scheduled"))
	b, err = o.desk("cust").Bundle(t.Context(), r.ID)
	must(t, err)
	if j, err = Judge(b, o.Genesis); err != nil || j.Accepted == nil || j.Accepted.By.Name != "dora" || j.Accepted.Reason != "as scheduled" {
		t.Errorf("%+v, %v", j, err)
	}
	if _, err := Judge(b, canonical.Sum([]byte("another vault"))); err == nil {
		t.Error("it proves something about another vault")
	}
}

// TestJudgeForged changes every statement of a certificate in turn, signs it
// anew as the runner, and presents it: what the journals do not say is refused.
func TestJudgeForged(t *testing.T) {
	o, _, b := certified(t)
	var x bundle
	must(t, canonical.Unmarshal(b, &x))
	for name, change := range map[string]func(*Details, *Statement){
		"another digest":       func(d *Details, _ *Statement) { d.Artefacts[0].Versions[0].Digest = canonical.Sum(nil) },
		"another number":       func(d *Details, _ *Statement) { d.Artefacts[0].Versions[0].Number = 2 },
		"another name":         func(d *Details, _ *Statement) { d.Artefacts[0].Name = "team/other" },
		"a version less":       func(d *Details, _ *Statement) { d.Artefacts[0].Versions = []PlanVersion{} },
		"the whole":            func(d *Details, _ *Statement) { d.Artefacts[0].Whole = true },
		"a key less":           func(d *Details, _ *Statement) { d.Artefacts[0].Keys = []state.DestroyedKey{} },
		"another key":          func(d *Details, _ *Statement) { d.Artefacts[0].Keys[0].Ref = "another" },
		"a transfer":           func(d *Details, _ *Statement) { d.Artefacts[0].Transfers = []Handover{{Number: 1}} },
		"a transfer less":      func(d *Details, _ *Statement) { d.Artefacts[0].Transfers = []Handover{} },
		"an earlier date":      func(d *Details, s *Statement) { d.Effective = d.Requested.Time; s.Predicate.Effective = d.Effective },
		"another attack":       func(d *Details, _ *Statement) { d.Artefacts[0].Attack.Report = canonical.Sum(nil) },
		"another head":         func(d *Details, _ *Statement) { d.Artefacts[0].Head.Hash = canonical.Sum(nil) },
		"another requester":    func(d *Details, _ *Statement) { d.Requested.By.Name = "dora" },
		"another reason":       func(d *Details, _ *Statement) { d.Requested.Reason = "a better one" },
		"another plan":         func(d *Details, _ *Statement) { d.Plan = canonical.Sum(nil) },
		"another authority":    func(d *Details, _ *Statement) { d.Authority = "court order" },
		"another approval":     func(d *Details, _ *Statement) { d.Approvals[0].By.Name = "alice" },
		"an approval more":     func(d *Details, _ *Statement) { d.Approvals = append(d.Approvals, d.Approvals[0]) },
		"no approval":          func(d *Details, _ *Statement) { d.Approvals = []Act{} },
		"fewer approvals":      func(d *Details, _ *Statement) { d.Needed = 0 },
		"more approvals":       func(d *Details, _ *Statement) { d.Needed = 2 },
		"a sole custodian":     func(d *Details, _ *Statement) { d.Sole = true },
		"another performer":    func(d *Details, s *Statement) { d.Performed.Name = "dora"; s.Predicate.Performed = d.Performed },
		"another vault":        func(d *Details, s *Statement) { d.Vault = canonical.Sum(nil); s.Predicate.Vault = d.Vault },
		"another method":       func(d *Details, _ *Statement) { d.Method.Class = "destroy" },
		"a count":              func(_ *Details, s *Statement) { s.Predicate.Versions = 9 },
		"a result":             func(_ *Details, s *Statement) { s.Predicate.Result = "failed" },
		"another disposal":     func(d *Details, s *Statement) { d.Disposal[0] ^= 1; s.Predicate.Disposal = d.Disposal },
		"another predicate":    func(_ *Details, s *Statement) { s.PredicateType = "https://example.com/v1" },
		"details of something": func(_ *Details, s *Statement) { s.Subject[0].Digest["sha256"] = canonical.Sum(nil).String() },
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := Judge(forge(t, o, x, "run", change), o.Genesis); err == nil {
				t.Error("it was accepted")
			}
		})
	}
	if _, err := Judge(forge(t, o, x, "run", func(*Details, *Statement) {}), o.Genesis); err != nil {
		t.Errorf("without a change: %v", err)
	}
	// Whoever has no say in disposals cannot certify one.
	if _, err := Judge(forge(t, o, x, "rita", func(d *Details, s *Statement) {
		d.Performed = named(o.desk("rita").Vault.State(), "rita")
		s.Predicate.Performed = d.Performed
	}), o.Genesis); err == nil {
		t.Error("a developer's certificate was accepted")
	}
}

// TestJudgeLaterPolicy: what policy asks for after the keys are gone is not asked
// of what was approved before.
func TestJudgeLaterPolicy(t *testing.T) {
	o := newOffice(t, vaulttest.Config{})
	aid := o.register("m")
	v1 := o.push("m", 1)
	o.push("m", 1)
	r := o.approved(nil, scope(aid, v1))
	d := o.desk("run")
	d.Keepers["keeper-0"] = unsure{d.Keepers["keeper-0"]}
	if _, err := d.Run(t.Context(), r.ID); !errors.Is(err, ErrInconclusive) {
		t.Fatal(err)
	}
	o.policy(state.Policy{Approvals: 2})
	o.mustRun(r.ID)
	b, err := o.desk("cust").Bundle(t.Context(), r.ID)
	must(t, err)
	if j, err := Judge(b, o.Genesis); err != nil || j.Certificate.Details.Needed != 1 {
		t.Errorf("%+v, %v", j, err)
	}
}

// forge signs a bundle's certificate anew, changed.
func forge(t *testing.T, o *office, x bundle, who string, change func(*Details, *Statement)) []byte {
	t.Helper()
	c, err := decodeCertificate(x.Envelope, x.Details)
	must(t, err)
	change(&c.Details, &c.Statement)
	x.Details, err = canonical.Marshal(c.Details)
	must(t, err)
	if c.Statement.Subject[0].Digest["sha256"] == canonical.Sum(c.raw).String() {
		c.Statement.Subject[0].Digest["sha256"] = canonical.Sum(x.Details).String()
	}
	payload, err := canonical.Marshal(c.Statement)
	must(t, err)
	env, err := dsse.Sign(t.Context(), certificateType, payload, o.Members[who].Identity.Signing())
	must(t, err)
	x.Envelope, err = env.Marshal()
	must(t, err)
	b, err := canonical.Marshal(x)
	must(t, err)
	return b
}

// TestJudgeJournals: a journal that is cut, reordered or exchanged proves nothing.
func TestJudgeJournals(t *testing.T) {
	o, _, b := certified(t)
	for name, change := range map[string]func(*bundle){
		"the vault's first entry is missing": func(x *bundle) { x.Vault = x.Vault[1:] },
		"an entry of the vault is missing":   func(x *bundle) { x.Vault = append(x.Vault[:2], x.Vault[3:]...) },
		"the approval is missing":            func(x *bundle) { x.Vault = x.Vault[:len(x.Vault)-1] },
		"no vault":                           func(x *bundle) { x.Vault = [][]byte{} },
		"the destruction is missing":         func(x *bundle) { x.Artefacts[0].Entries = x.Artefacts[0].Entries[:len(x.Artefacts[0].Entries)-3] },
		"two entries change places": func(x *bundle) {
			e := x.Artefacts[0].Entries
			e[1], e[2] = e[2], e[1]
		},
		"no artefact":     func(x *bundle) { x.Artefacts = []bundleArtefact{} },
		"another format":  func(x *bundle) { x.Format = "aivault-certificate-bundle/2" },
		"a flipped bit":   func(x *bundle) { x.Artefacts[0].Entries[3][200] ^= 1 },
		"a flipped bit 2": func(x *bundle) { x.Envelope[50] ^= 1 },
		"a flipped bit 3": func(x *bundle) { x.Details[50] ^= 1 },
	} {
		t.Run(name, func(t *testing.T) {
			var x bundle
			must(t, canonical.Unmarshal(b, &x))
			change(&x)
			changed, err := canonical.Marshal(x)
			must(t, err)
			if _, err := Judge(changed, o.Genesis); err == nil {
				t.Error("it was accepted")
			}
		})
	}
}

func FuzzJudge(f *testing.F) {
	f.Add([]byte(`{"format":"aivault-certificate-bundle/1","envelope":"","details":"","vault":[],"artefacts":[]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Judge(b, canonical.Sum(b)); err == nil {
			t.Error("it was accepted")
		}
	})
}

func TestPage(t *testing.T) {
	o, r, _ := certified(t)
	c, err := o.desk("cust").Certificate(t.Context(), r.ID)
	must(t, err)
	var page bytes.Buffer
	must(t, c.WritePage(&page, nil, nil))
	for _, want := range []string{"Certificate of disposal", "team/fraud", "v1", "cryptographic erase", "dora", "not yet: acceptance", "serving &lt;1&gt;", "does not say"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, word := range []string{"GDPR", "compliant", "sanitis", "sanitiz"} {
		if strings.Contains(strings.ToLower(page.String()), strings.ToLower(word)) {
			t.Errorf("the page says %q", word)
		}
	}
	page.Reset()
	must(t, c.WritePage(&page, &Act{By: Person{Name: "dora", Line: "Dora Data, custodian, Example Ltd"}}, []state.Removal{{DisposalRemoved: state.DisposalRemoved{Holder: "cluster eu-1", By: "Olaf Ops"}}}))
	for _, want := range []string{"Dora Data, custodian, Example Ltd (dora)", "cluster eu-1", "Olaf Ops"} {
		if !strings.Contains(page.String(), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	must(t, e.Encode(c))
	var parts struct {
		Details json.RawMessage `json:"details"`
	}
	if err := json.Unmarshal(b.Bytes(), &parts); err != nil || canonical.Sum(parts.Details).String() != c.Statement.Subject[0].Digest["sha256"] {
		t.Errorf("the JSON's details are not what is signed: %v", err)
	}
}

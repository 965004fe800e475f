package evidence

import (
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFormatExample: the specification's example is what Make makes of its parts.
func TestFormatExample(t *testing.T) {
	doc, err := os.ReadFile("../FORMAT.md")
	must(t, err)
	_, rest, ok := strings.Cut(string(doc), "\n```json evidence\n")
	text, _, end := strings.Cut(rest, "\n```\n")
	if !ok || !end {
		t.Fatal("FORMAT.md has no example of a statement")
	}
	var s Statement
	must(t, canonical.Unmarshal([]byte(text), &s))
	d := s.Predicate.Evidence
	digest, err := canonical.ParseDigest(s.Subject[0].Digest["sha256"])
	must(t, err)
	document, err := canonical.ParseDigest(s.Predicate.Configuration[0].Digest["sha256"])
	must(t, err)
	body := state.Attest{Version: d.Version, Digest: digest, Type: d.Type, Name: d.Name, Result: state.Pass, Expires: d.Expires, Document: state.Document{Digest: document}}
	again, err := canonical.Marshal(Make(d.Vault, d.Artefact, s.Subject[0].Name, body, d.By, d.Time, d.Measurements))
	must(t, err)
	if string(again) != text {
		t.Errorf("made anew it is\n%s", again)
	}
}

// TestKindsOfStatements: tests are in-toto's test results, records are not; each
// result stands where in-toto's consumers look for it.
func TestKindsOfStatements(t *testing.T) {
	for _, typ := range state.EvidenceTypes() {
		for result, want := range map[string]string{state.Pass: "PASSED", state.Warn: "WARNED", state.Fail: "FAILED"} {
			s := Make(canonical.Digest{}, canonical.Digest{}, "m@v1", state.Attest{Type: typ, Result: result}, canonical.Digest{}, entry.Time{}, nil)
			test := strings.HasPrefix(s.PredicateType, "https://in-toto.io/attestation/test-result/")
			if isTest := strings.Contains("evaluation scan drill monitoring", typ); test != isTest {
				t.Errorf("%s is of type %s", typ, s.PredicateType)
			}
			lists := map[string][]string{"PASSED": s.Predicate.Passed, "WARNED": s.Predicate.Warned, "FAILED": s.Predicate.Failed}
			for name, list := range lists {
				if (len(list) == 1) != (name == want) {
					t.Errorf("%s, %s: %s lists %v", typ, result, name, list)
				}
			}
			if s.Predicate.Result != want {
				t.Errorf("%s, %s: result %s", typ, result, s.Predicate.Result)
			}
		}
	}
}

// TestForged changes one thing at a time.
func TestForged(t *testing.T) {
	w := vaulttest.NewWorld(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Members: map[string][]string{"dev": {state.Developer}, "op": {state.Operator}}})
	v := w.Open(t, "dev", w.Store).State()
	signer := w.Members["dev"].Identity.Signing()
	key := keyID(t, signer)
	aid := canonical.Sum([]byte("artefact"))
	body := state.Attest{Version: canonical.NewID(), Digest: canonical.Sum([]byte("version")), Type: state.Evaluation, Name: "robustness", Result: state.Pass,
		Expires: entry.At(w.Clock.Now())}
	of := state.Evidence{Attest: body, Key: key}
	good := Make(v.Genesis, aid, "m@v1", body, key, entry.At(w.Clock.Now()), nil)
	sign := func(change func(*Statement)) []byte {
		t.Helper()
		s := good
		s.Subject = append([]Subject(nil), good.Subject...)
		change(&s)
		b, err := Sign(t.Context(), s, signer)
		must(t, err)
		return b
	}
	if env, s, err := Open(sign(func(*Statement) {}), v, aid, of); err != nil || env == nil || s.Subject[0].Name != "m@v1" {
		t.Fatalf("a good one: %v", err)
	}
	other := canonical.Sum([]byte("other"))
	for what, plain := range map[string][]byte{
		"another vault":    sign(func(s *Statement) { s.Predicate.Evidence.Vault = other }),
		"another artefact": sign(func(s *Statement) { s.Predicate.Evidence.Artefact = other }),
		"another version":  sign(func(s *Statement) { s.Predicate.Evidence.Version = canonical.NewID() }),
		"another digest":   sign(func(s *Statement) { s.Subject[0].Digest = map[string]string{"sha256": other.String()} }),
		"another result":   sign(func(s *Statement) { s.Predicate.Result = "FAILED" }),
		"two subjects":     sign(func(s *Statement) { s.Subject = append(s.Subject, s.Subject[0]) }),
		"no subject":       sign(func(s *Statement) { s.Subject = nil }),
		"for ever":         sign(func(s *Statement) { s.Predicate.Evidence.Expires = entry.Time{} }),
		"another author":   sign(func(s *Statement) { s.Predicate.Evidence.By = other }),
		"another predicate": sign(func(s *Statement) {
			s.PredicateType = recordType
		}),
		"a document that the entry does not bind": sign(func(s *Statement) {
			s.Predicate.Configuration = []Descriptor{{Name: "evaluation/robustness", Digest: map[string]string{"sha256": other.String()}}}
		}),
		"a pass that a measurement belies": sign(func(s *Statement) {
			s.Predicate.Evidence.Measurements = []Measurement{{Name: "accuracy", Value: "0.5", AtLeast: "0.9"}}
		}),
		"nothing":    nil,
		"no line":    sign(func(*Statement) {})[len(format)+1:],
		"cut short":  sign(func(*Statement) {})[:200],
		"more of it": append(sign(func(*Statement) {}), ' '),
		"no member's": func() []byte {
			k, err := dsse.GenerateKey()
			must(t, err)
			b, err := Sign(t.Context(), good, k)
			must(t, err)
			return b
		}(),
		"another member's": func() []byte {
			b, err := Sign(t.Context(), good, w.Members["op"].Identity.Signing())
			must(t, err)
			return b
		}(),
	} {
		if _, _, err := Open(plain, v, aid, of); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, _, err := Open([]byte("aivault-evidence/2\n{}"), v, aid, of); !errors.Is(err, entry.ErrUpgrade) {
		t.Errorf("a newer format: %v", err)
	}
}

func keyID(t testing.TB, s dsse.Signer) canonical.Digest {
	t.Helper()
	id, err := canonical.ParseDigest(s.Public().KeyID())
	must(t, err)
	return id
}

package entry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
)

type body struct {
	Text string `json:"text"`
}

var (
	genesis = canonical.Sum([]byte("genesis"))
	prev    = canonical.Sum([]byte("prev"))
	aid     = canonical.Sum([]byte("artefact"))
	noon    = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

func newKey(tb testing.TB) *dsse.PrivateKey {
	tb.Helper()
	k, err := dsse.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func keyID(tb testing.TB, k *dsse.PrivateKey) canonical.Digest {
	tb.Helper()
	id, err := canonical.ParseDigest(k.Public().KeyID())
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// header returns the header of an artefact's entry number 5 by k.
func header(tb testing.TB, k *dsse.PrivateKey) entry.Header {
	return entry.Header{Kind: "version", Critical: true, Format: entry.Format, Genesis: genesis, Journal: aid.String(), Seq: 5, Prev: prev,
		Vault: entry.Position{Seq: 3, Hash: canonical.Sum([]byte("vault 3"))}, Author: keyID(tb, k), Time: entry.At(noon), Op: canonical.ID{7}}
}

func sign(tb testing.TB, k *dsse.PrivateKey, h entry.Header, b any) *entry.Entry {
	tb.Helper()
	e, err := entry.Sign(context.Background(), h, b, k)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// wrap signs a payload as it is.
func wrap(tb testing.TB, k *dsse.PrivateKey, payloadType string, payload []byte) []byte {
	tb.Helper()
	env, err := dsse.Sign(context.Background(), payloadType, payload, k)
	if err != nil {
		tb.Fatal(err)
	}
	raw, err := env.Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func TestSign(t *testing.T) {
	k := newKey(t)
	h := header(t, k)
	e := sign(t, k, h, body{"hello"})
	if e.Header != h || string(e.Body) != `{"text":"hello"}` {
		t.Errorf("signed %+v with body %s", e.Header, e.Body)
	}
	if e.Hash != canonical.Sum(e.Raw) || e.Position() != (entry.Position{Seq: 5, Hash: e.Hash}) {
		t.Errorf("hash %s at %s", e.Hash, e.Position())
	}
	if err := e.Envelope.Verify(k.Public()); err != nil {
		t.Error(err)
	}
	again, err := entry.Parse(bytes.Clone(e.Raw))
	if err != nil || again.Header != e.Header || !bytes.Equal(again.Body, e.Body) || again.Hash != e.Hash {
		t.Errorf("parsed again: %+v, %v", again, err)
	}
}

func TestSignRefuses(t *testing.T) {
	k, other := newKey(t), newKey(t)
	long := body{strings.Repeat("x", dsse.MaxEnvelope*3/4)}
	wrongKind, farSeq := header(t, k), header(t, k)
	wrongKind.Kind = "Version"
	farSeq.Seq = entry.MaxSeq + 1
	for name, c := range map[string]struct {
		h       entry.Header
		body    any
		signers []dsse.Signer
	}{
		"nobody":              {header(t, k), body{}, nil},
		"another than author": {header(t, k), body{}, []dsse.Signer{other}},
		"author second":       {header(t, k), body{}, []dsse.Signer{other, k}},
		"twice":               {header(t, k), body{}, []dsse.Signer{k, k}},
		"too large":           {header(t, k), long, []dsse.Signer{k}},
		"kind":                {wrongKind, body{}, []dsse.Signer{k}},
		"number":              {farSeq, body{}, []dsse.Signer{k}},
		"body":                {header(t, k), func() {}, []dsse.Signer{k}},
	} {
		if _, err := entry.Sign(context.Background(), c.h, c.body, c.signers...); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	if _, err := entry.Sign(context.Background(), header(t, k), body{}, k, other); err != nil {
		t.Errorf("author and another: %v", err)
	}
}

// TestSpelling changes the payload of a good entry in every way in which JSON
// can say the same, or nearly the same, and signs it again.
func TestSpelling(t *testing.T) {
	k := newKey(t)
	good := string(sign(t, k, header(t, k), body{"a<b>\u00e9"}).Envelope.Payload)
	author := keyID(t, k).String()
	if _, err := entry.Parse(wrap(t, k, entry.PayloadType, []byte(good))); err != nil {
		t.Fatal(err)
	}
	replace := func(old, with string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("no %s in %s", old, good)
		}
		return strings.Replace(good, old, with, 1)
	}
	for name, p := range map[string]string{
		"no JSON":              "x",
		"null":                 "null",
		"array":                "[" + good + "]",
		"twice":                good + good,
		"space before":         " " + good,
		"newline after":        good + "\n",
		"space inside":         replace(`,"seq":5`, `, "seq":5`),
		"space in body":        replace(`{"text"`, `{ "text"`),
		"order":                replace(`"kind":"version","critical":true`, `"critical":true,"kind":"version"`),
		"duplicate":            replace(`"seq":5`, `"seq":5,"seq":5`),
		"duplicate, different": replace(`"seq":5`, `"seq":4,"seq":5`),
		"other case":           replace(`"seq"`, `"Seq"`),
		"both cases":           replace(`"seq":5`, `"Seq":4,"seq":5`),
		"unknown":              replace(`,"body"`, `,"more":1,"body"`),
		"missing":              replace(`"critical":true,`, ``),
		"null member":          replace(`"op":"`+canonical.ID{7}.String()+`"`, `"op":null`),
		"escape":               replace(`"version"`, `"\u0076ersion"`),
		"HTML escape in kind":  replace(`"version"`, `"version\u003c"`),
		"not UTF-8":            replace(`"version"`, "\"version\xff\""),
		"exponent":             replace(`"seq":5`, `"seq":5e0`),
		"fraction":             replace(`"seq":5`, `"seq":5.0`),
		"negative":             replace(`"seq":5`, `"seq":-5`),
		"string for number":    replace(`"seq":5`, `"seq":"5"`),
		"large number":         replace(`"seq":5`, `"seq":9007199254740992`),
		"large vault number":   replace(`"vault":{"seq":3`, `"vault":{"seq":9007199254740992`),
		"upper-case hash":      replace(`"author":"`+author, `"author":"`+strings.ToUpper(author)),
		"short hash":           replace(`"author":"`+author, `"author":"`+author[2:]),
		"time with fraction":   replace(`12:00:00Z`, `12:00:00.0Z`),
		"time with offset":     replace(`12:00:00Z`, `12:00:00+00:00`),
		"time with zone":       replace(`12:00:00Z`, `13:00:00+01:00`),
		"no such day":          replace(`2026-11-23`, `2026-11-31`),
		"short year":           replace(`2026-11-23`, `26-11-23`),
		"empty kind":           replace(`"version"`, `""`),
		"kind in upper case":   replace(`"version"`, `"VERSION"`),
		"kind with a space":    replace(`"version"`, `"ver sion"`),
		"long kind":            replace(`"version"`, `"`+strings.Repeat("v", 65)+`"`),
		"format 0":             replace(`"format":1`, `"format":0`),
		"negative format":      replace(`"format":1`, `"format":-1`),
		"no body":              replace(`,"body":{"text":"a<b>é"}`, ``),
	} {
		if p == good {
			t.Errorf("%s: nothing changed", name)
		}
		if _, err := entry.Parse(wrap(t, k, entry.PayloadType, []byte(p))); !errors.Is(err, entry.ErrMalformed) {
			t.Errorf("%s: %v, want ErrMalformed", name, err)
		}
	}
	if _, err := entry.Parse(wrap(t, k, "application/json", []byte(good))); !errors.Is(err, entry.ErrMalformed) {
		t.Errorf("another payload type: %v, want ErrMalformed", err)
	}
	raw := wrap(t, k, entry.PayloadType, []byte(good))
	if _, err := entry.Parse(append(raw, '\n')); !errors.Is(err, entry.ErrMalformed) {
		t.Errorf("an envelope in another spelling: %v, want ErrMalformed", err)
	}
}

// A newer client may add members; an older one must say that it is too old, and
// not that the journal is damaged.
func TestNewerFormat(t *testing.T) {
	k := newKey(t)
	good := string(sign(t, k, header(t, k), body{}).Envelope.Payload)
	for _, p := range []string{
		strings.Replace(good, `"format":1`, `"format":2`, 1),
		strings.Replace(good, `"format":1`, `"format":2,"more":{}`, 1),
		`{"format":99}`,
	} {
		if _, err := entry.Parse(wrap(t, k, entry.PayloadType, []byte(p))); !errors.Is(err, entry.ErrUpgrade) {
			t.Errorf("%s: %v, want ErrUpgrade", p, err)
		}
	}
}

func TestFollows(t *testing.T) {
	k := newKey(t)
	at := func(seq uint64, change func(*entry.Header)) *entry.Entry {
		h := header(t, k)
		h.Seq = seq
		if change != nil {
			change(&h)
		}
		return sign(t, k, h, body{})
	}
	before := at(4, func(h *entry.Header) { h.Prev = canonical.Sum([]byte("3")) })
	after := func(change func(*entry.Header)) *entry.Entry {
		return at(5, func(h *entry.Header) {
			h.Prev = before.Hash
			if change != nil {
				change(h)
			}
		})
	}
	vaultBefore := at(4, func(h *entry.Header) { h.Journal, h.Vault = entry.VaultJournal, entry.Position{Seq: 3, Hash: h.Prev} })
	vaultAfter := func(cited entry.Position) *entry.Entry {
		return at(5, func(h *entry.Header) { h.Journal, h.Prev, h.Vault = entry.VaultJournal, vaultBefore.Hash, cited })
	}
	first := func(change func(*entry.Header)) *entry.Entry {
		return at(0, func(h *entry.Header) {
			h.Prev = canonical.Digest{}
			if change != nil {
				change(h)
			}
		})
	}
	firstOfVault := func(change func(*entry.Header)) *entry.Entry {
		return at(0, func(h *entry.Header) {
			h.Journal, h.Genesis, h.Prev, h.Vault = entry.VaultJournal, canonical.Digest{}, canonical.Digest{}, entry.Position{}
			if change != nil {
				change(h)
			}
		})
	}
	for _, c := range []struct {
		name string
		e    *entry.Entry
		prev *entry.Entry
		id   string
		gap  bool
		ok   bool
	}{
		{"next", after(nil), before, aid.String(), false, true},
		{"same time, same vault head", after(nil), before, aid.String(), false, true},
		{"later, newer vault head", after(func(h *entry.Header) { h.Time = entry.At(noon.Add(time.Hour)); h.Vault.Seq = 9; h.Vault.Hash = prev }), before, aid.String(), false, true},
		{"another journal", after(nil), before, canonical.Sum([]byte("other")).String(), false, false},
		{"the vault's journal", after(nil), before, entry.VaultJournal, false, false},
		{"another vault", after(func(h *entry.Header) { h.Genesis = prev }), before, aid.String(), false, false},
		{"no vault", after(func(h *entry.Header) { h.Genesis = canonical.Digest{} }), before, aid.String(), false, false},
		{"another entry before", after(func(h *entry.Header) { h.Prev = prev }), before, aid.String(), false, false},
		{"same number", after(func(h *entry.Header) { h.Seq = 4 }), before, aid.String(), false, false},
		{"lower number", after(func(h *entry.Header) { h.Seq = 3 }), before, aid.String(), true, false},
		{"number missing", after(func(h *entry.Header) { h.Seq = 6 }), before, aid.String(), false, false},
		{"number missing, with gap", after(func(h *entry.Header) { h.Seq = 6 }), before, aid.String(), true, true},
		{"same number, with gap", after(func(h *entry.Header) { h.Seq = 4 }), before, aid.String(), true, false},
		{"backdated", after(func(h *entry.Header) { h.Time = entry.At(noon.Add(-time.Second)) }), before, aid.String(), false, false},
		{"older vault head", after(func(h *entry.Header) { h.Vault.Seq = 2 }), before, aid.String(), false, false},
		{"other vault head of the same number", after(func(h *entry.Header) { h.Vault.Hash = prev }), before, aid.String(), false, false},

		{"first", first(nil), nil, aid.String(), false, true},
		{"first, not 0", first(func(h *entry.Header) { h.Seq = 1 }), nil, aid.String(), false, false},
		{"first, not 0, with gap", first(func(h *entry.Header) { h.Seq = 1 }), nil, aid.String(), true, true},
		{"first with an entry before", first(func(h *entry.Header) { h.Prev = prev }), nil, aid.String(), false, false},
		{"first of another vault", first(func(h *entry.Header) { h.Genesis = prev }), nil, aid.String(), false, false},
		{"first of another journal", first(nil), nil, prev.String(), false, false},

		{"vault: next", vaultAfter(vaultBefore.Position()), vaultBefore, entry.VaultJournal, false, true},
		{"vault: cites an older head", vaultAfter(vaultBefore.Vault), vaultBefore, entry.VaultJournal, false, false},
		{"vault: cites another head", vaultAfter(entry.Position{Seq: 4, Hash: prev}), vaultBefore, entry.VaultJournal, false, false},
		{"vault: cites itself", vaultAfter(entry.Position{Seq: 5, Hash: prev}), vaultBefore, entry.VaultJournal, false, false},
		{"vault: first", firstOfVault(nil), nil, entry.VaultJournal, false, true},
		{"vault: first, not 0", firstOfVault(func(h *entry.Header) { h.Seq = 1 }), nil, entry.VaultJournal, false, false},
		{"vault: first, not 0, with gap", firstOfVault(func(h *entry.Header) { h.Seq = 1 }), nil, entry.VaultJournal, true, false},
		{"vault: first names a genesis", firstOfVault(func(h *entry.Header) { h.Genesis = genesis }), nil, entry.VaultJournal, false, false},
		{"vault: first with an entry before", firstOfVault(func(h *entry.Header) { h.Prev = prev }), nil, entry.VaultJournal, false, false},
		{"vault: first cites a head", firstOfVault(func(h *entry.Header) { h.Vault.Seq = 1 }), nil, entry.VaultJournal, false, false},
	} {
		err := c.e.Follows(c.prev, genesis, c.id, c.gap)
		if c.ok && err != nil || !c.ok && !errors.Is(err, entry.ErrChain) {
			t.Errorf("%s: %v, accepted should be %v", c.name, err, c.ok)
		}
	}
}

func TestSkipped(t *testing.T) {
	k := newKey(t)
	slots := func(from uint64, n int) (out []entry.SkippedSlot) {
		for i := range n {
			out = append(out, entry.SkippedSlot{Seq: from + uint64(i), SHA256: canonical.Sum([]byte{byte(i)})})
		}
		return out
	}
	at := func(seq uint64, kind string, b any) *entry.Entry {
		h := header(t, k)
		h.Seq, h.Kind = seq, kind
		return sign(t, k, h, b)
	}
	for _, c := range []struct {
		name string
		e    *entry.Entry
		want int // −1: an error
	}{
		{"another kind", at(5, "version", entry.Skip{Slots: slots(4, 1)}), 0},
		{"one", at(5, entry.KindSkip, entry.Skip{Slots: slots(4, 1)}), 1},
		{"several", at(5, entry.KindSkip, entry.Skip{Slots: slots(2, 3), Reason: "junk"}), 3},
		{"down to 0", at(5, entry.KindSkip, entry.Skip{Slots: slots(0, 5)}), 5},
		{"the most", at(100, entry.KindSkip, entry.Skip{Slots: slots(36, entry.MaxSkipped)}), entry.MaxSkipped},
		{"none", at(5, entry.KindSkip, entry.Skip{Slots: []entry.SkippedSlot{}}), -1},
		{"null", at(5, entry.KindSkip, entry.Skip{}), -1},
		{"too many", at(100, entry.KindSkip, entry.Skip{Slots: slots(35, entry.MaxSkipped+1)}), -1},
		{"not up to it", at(5, entry.KindSkip, entry.Skip{Slots: slots(2, 2)}), -1},
		{"itself", at(5, entry.KindSkip, entry.Skip{Slots: slots(5, 1)}), -1},
		{"above it", at(5, entry.KindSkip, entry.Skip{Slots: slots(6, 1)}), -1},
		{"one left out", at(5, entry.KindSkip, entry.Skip{Slots: append(slots(2, 1), slots(4, 1)...)}), -1},
		{"out of order", at(5, entry.KindSkip, entry.Skip{Slots: append(slots(4, 1), slots(3, 1)...)}), -1},
		{"twice", at(5, entry.KindSkip, entry.Skip{Slots: append(slots(4, 1), slots(4, 1)...)}), -1},
		{"at 0", at(0, entry.KindSkip, entry.Skip{Slots: slots(0, 1)}), -1},
		{"body of another kind", at(5, entry.KindSkip, body{"x"}), -1},
	} {
		got, err := c.e.Skipped()
		if c.want < 0 && err == nil || c.want >= 0 && (err != nil || len(got) != c.want) {
			t.Errorf("%s: %d slots, %v, want %d", c.name, len(got), err, c.want)
		}
	}
}

func TestTime(t *testing.T) {
	at := entry.At(time.Date(2026, 3, 29, 2, 30, 15, 999, time.FixedZone("", 3600)))
	b, err := json.Marshal(at)
	if err != nil || string(b) != `"2026-03-29T01:30:15Z"` {
		t.Fatalf("%s, %v", b, err)
	}
	var again entry.Time
	if err := json.Unmarshal(b, &again); err != nil || again != at {
		t.Errorf("%v, %v, want %v", again, err, at)
	}
	for _, s := range []string{"", "2026-03-29", "2026-03-29T01:30:15", "2026-03-29T01:30:15.5Z", "2026-03-29t01:30:15z", "2026-03-29T01:30:60Z",
		"2026-03-29T24:00:00Z", " 2026-03-29T01:30:15Z", "12026-03-29T01:30:15Z"} {
		if err := again.UnmarshalText([]byte(s)); !errors.Is(err, canonical.ErrNotCanonical) {
			t.Errorf("%q: %v, want ErrNotCanonical", s, err)
		}
	}
}

func TestPositionString(t *testing.T) {
	if got, want := (entry.Position{Seq: 3, Hash: prev}).String(), "3:"+prev.String(); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// FuzzParse holds Parse to one spelling: what it accepts encodes to the bytes it was given.
func FuzzParse(f *testing.F) {
	k := newKey(f)
	good := sign(f, k, header(f, k), body{"x"})
	skip := header(f, k)
	skip.Kind = entry.KindSkip
	f.Add(good.Raw)
	f.Add(sign(f, k, skip, entry.Skip{Slots: []entry.SkippedSlot{{Seq: 4}}, Reason: "r"}).Raw)
	f.Add(wrap(f, k, entry.PayloadType, []byte(`{"format":2}`)))
	f.Add(wrap(f, k, entry.PayloadType, append(good.Envelope.Payload, ' ')))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := entry.Parse(raw)
		if err != nil {
			if !errors.Is(err, entry.ErrMalformed) && !errors.Is(err, entry.ErrUpgrade) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		h, err := canonical.Marshal(e.Header)
		if err != nil {
			t.Fatal(err)
		}
		payload := fmt.Sprintf(`%s,"body":%s}`, h[:len(h)-1], e.Body)
		if payload != string(e.Envelope.Payload) {
			t.Fatalf("two spellings of one entry:\n%s\n%s", payload, e.Envelope.Payload)
		}
		again, err := e.Envelope.Marshal()
		if err != nil || !bytes.Equal(again, raw) || e.Hash != canonical.Sum(raw) {
			t.Fatalf("two spellings of one envelope: %v", err)
		}
		if _, err := e.Skipped(); err == nil {
			_ = e.Follows(nil, e.Genesis, e.Journal, true)
		}
	})
}

package vaulttest

import (
	"bytes"
	"context"
	"crypto/elliptic"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"

	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/ledger"
)

// Forger makes journal objects with whatever a stolen member's identity gives:
// it opens and seals metadata, and signs with any keys it is handed. It follows
// FORMAT.md §4.1 on its own, not by the code under test.
type Forger struct {
	t     testing.TB
	world *World
	vault *ledger.Vault // as the member, on the truth
}

// NewForger returns a forger who has stolen a member's identity.
func NewForger(t testing.TB, w *World, member string) *Forger {
	t.Helper()
	return &Forger{t: t, world: w, vault: w.Open(t, member, w.Store)}
}

// Refresh reads the vault's journal, for newer metadata identities. Storage that
// blocks its own adversary changes nothing.
func (f *Forger) Refresh(ctx context.Context) { _ = f.vault.Refresh(ctx) }

// Vault is the vault as the stolen identity sees the truth.
func (f *Forger) Vault() *ledger.Vault { return f.vault }

// Entries opens a journal object; nil if it is none.
func (f *Forger) Entries(ctx context.Context, sealed []byte) []*entry.Entry {
	plain, err := f.vault.OpenMetadata(ctx, sealed)
	if err != nil {
		return nil
	}
	var out []*entry.Entry
	for i, line := range bytes.Split(bytes.TrimSuffix(plain, []byte("\n")), []byte("\n")) {
		if i == 0 {
			continue
		}
		e, err := entry.Parse(line)
		if err != nil {
			return nil
		}
		out = append(out, e)
	}
	return out
}

// Object seals the object of the last of entries, with the copies it must have
// of those before.
func (f *Forger) Object(entries []*entry.Entry) []byte {
	f.t.Helper()
	last := entries[len(entries)-1].Seq
	first := last / 32 * 32
	if last%32 == 31 {
		first = last / 1024 * 1024
	}
	var lines [][]byte
	for _, e := range entries {
		if e.Seq >= first {
			lines = append(lines, e.Raw)
		}
	}
	return f.Raw(lines...)
}

// Raw seals lines as a journal object, whatever they are.
func (f *Forger) Raw(lines ...[]byte) []byte {
	f.t.Helper()
	plain := []byte("aivault-journal/1\n")
	for _, line := range lines {
		plain = append(append(plain, line...), '\n')
	}
	sealed, err := f.vault.SealMetadata(plain)
	must(f.t, err)
	return sealed
}

// Sign signs an entry.
func (f *Forger) Sign(ctx context.Context, as *identity.Identity, h entry.Header, body any) *entry.Entry {
	f.t.Helper()
	h.Format, h.Author = entry.Format, (&ledger.Session{Signer: as.Signing()}).Author()
	e, err := entry.Sign(ctx, h, body, as.Signing())
	must(f.t, err)
	return e
}

// Respellings returns an entry's envelope in other spellings that say the same:
// its signature as (r, n−s) or in longer DER, and its JSON spaced, reordered,
// escaped, with a member twice, and with an unknown one.
func Respellings(t testing.TB, e *entry.Entry) map[string][]byte {
	t.Helper()
	var env struct {
		Payload     string `json:"payload"`
		PayloadType string `json:"payloadType"`
		Signatures  []struct {
			KeyID string `json:"keyid"`
			Sig   string `json:"sig"`
		} `json:"signatures"`
	}
	must(t, json.Unmarshal(e.Raw, &env))
	raw := string(e.Raw)
	sig := env.Signatures[0].Sig
	der, err := base64.StdEncoding.DecodeString(sig)
	must(t, err)
	with := func(der []byte) []byte {
		return []byte(strings.Replace(raw, sig, base64.StdEncoding.EncodeToString(der), 1))
	}
	payload, err := base64.StdEncoding.DecodeString(env.Payload)
	must(t, err)
	inside := func(change func(string) string) []byte {
		return []byte(strings.Replace(raw, env.Payload, base64.StdEncoding.EncodeToString([]byte(change(string(payload)))), 1))
	}
	return map[string][]byte{
		"high s":         with(highS(t, der)),
		"trailing DER":   with(append(bytes.Clone(der), 0)),
		"space":          []byte(strings.Replace(raw, `":`, `": `, 1)),
		"escape":         []byte(strings.Replace(raw, `"payload"`, `"payloa\u0064"`, 1)),
		"twice":          []byte(strings.Replace(raw, `{"payload"`, `{"payload":"","payload"`, 1)),
		"unknown member": []byte(strings.Replace(raw, `{"payload"`, `{"x":1,"payload"`, 1)),
		"order":          fmt.Appendf(nil, `{"payloadType":%q,"payload":%q,"signatures":%s`, env.PayloadType, env.Payload, raw[strings.Index(raw, `"signatures":`)+len(`"signatures":`):]),
		"payload space":  inside(func(p string) string { return strings.Replace(p, `":`, `": `, 1) }),
		"payload twice":  inside(func(p string) string { return strings.Replace(p, `{"kind"`, `{"kind":"x","kind"`, 1) }),
	}
}

func highS(t testing.TB, der []byte) []byte {
	t.Helper()
	r, s := new(big.Int), new(big.Int)
	input := cryptobyte.String(der)
	var inner cryptobyte.String
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !inner.ReadASN1Integer(r) || !inner.ReadASN1Integer(s) {
		t.Fatal("no signature")
	}
	s.Sub(elliptic.P256().Params().N, s)
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	out, err := b.Bytes()
	must(t, err)
	return out
}

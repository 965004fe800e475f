package dsse_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/dsse"
)

// badSignatures returns what a DER signature (r, s) with low s might be made
// into and must be refused for.
func badSignatures(tb testing.TB, der []byte) map[string][]byte {
	r, s := decode(tb, der)
	zero, n := new(big.Int), order()
	negative := new(big.Int).Neg(r)
	long := func(v *big.Int) *big.Int { return new(big.Int).Lsh(v, 300) }
	content := der[2:]
	firstLen := int(content[1])
	first, second := content[:2+firstLen], content[2+firstLen:]
	sequence := func(parts ...[]byte) []byte {
		body := bytes.Join(parts, nil)
		return append([]byte{0x30, byte(len(body))}, body...)
	}
	padded := func(integer []byte) []byte {
		return append([]byte{0x02, integer[1] + 1, 0}, integer[2:]...)
	}
	return map[string][]byte{
		"empty":              {},
		"high s":             encode(tb, r, new(big.Int).Sub(n, s)),
		"zero r":             encode(tb, zero, s),
		"zero s":             encode(tb, r, zero),
		"both zero":          encode(tb, zero, zero),
		"r = n":              encode(tb, n, s),
		"s = n":              encode(tb, r, n),
		"r + n":              encode(tb, new(big.Int).Add(r, n), s),
		"s + n":              encode(tb, r, new(big.Int).Add(s, n)),
		"negative r":         encode(tb, negative, s),
		"negative s":         encode(tb, r, new(big.Int).Neg(s)),
		"huge r":             encode(tb, long(r), s),
		"huge s":             encode(tb, r, long(s)),
		"trailing byte":      append(bytes.Clone(der), 0),
		"trailing inside":    sequence(first, second, []byte{0x05, 0x00}),
		"third integer":      sequence(first, second, []byte{0x02, 0x01, 0x01}),
		"one integer":        sequence(first),
		"no integer":         sequence(),
		"padded r":           sequence(padded(first), second),
		"padded s":           sequence(first, padded(second)),
		"long-form length":   append([]byte{0x30, 0x81, byte(len(content))}, content...),
		"indefinite length":  append(append([]byte{0x30, 0x80}, content...), 0, 0),
		"set, not sequence":  append([]byte{0x31}, der[1:]...),
		"octet string r":     sequence(append([]byte{0x04}, first[1:]...), second),
		"truncated":          der[:len(der)-1],
		"empty integer":      sequence([]byte{0x02, 0x00}, second),
		"raw 64 bytes":       append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...),
		"hex of itself":      fmt.Appendf(nil, "%x", der),
		"base64 of itself":   []byte(base64.StdEncoding.EncodeToString(der)),
		"length beyond":      append([]byte{0x30, byte(len(content) + 1)}, content...),
		"length in 4 octets": append([]byte{0x30, 0x84, 0, 0, 0, byte(len(content))}, content...),
	}
}

func TestSignatureEncodingsRefused(t *testing.T) {
	key := newKey(t)
	e := sign(t, "x", key)
	for name, sig := range badSignatures(t, e.Signatures[0].Sig) {
		bad := dsse.Envelope{Payload: e.Payload, PayloadType: e.PayloadType,
			Signatures: []dsse.Signature{{KeyID: e.Signatures[0].KeyID, Sig: sig}}}
		if err := bad.Verify(key.Public()); !errors.Is(err, dsse.ErrFormat) {
			t.Errorf("%s: Verify: %v, want ErrFormat", name, err)
		}
		if _, err := bad.Marshal(); !errors.Is(err, dsse.ErrFormat) {
			t.Errorf("%s: Marshal: %v, want ErrFormat", name, err)
		}
		b, err := json.Marshal(bad)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := dsse.Parse(b); !errors.Is(err, dsse.ErrFormat) {
			t.Errorf("%s: Parse: %v, want ErrFormat", name, err)
		}
	}
}

// The largest s that is low is (n−1)/2.
func TestLowSBoundary(t *testing.T) {
	e := sign(t, "x", newKey(t))
	r, _ := decode(t, e.Signatures[0].Sig)
	e.Signatures[0].Sig = encode(t, r, half())
	if _, err := e.Marshal(); err != nil {
		t.Errorf("(n−1)/2: %v", err)
	}
	e.Signatures[0].Sig = encode(t, r, new(big.Int).Add(half(), big.NewInt(1)))
	if _, err := e.Marshal(); !errors.Is(err, dsse.ErrFormat) {
		t.Errorf("(n+1)/2: %v, want ErrFormat", err)
	}
}

// badEnvelopes returns what an encoded envelope with two signatures might be
// made into and must be refused for.
func badEnvelopes(tb testing.TB, good []byte) map[string][]byte {
	var e dsse.Envelope
	if err := json.Unmarshal(good, &e); err != nil {
		tb.Fatal(err)
	}
	replace := func(old, with string) []byte {
		if !bytes.Contains(good, []byte(old)) {
			tb.Fatalf("no %q in %s", old, good)
		}
		return bytes.Replace(good, []byte(old), []byte(with), 1)
	}
	with := func(change func(e *dsse.Envelope)) []byte {
		changed := e
		changed.Signatures = append([]dsse.Signature(nil), e.Signatures...)
		change(&changed)
		b, err := json.Marshal(changed)
		if err != nil {
			tb.Fatal(err)
		}
		return b
	}
	id := e.Signatures[0].KeyID
	payload := base64.StdEncoding.EncodeToString(e.Payload) // ends in "=="
	return map[string][]byte{
		"empty":                   {},
		"null":                    []byte("null"),
		"empty object":            []byte("{}"),
		"array":                   []byte("[]"),
		"twice":                   append(bytes.Clone(good), good...),
		"space before":            append([]byte(" "), good...),
		"newline after":           append(bytes.Clone(good), '\n'),
		"space inside":            replace(`","`, `", "`),
		"byte order mark":         append([]byte("\xef\xbb\xbf"), good...),
		"truncated":               good[:len(good)-1],
		"other field order":       replace(`"payload":"`+payload+`","payloadType":"`+e.PayloadType+`"`, `"payloadType":"`+e.PayloadType+`","payload":"`+payload+`"`),
		"missing payload":         replace(`"payload":"`+payload+`",`, ``),
		"duplicate field":         replace(`{"payload":`, `{"payload":"eA==","payload":`),
		"duplicate key id":        replace(`{"keyid":`, `{"keyid":"`+id+`","keyid":`),
		"field in other case":     replace(`"payloadType"`, `"payloadtype"`),
		"both cases":              replace(`"payloadType"`, `"payloadtype":"x","payloadType"`),
		"unknown field":           replace(`,"signatures"`, `,"extra":1,"signatures"`),
		"unknown signature field": replace(`,"sig"`, `,"cert":"","sig"`),
		"escaped type":            replace(`application`, `\u0061pplication`),
		"type with a space":       replace(`application`, `appli cation`),
		"type not UTF-8":          replace(`application`, "\xff"),
		"no type":                 with(func(e *dsse.Envelope) { e.PayloadType = "" }),
		"null type":               replace(`"`+e.PayloadType+`"`, `null`),
		"empty payload":           with(func(e *dsse.Envelope) { e.Payload = []byte{} }),
		"null payload":            with(func(e *dsse.Envelope) { e.Payload = nil }),
		"payload as array":        replace(`"`+payload+`"`, `[120]`),
		"unpadded base64":         replace(payload, strings.TrimRight(payload, "=")),
		"base64 with newline":     replace(payload, payload[:4]+`\n`+payload[4:]),
		"base64 with spare bits":  replace(payload, strings.Replace(payload, "A==", "B==", 1)),
		"base64url":               replace(payload, "_-"+payload[2:]),
		"no signatures":           with(func(e *dsse.Envelope) { e.Signatures = []dsse.Signature{} }),
		"null signatures":         with(func(e *dsse.Envelope) { e.Signatures = nil }),
		"signatures swapped":      with(func(e *dsse.Envelope) { s := e.Signatures; s[0], s[1] = s[1], s[0] }),
		"signature repeated":      with(func(e *dsse.Envelope) { e.Signatures[1] = e.Signatures[0] }),
		"key id repeated":         with(func(e *dsse.Envelope) { e.Signatures[1].KeyID = id }),
		"key id empty":            with(func(e *dsse.Envelope) { e.Signatures[0].KeyID = "" }),
		"key id short":            with(func(e *dsse.Envelope) { e.Signatures[0].KeyID = id[:63] }),
		"key id in upper case":    with(func(e *dsse.Envelope) { e.Signatures[0].KeyID = "A" + id[1:] }),
		"key id not hex":          with(func(e *dsse.Envelope) { e.Signatures[0].KeyID = "g" + id[1:] }),
		"null signature":          with(func(e *dsse.Envelope) { e.Signatures[0].Sig = nil }),
		"too many signatures":     with(tooMany),
		"too large":               with(func(e *dsse.Envelope) { e.Payload = make([]byte, dsse.MaxEnvelope) }),
		"deep":                    bytes.Repeat([]byte("["), 10000),
	}
}

func tooMany(e *dsse.Envelope) {
	sig := e.Signatures[0].Sig
	e.Signatures = nil
	for i := range dsse.MaxSignatures + 1 {
		e.Signatures = append(e.Signatures, dsse.Signature{KeyID: fmt.Sprintf("%064x", i), Sig: sig})
	}
}

func goodEnvelope(tb testing.TB) []byte {
	tb.Helper()
	b, err := sign(tb, "\xff\xfe\x00\x00", newKey(tb), newKey(tb)).Marshal()
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestEnvelopeEncodingsRefused(t *testing.T) {
	good := goodEnvelope(t)
	if _, err := dsse.Parse(good); err != nil {
		t.Fatal(err)
	}
	for name, b := range badEnvelopes(t, good) {
		if bytes.Equal(b, good) {
			t.Errorf("%s: nothing changed", name)
		}
		if _, err := dsse.Parse(b); !errors.Is(err, dsse.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

func TestMaxEnvelope(t *testing.T) {
	key := newKey(t)
	// Base64 grows in steps of four, so the limit itself may not be reachable.
	overhead := len(mustMarshal(t, sign(t, "abc", key))) - 4
	largest := (dsse.MaxEnvelope - overhead - 2) / 4 * 3
	b := mustMarshal(t, sign(t, strings.Repeat("a", largest), key))
	if len(b) > dsse.MaxEnvelope || len(b) < dsse.MaxEnvelope-12 {
		t.Fatalf("%d bytes", len(b))
	}
	if _, err := dsse.Parse(b); err != nil {
		t.Error(err)
	}
	larger := bytes.Replace(b, []byte("YWFh"), []byte("YWFhYWFhYWFhYWFh"), 1)
	if _, err := dsse.Parse(larger); !errors.Is(err, dsse.ErrFormat) || len(larger) <= dsse.MaxEnvelope {
		t.Errorf("%d bytes: %v, want ErrFormat", len(larger), err)
	}
}

func mustMarshal(t *testing.T, e *dsse.Envelope) []byte {
	t.Helper()
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzParse(f *testing.F) {
	good := goodEnvelope(f)
	f.Add(good)
	for name, b := range badEnvelopes(f, good) {
		if name != "too large" {
			f.Add(b)
		}
	}
	key := newKey(f).Public()
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := dsse.Parse(b)
		if err != nil {
			if !errors.Is(err, dsse.ErrFormat) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		again, err := e.Marshal()
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("two encodings of one envelope: %v", err)
		}
		if err := e.Verify(key); !errors.Is(err, dsse.ErrNoSignature) && !errors.Is(err, dsse.ErrSignature) {
			t.Fatalf("a key that signed nothing: %v", err)
		}
	})
}

func FuzzSignature(f *testing.F) {
	key := newKey(f)
	good := sign(f, "x", key)
	f.Add(good.Signatures[0].Sig)
	for _, sig := range badSignatures(f, good.Signatures[0].Sig) {
		f.Add(sig)
	}
	f.Fuzz(func(t *testing.T, sig []byte) {
		e := dsse.Envelope{Payload: good.Payload, PayloadType: good.PayloadType,
			Signatures: []dsse.Signature{{KeyID: key.Public().KeyID(), Sig: sig}}}
		err := e.Verify(key.Public())
		if same := bytes.Equal(sig, good.Signatures[0].Sig); same != (err == nil) {
			t.Fatalf("the signature made: %v; %v", same, err)
		}
	})
}

package dsse_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/asn1"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/dsse"
)

const payloadType = "application/vnd.aivault.test+json"

// The example of the DSSE protocol document, protocol.md, "PAE".
func TestPAE(t *testing.T) {
	for _, c := range []struct{ payloadType, payload, want string }{
		{"http://example.com/HelloWorld", "hello world", "DSSEv1 29 http://example.com/HelloWorld 11 hello world"},
		{"", "", "DSSEv1 0  0 "},
		{"é", "a b", "DSSEv1 2 é 3 a b"},
	} {
		if got := string(dsse.PAE(c.payloadType, []byte(c.payload))); got != c.want {
			t.Errorf("PAE(%q, %q) = %q, want %q", c.payloadType, c.payload, got, c.want)
		}
	}
}

// What is signed is the PAE, as any DSSE verifier expects.
func TestSignatureIsOverPAE(t *testing.T) {
	key := newKey(t)
	e := sign(t, "a payload", key)
	digest := sha256.Sum256(dsse.PAE(payloadType, []byte("a payload")))
	if !ecdsa.VerifyASN1(stdKey(t, key), digest[:], e.Signatures[0].Sig) {
		t.Error("crypto/ecdsa does not verify it")
	}
}

func TestSignAndVerify(t *testing.T) {
	keys := []*dsse.PrivateKey{newKey(t), newKey(t), newKey(t)}
	e := sign(t, "a payload", keys...)
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := dsse.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	if string(parsed.Payload) != "a payload" || parsed.PayloadType != payloadType {
		t.Errorf("parsed %q of type %q", parsed.Payload, parsed.PayloadType)
	}
	for _, key := range keys {
		if err := parsed.Verify(key.Public()); err != nil {
			t.Error(err)
		}
	}
	if err := parsed.Verify(newKey(t).Public()); !errors.Is(err, dsse.ErrNoSignature) {
		t.Errorf("a key that did not sign: %v, want ErrNoSignature", err)
	}
	again, err := parsed.Marshal()
	if err != nil || string(again) != string(b) {
		t.Errorf("encoded again it differs: %v", err)
	}
}

func TestSignaturesAreLow(t *testing.T) {
	key := newKey(t)
	for range 32 {
		if _, s := decode(t, sign(t, "x", key).Signatures[0].Sig); s.Cmp(half()) > 0 {
			t.Fatal("a high-S signature")
		}
	}
}

func TestThreshold(t *testing.T) {
	a, b, c, stranger := newKey(t), newKey(t), newKey(t), newKey(t)
	e := sign(t, "x", a, b)
	keys := func(of ...*dsse.PrivateKey) (out []*dsse.PublicKey) {
		for _, k := range of {
			out = append(out, k.Public())
		}
		return out
	}
	for _, test := range []struct {
		name string
		keys []*dsse.PublicKey
		n    int
		want error
	}{
		{"both", keys(a, b), 2, nil},
		{"both of three", keys(c, b, a), 2, nil},
		{"one of three", keys(a, b, c), 1, nil},
		{"three of three", keys(a, b, c), 3, dsse.ErrNoSignature},
		{"one key listed twice", keys(a, a), 2, dsse.ErrNoSignature},
		{"one that signed, one that did not", keys(a, stranger), 2, dsse.ErrNoSignature},
		{"none that signed", keys(c, stranger), 1, dsse.ErrNoSignature},
		{"no keys", nil, 1, dsse.ErrNoSignature},
	} {
		signed, err := e.VerifyThreshold(test.keys, test.n)
		if !errors.Is(err, test.want) || (err == nil) != (signed != nil) {
			t.Errorf("%s: %v, %v, want %v", test.name, signed, err, test.want)
		}
		if err == nil && (len(signed) < test.n || !slices.IsSortedFunc(signed, byID)) {
			t.Errorf("%s: %v", test.name, signed)
		}
	}
	for _, n := range []int{0, -1} {
		if _, err := e.VerifyThreshold(keys(a, b), n); err == nil {
			t.Errorf("a threshold of %d was met", n)
		}
	}
	e.Signatures[0].Sig, e.Signatures[1].Sig = e.Signatures[1].Sig, e.Signatures[0].Sig
	if _, err := e.VerifyThreshold(keys(a, b), 1); !errors.Is(err, dsse.ErrSignature) {
		t.Errorf("swapped signatures: %v, want ErrSignature", err)
	}
	e = sign(t, "x", a, b)
	i := slices.IndexFunc(e.Signatures, func(s dsse.Signature) bool { return s.KeyID == b.Public().KeyID() })
	e.Signatures[i].Sig = sign(t, "y", b).Signatures[0].Sig
	if _, err := e.VerifyThreshold(keys(a, b), 1); !errors.Is(err, dsse.ErrSignature) {
		t.Errorf("one right and one wrong: %v, want ErrSignature", err)
	}
	if err := e.Verify(a.Public()); err != nil {
		t.Errorf("a wrong signature of another key: %v", err)
	}
}

func TestAdd(t *testing.T) {
	ctx := context.Background()
	a := newKey(t)
	e := sign(t, "x", a)
	before, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Add(ctx, a); !errors.Is(err, dsse.ErrFormat) {
		t.Errorf("a second signature of one key: %v, want ErrFormat", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := e.Add(cancelled, newKey(t)); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	if after, err := e.Marshal(); err != nil || string(after) != string(before) {
		t.Errorf("a refused signature changed the envelope: %v", err)
	}
	for len(e.Signatures) < dsse.MaxSignatures {
		if err := e.Add(ctx, newKey(t)); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Add(ctx, newKey(t)); !errors.Is(err, dsse.ErrFormat) {
		t.Errorf("one signature too many: %v, want ErrFormat", err)
	}
	b, err := e.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := dsse.Parse(b); err != nil {
		t.Error(err)
	}
}

func TestRefusedAddLeavesOrder(t *testing.T) {
	keys := []*dsse.PrivateKey{newKey(t), newKey(t), newKey(t), newKey(t)}
	slices.SortFunc(keys, func(a, b *dsse.PrivateKey) int { return byID(b.Public(), a.Public()) })
	e := sign(t, strings.Repeat("a", dsse.MaxEnvelope*3/4-300), keys[0])
	e.Signatures = slices.Grow(e.Signatures, 4)
	for _, key := range keys[1:] {
		if err := e.Add(context.Background(), key); !errors.Is(err, dsse.ErrFormat) {
			t.Fatalf("a signature beyond the size: %v, want ErrFormat", err)
		}
		if err := e.Verify(keys[0].Public()); err != nil {
			t.Fatalf("after a refused one: %v", err)
		}
	}
}

// badSigner returns what it is told to.
type badSigner struct {
	*dsse.PrivateKey
	sign func(ctx context.Context, digest [32]byte) ([]byte, error)
}

func (s badSigner) Sign(ctx context.Context, digest [32]byte) ([]byte, error) {
	return s.sign(ctx, digest)
}

func TestSignersAreNotTrusted(t *testing.T) {
	key, other := newKey(t), newKey(t)
	broken := errors.New("out of order")
	for _, c := range []struct {
		name string
		sign func(ctx context.Context, digest [32]byte) ([]byte, error)
		want error
	}{
		{"an error", func(context.Context, [32]byte) ([]byte, error) { return nil, broken }, broken},
		{"nothing", func(context.Context, [32]byte) ([]byte, error) { return nil, nil }, dsse.ErrFormat},
		{"another key's signature", other.Sign, dsse.ErrSignature},
		{"a signature of another digest", func(ctx context.Context, _ [32]byte) ([]byte, error) { return key.Sign(ctx, [32]byte{1}) }, dsse.ErrSignature},
		{"a raw signature", func(context.Context, [32]byte) ([]byte, error) { return make([]byte, 64), nil }, dsse.ErrFormat},
		{"a trailing byte", func(ctx context.Context, d [32]byte) ([]byte, error) {
			sig, err := key.Sign(ctx, d)
			return append(sig, 0), err
		}, dsse.ErrFormat},
		{"a third integer", func(ctx context.Context, d [32]byte) ([]byte, error) {
			sig, err := key.Sign(ctx, d)
			sig[1] += 3
			return append(sig, 0x02, 0x01, 0x01), err
		}, dsse.ErrFormat},
		{"a high-S signature", func(ctx context.Context, d [32]byte) ([]byte, error) {
			sig, err := key.Sign(ctx, d)
			r, s := decode(t, sig)
			if s.Cmp(half()) <= 0 {
				s.Sub(order(), s)
			}
			return encode(t, r, s), err
		}, nil},
	} {
		e, err := dsse.Sign(context.Background(), payloadType, []byte("x"), badSigner{key, c.sign})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
		if err == nil {
			if err := e.Verify(key.Public()); err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	}
}

func TestSignRefuses(t *testing.T) {
	key := newKey(t)
	for _, c := range []struct {
		name, payloadType, payload string
		signers                    []dsse.Signer
	}{
		{"no signer", payloadType, "x", nil},
		{"one signer twice", payloadType, "x", []dsse.Signer{key, key}},
		{"no payload", payloadType, "", []dsse.Signer{key}},
		{"no type", "", "x", []dsse.Signer{key}},
		{"type with a space", "a b", "x", []dsse.Signer{key}},
		{"type with a newline", "a\n", "x", []dsse.Signer{key}},
		{"type not ASCII", "é", "x", []dsse.Signer{key}},
		{"type not UTF-8", "\xff", "x", []dsse.Signer{key}},
		{"long type", strings.Repeat("a", dsse.MaxPayloadType+1), "x", []dsse.Signer{key}},
		{"too large", payloadType, strings.Repeat("a", dsse.MaxEnvelope*3/4), []dsse.Signer{key}},
	} {
		if _, err := dsse.Sign(context.Background(), c.payloadType, []byte(c.payload), c.signers...); !errors.Is(err, dsse.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", c.name, err)
		}
	}
	if _, err := dsse.Sign(context.Background(), strings.Repeat("a", dsse.MaxPayloadType), []byte("x"), key); err != nil {
		t.Errorf("the longest type: %v", err)
	}
}

func TestVerifyRefusesOtherContent(t *testing.T) {
	key := newKey(t)
	for name, change := range map[string]func(*dsse.Envelope){
		"payload":          func(e *dsse.Envelope) { e.Payload[0] ^= 1 },
		"longer payload":   func(e *dsse.Envelope) { e.Payload = append(e.Payload, ' ') },
		"payload type":     func(e *dsse.Envelope) { e.PayloadType += "2" },
		"shifted boundary": func(e *dsse.Envelope) { e.PayloadType += "a"; e.Payload = e.Payload[1:] },
		"signature":        func(e *dsse.Envelope) { e.Signatures = sign(t, "other", key).Signatures },
	} {
		e := sign(t, "a payload", key)
		change(e)
		if err := e.Verify(key.Public()); !errors.Is(err, dsse.ErrSignature) {
			t.Errorf("%s changed: %v, want ErrSignature", name, err)
		}
	}
}

func byID(a, b *dsse.PublicKey) int { return strings.Compare(a.KeyID(), b.KeyID()) }

func newKey(tb testing.TB) *dsse.PrivateKey {
	tb.Helper()
	key, err := dsse.GenerateKey()
	if err != nil {
		tb.Fatal(err)
	}
	return key
}

func sign(tb testing.TB, payload string, keys ...*dsse.PrivateKey) *dsse.Envelope {
	tb.Helper()
	var signers []dsse.Signer
	for _, k := range keys {
		signers = append(signers, k)
	}
	e, err := dsse.Sign(context.Background(), payloadType, []byte(payload), signers...)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

func order() *big.Int { return elliptic.P256().Params().N }

func half() *big.Int { return new(big.Int).Rsh(order(), 1) }

// decode and encode are encoding/asn1's, to be independent of the package.
func decode(tb testing.TB, der []byte) (r, s *big.Int) {
	tb.Helper()
	var v struct{ R, S *big.Int }
	if rest, err := asn1.Unmarshal(der, &v); err != nil || len(rest) > 0 {
		tb.Fatalf("%x is not DER: %v", der, err)
	}
	return v.R, v.S
}

func encode(tb testing.TB, r, s *big.Int) []byte {
	tb.Helper()
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		tb.Fatal(err)
	}
	return der
}

// random returns n random bytes.
func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

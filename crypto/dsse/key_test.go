package dsse_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/redact/redacttest"
)

// A key made by OpenSSL 3.0: openssl genpkey -algorithm EC -pkeyopt
// ec_paramgen_curve:P-256 | openssl pkcs8 -topk8 -nocrypt -outform DER; its public
// half by openssl pkey -pubout -outform DER; the SHA-256 of that by openssl dgst.
const (
	opensslPrivate = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg7Xjn3CqtK8lUPiYMcG5l6iG0HR6SW6eH3qd0tJdv8nOhRANCAATC+N5B9gNFpEQbAPhZ0HwCD/LEiYenRmYLYok1n+KFN5roLbYei+PDt7A4paQIDv1VeclBrg525tMkegTz4Zv8"
	opensslPublic  = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEwvjeQfYDRaREGwD4WdB8Ag/yxImHp0ZmC2KJNZ/ihTea6C22Hovjw7ewOKWkCA79VXnJQa4OdubTJHoE8+Gb/A=="
	opensslKeyID   = "4f68c5a08740a79ded89cab7b77dade2b88a6c400ac5a029dc751605085c4629"
)

func TestOpenSSLKey(t *testing.T) {
	key, err := dsse.ParsePrivateKey(unbase64(t, opensslPrivate))
	if err != nil {
		t.Fatal(err)
	}
	if got := key.Public().SPKI(); !bytes.Equal(got, unbase64(t, opensslPublic)) {
		t.Errorf("SPKI %x", got)
	}
	if got := key.Public().KeyID(); got != opensslKeyID || key.Public().String() != got {
		t.Errorf("key id %s", got)
	}
}

func TestKeysRoundTrip(t *testing.T) {
	key := newKey(t)
	private, err := dsse.ParsePrivateKey(key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	public, err := dsse.ParsePublicKey(key.Public().SPKI())
	if err != nil {
		t.Fatal(err)
	}
	if !private.Public().Equal(public) || !public.Equal(key.Public()) {
		t.Error("a parsed key is another")
	}
	if public.Equal(newKey(t).Public()) {
		t.Error("two keys are equal")
	}
	sum := sha256.Sum256(key.Public().SPKI())
	if public.KeyID() != hex.EncodeToString(sum[:]) {
		t.Errorf("key id %s", public.KeyID())
	}
	if err := sign(t, "x", private).Verify(public); err != nil {
		t.Error(err)
	}
	clear(public.SPKI())
	if !public.Equal(key.Public()) {
		t.Error("a caller can change a key")
	}
}

func TestPublicKeysRefused(t *testing.T) {
	key := newKey(t)
	good := key.Public().SPKI()
	point := len(good) - 65
	compressed := append([]byte{2 + good[len(good)-1]&1}, good[point+1:][:32]...)
	with := func(at int, b ...byte) []byte {
		out := bytes.Clone(good)
		copy(out[at:], b)
		return out
	}
	pub25519, _, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][]byte{
		"empty":              nil,
		"trailing byte":      append(bytes.Clone(good), 0),
		"extra element":      append([]byte{0x30, good[1] + 2}, append(bytes.Clone(good[2:]), 0x05, 0x00)...),
		"truncated":          good[:len(good)-1],
		"not on the curve":   with(len(good)-1, good[len(good)-1]^1),
		"at infinity":        with(point, make([]byte, 65)...),
		"hybrid form":        with(point, 6),
		"compressed":         append(append([]byte{0x30, 0x39}, append(bytes.Clone(good[2:23]), 0x03, 0x22, 0x00)...), compressed...),
		"x beyond the field": with(point+1, bytes.Repeat([]byte{0xff}, 32)...),
		"other algorithm":    with(10, good[10]^1),
		"Ed25519":            spki(t, pub25519),
		"PEM":                []byte("-----BEGIN PUBLIC KEY-----"),
		"the point alone":    good[point:],
	}
	for name, curve := range map[string]elliptic.Curve{"P-224": elliptic.P224(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		other, err := ecdsa.GenerateKey(curve, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		cases[name] = spki(t, &other.PublicKey)
	}
	for name, b := range cases {
		if _, err := dsse.ParsePublicKey(b); !errors.Is(err, dsse.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

func TestPrivateKeysRefused(t *testing.T) {
	key := newKey(t)
	good := key.Reveal()
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, key25519, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	std, err := x509.ParsePKCS8PrivateKey(good)
	if err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(std.(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	foreign := bytes.Clone(good)
	copy(foreign[len(foreign)-64:], newKey(t).Public().SPKI()[27:])
	scalar := bytes.Index(good, []byte{0x04, 0x20}) + 2
	with := func(b []byte) []byte {
		out := bytes.Clone(good)
		copy(out[scalar:], b)
		return out
	}
	for name, b := range map[string][]byte{
		"empty":                  nil,
		"trailing byte":          append(bytes.Clone(good), 0),
		"truncated":              good[:len(good)-1],
		"P-384":                  pkcs8(t, p384),
		"Ed25519":                pkcs8(t, key25519),
		"SEC 1":                  sec1,
		"another public key":     foreign,
		"zero":                   with(make([]byte, 32)),
		"the order":              with(order().Bytes()),
		"beyond the order":       with(bytes.Repeat([]byte{0xff}, 32)),
		"public key":             key.Public().SPKI(),
		"PEM":                    []byte("-----BEGIN PRIVATE KEY-----"),
		"random":                 random(138),
		"changed private scalar": with(random(31)),
	} {
		_, err := dsse.ParsePrivateKey(b)
		if !errors.Is(err, dsse.ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
}

func TestPrivateKeyDoesNotPrint(t *testing.T) {
	key := newKey(t)
	der := key.Reveal()
	scalar := bytes.Index(der, []byte{0x04, 0x20}) + 2
	std, err := x509.ParsePKCS8PrivateKey(der)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := std.(*ecdsa.PrivateKey).Bytes()
	if err != nil || !bytes.Equal(secret, der[scalar:][:32]) {
		t.Fatalf("no scalar where it was looked for: %v", err)
	}
	if err := redacttest.Check(key, secret, der); err != nil {
		t.Error(err)
	}
	if _, err := dsse.ParsePrivateKey(der[1:]); err == nil || strings.Contains(err.Error(), string(secret[:8])) {
		t.Errorf("the error quotes the key: %v", err)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(newKey(f).Public().SPKI())
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := dsse.ParsePublicKey(b)
		if err != nil {
			if !errors.Is(err, dsse.ErrFormat) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if !bytes.Equal(key.SPKI(), b) {
			t.Fatal("two encodings of one key")
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	f.Add(newKey(f).Reveal())
	f.Fuzz(func(t *testing.T, b []byte) {
		key, err := dsse.ParsePrivateKey(b)
		if err != nil {
			if !errors.Is(err, dsse.ErrFormat) {
				t.Fatalf("an error of no kind: %v", err)
			}
			return
		}
		if !bytes.Equal(key.Reveal(), b) {
			t.Fatal("two encodings of one key")
		}
	})
}

func stdKey(tb testing.TB, key *dsse.PrivateKey) *ecdsa.PublicKey {
	tb.Helper()
	parsed, err := x509.ParsePKIXPublicKey(key.Public().SPKI())
	if err != nil {
		tb.Fatal(err)
	}
	return parsed.(*ecdsa.PublicKey)
}

func spki(tb testing.TB, key any) []byte {
	tb.Helper()
	b, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func pkcs8(tb testing.TB, key any) []byte {
	tb.Helper()
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func unbase64(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

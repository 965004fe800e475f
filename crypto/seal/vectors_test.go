package seal

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"strings"
	"testing"

	agetest "c2sp.org/CCTV/age"
)

// vector is one of the C2SP CCTV age test vectors.
type vector struct {
	name        string
	expect      string
	payloadHash []byte // of the plaintext, as far as it could be opened
	fileKey     []byte
	identity    string // the last one
	armored     bool
	file        []byte
}

func vectors(t *testing.T) []vector {
	t.Helper()
	names, err := fs.Glob(agetest.Vectors, "*")
	if err != nil || len(names) < 100 {
		t.Fatalf("%d vectors, %v", len(names), err)
	}
	var out []vector
	for _, name := range names {
		b, err := fs.ReadFile(agetest.Vectors, name)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, parseVector(t, name, b))
	}
	return out
}

func parseVector(t *testing.T, name string, b []byte) vector {
	t.Helper()
	head, file, ok := bytes.Cut(b, []byte("\n\n"))
	if !ok {
		t.Fatalf("%s: no file in it", name)
	}
	v := vector{name: name, file: file}
	for _, line := range strings.Split(string(head), "\n") {
		key, value, _ := strings.Cut(line, ": ")
		var err error
		switch key {
		case "expect":
			v.expect = value
		case "payload":
			v.payloadHash, err = hex.DecodeString(value)
		case "file key":
			v.fileKey, err = hex.DecodeString(value)
		case "identity":
			v.identity = value
		case "armored":
			v.armored = true
		case "compressed":
			r, zerr := zlib.NewReader(bytes.NewReader(file))
			if zerr != nil {
				t.Fatal(zerr)
			}
			v.file, err = io.ReadAll(r)
		case "comment", "passphrase":
		default:
			t.Fatalf("%s: unknown field %q", name, key)
		}
		if err != nil {
			t.Fatalf("%s: %s: %v", name, key, err)
		}
	}
	return v
}

// Of the files with hybrid stanzas alone, each fares as the vector says. A file
// with any other stanza beside is refused, though age opens it.
func TestHybridVectors(t *testing.T) {
	type result struct{ open, shared error }
	ok, mixed := result{}, result{ErrFormat, ErrFormat}
	malformed, noMatch := mixed, result{ErrNoMatch, ErrNoMatch}
	want := map[string]result{
		"hybrid":                      ok,
		"hybrid_and_x25519":           mixed,
		"hybrid_bad_tag":              noMatch,
		"hybrid_currupted_enc_mlkem":  noMatch,
		"hybrid_currupted_enc_x25519": noMatch,
		"hybrid_extra_argument":       malformed,
		"hybrid_grease":               mixed,
		"hybrid_identity":             malformed,
		"hybrid_long_file_key":        malformed,
		"hybrid_long_share":           malformed,
		"hybrid_low_order":            malformed,
		"hybrid_multiple_recipients":  {ErrFormat, nil},
		"hybrid_no_match":             noMatch,
		"hybrid_not_canonical_body":   malformed,
		"hybrid_not_canonical_enc":    malformed,
		"hybrid_short_share":          malformed,
		"hybrid_uppercase":            mixed, // the type is: another kind of stanza
		"hybrid_x25519_arg":           malformed,
	}
	for _, v := range vectors(t) {
		if !strings.HasPrefix(v.name, "hybrid") {
			continue
		}
		expect, known := want[v.name]
		if !known {
			t.Errorf("%s: a new vector", v.name)
			continue
		}
		delete(want, v.name)
		id, err := ParseIdentity(v.identity)
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		for _, c := range []struct {
			name string
			open func([]byte, *Identity) ([]byte, error)
			want error
		}{{"Open", Open, expect.open}, {"OpenShared", OpenShared, expect.shared}} {
			plaintext, err := c.open(v.file, id)
			if !errors.Is(err, c.want) {
				t.Errorf("%s of %s (%s): %v, want %v", c.name, v.name, v.expect, err, c.want)
			}
			if sum := sha256.Sum256(plaintext); c.want == nil && !bytes.Equal(sum[:], v.payloadHash) {
				t.Errorf("%s of %s: another plaintext", c.name, v.name)
			}
		}
	}
	for name := range want {
		t.Errorf("%s: no such vector", name)
	}
}

func TestOtherVectorsAreRefused(t *testing.T) {
	id, err := GenerateIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range vectors(t) {
		if strings.HasPrefix(v.name, "hybrid") {
			continue
		}
		if _, err := CheckHeader(v.file); !errors.Is(err, ErrFormat) {
			t.Errorf("CheckHeader of %s: %v, want ErrFormat", v.name, err)
		}
		if _, err := OpenShared(v.file, id); !errors.Is(err, ErrFormat) {
			t.Errorf("OpenShared of %s: %v, want ErrFormat", v.name, err)
		}
	}
}

// The payload does not depend on the stanzas, so those under other stanzas hold
// for ours: each opens, or fails, as the vector says, and what opens is sealed
// again to the same bytes.
func TestPayloadVectors(t *testing.T) {
	var opened, refused int
	for _, v := range vectors(t) {
		if v.armored || v.fileKey == nil || v.expect != "success" && v.expect != "payload failure" {
			continue
		}
		payload := payloadOf(t, v.file)
		for _, workers := range []int{1, 3} {
			plaintext, err := openPayload(payload, v.fileKey, workers)
			switch v.expect {
			case "success":
				opened++
				if sum := sha256.Sum256(plaintext); err != nil || !bytes.Equal(sum[:], v.payloadHash) {
					t.Errorf("%s: another plaintext, or none: %v", v.name, err)
				}
				again, err := appendFile(nil, plaintext, workers, v.fileKey, payload[:payloadNonceSize], nil)
				if err != nil || !bytes.Equal(payloadOf(t, again), payload) {
					t.Errorf("%s: sealed again it differs: %v", v.name, err)
				}
			case "payload failure":
				refused++
				if !errors.Is(err, ErrCorrupt) || plaintext != nil {
					t.Errorf("%s: %v, want ErrCorrupt", v.name, err)
				}
			}
		}
	}
	if opened < 20 || refused < 30 {
		t.Errorf("only %d payloads to open and %d to refuse", opened, refused)
	}
}

// payloadOf returns what follows the header, nonce included.
func payloadOf(t *testing.T, file []byte) []byte {
	t.Helper()
	_, rest, ok := bytes.Cut(file, []byte("\n--- "))
	if !ok {
		t.Fatal("no header")
	}
	_, payload, ok := bytes.Cut(rest, []byte("\n"))
	if !ok {
		t.Fatal("no end of header")
	}
	return payload
}

// openPayload does what CheckHeader and appendOpen do after the header.
func openPayload(payload, fileKey []byte, workers int) ([]byte, error) {
	size, ok := plaintextSize(int64(len(payload)) - payloadNonceSize)
	if !ok {
		return nil, ErrCorrupt
	}
	return appendPayload(nil, payload, size, workers, fileKey)
}

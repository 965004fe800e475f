package tpm

import (
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/internal/setting"
)

func TestParseConfig(t *testing.T) {
	got, err := parseConfig("dir=/k&device=/dev/tpm0&index=0x01800020&auth-source=env:A&owner-auth-source=file:/o")
	want := config{"/k", "/dev/tpm0", 0x01800020, setting.Secret{Variable: "A"}, setting.Secret{File: "/o"}}
	if err != nil || got != want {
		t.Errorf("got %+v, %v", got, err)
	}
	if got, err = parseConfig("auth-source=/a&dir=/k"); err != nil || got.device != defaultDevice || got.index != defaultIndex {
		t.Errorf("got %+v, %v", got, err)
	}
	for _, text := range []string{"", "dir=/k", "dir=k&auth-source=env:A", "dir=/k&auth-source=secret", "dir=/k&auth-source=env:A&device=tpm0", "dir=/k&auth-source=env:A&index=1",
		"dir=/k&auth-source=env:A&index=0x01c00000", "dir=/k&auth-source=env:A&index=0x01bffff8", "dir=/k&auth-source=env:A&owner-auth-source=secret", "dir=/k&auth-source=env:A&auth=secret"} {
		if c, err := parseConfig(text); !errors.Is(err, custody.ErrInvalid) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: got %+v, %v", text, c, err)
		}
	}
}

// FuzzOpenTable: a file is hostile, even one that the TPM vouches for.
func FuzzOpenTable(f *testing.F) {
	f.Add([]byte(`{"format":"aivault-tpm-keys/1","instance":"tpm-x","keys":[],"dead":[]}`), false)
	f.Add([]byte(`{"format":"aivault-tpm-keys/1","instance":"tpm-x","keys":[{"label":"a","born":"2026-11-28T00:00:00Z","key":"AA=="}],"dead":[]}`), false)
	f.Add([]byte("short"), true)
	f.Fuzz(func(t *testing.T, b []byte, raw bool) {
		a := &anchor{generation: 3}
		if !raw {
			b = sealWith(a.key[:], domain(a.generation), b)
		}
		a.table = sha256.Sum256(b)
		table, err := openTable(b, a)
		switch {
		case err != nil && !errors.Is(err, custody.ErrCorrupt):
			t.Fatal(err)
		case err == nil:
			if _, err := sealTable(table, a.key, 4); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzDecodeAnchor(f *testing.F) {
	f.Add((&anchor{generation: 1}).encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, ok := decodeAnchor(b); ok && string(a.encode()) != string(b) {
			t.Fatalf("%x reads as %+v", b, a)
		}
	})
}

package entry_test

import (
	"encoding/base64"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/entry"
)

var update = flag.Bool("update", false, "sign a new vector")

// TestGolden reads an entry that was signed once and for all, with the public
// key that signed it and the hash that names it.
func TestGolden(t *testing.T) {
	entryFile, keyFile, hashFile := filepath.Join("testdata", "entry.json"), filepath.Join("testdata", "entry.spki"), filepath.Join("testdata", "entry.sha256")
	if *update {
		k := newKey(t)
		e := sign(t, k, header(t, k), body{"golden <&> \u2028 \"quoted\""})
		for name, text := range map[string]string{entryFile: string(e.Raw), hashFile: e.Hash.String(), keyFile: base64.StdEncoding.EncodeToString(k.Public().SPKI())} {
			if err := os.WriteFile(name, []byte(text+"\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSuffix(string(b), "\n")
	}
	spki, err := base64.StdEncoding.DecodeString(read(keyFile))
	if err != nil {
		t.Fatal(err)
	}
	key, err := dsse.ParsePublicKey(spki)
	if err != nil {
		t.Fatal(err)
	}
	e, err := entry.Parse([]byte(read(entryFile)))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Envelope.Verify(key); err != nil {
		t.Error(err)
	}
	if got, want := e.Hash.String(), read(hashFile); got != want {
		t.Errorf("hash %s, want %s", got, want)
	}
	author, err := canonical.ParseDigest(key.KeyID())
	if err != nil {
		t.Fatal(err)
	}
	want := entry.Header{Kind: "version", Critical: true, Format: 1, Genesis: genesis, Journal: aid.String(), Seq: 5, Prev: prev,
		Vault: entry.Position{Seq: 3, Hash: canonical.Sum([]byte("vault 3"))}, Author: author,
		Time: entry.Time{Time: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)}, Op: canonical.ID{7}}
	if e.Header != want {
		t.Errorf("header %+v, want %+v", e.Header, want)
	}
	if got, want := string(e.Body), `{"text":"golden <&> \u2028 \"quoted\""}`; got != want {
		t.Errorf("body %s, want %s", got, want)
	}
}

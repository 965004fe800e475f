package vaulttest

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"testing"

	"github.com/minio/crc64nvme"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
)

// TestConfirms shows a guess to an adversary that has met with a trace of it, in
// every way in which it might, and to one that has met with nothing.
func TestConfirms(t *testing.T) {
	w := NewWorld(t, Config{Cipher: Symbolic{}})
	files := []File{{"a", []byte("weights that are easy to guess")}, {"b", []byte("others that are known")}}
	guess := files[0].Plain
	blake, sum := manifest.Sum(guess), sha256.Sum256(guess)
	var secret, salt [32]byte
	for i := range secret {
		secret[i], salt[i] = byte(i), byte(100+i)
	}
	s := manifest.SecretFrom(secret)
	seed := manifest.ChunkSeed(s, blake).Reveal()
	chunk, err := w.Cipher.FromSeed(seed[:])
	must(t, err)
	sealedChunk, err := w.Cipher.Seal(guess, chunk.Recipient())
	must(t, err)
	digest := func(salt [32]byte) canonical.Digest {
		h := manifest.NewVersionHash(manifest.SecretFrom(salt))
		for _, f := range files {
			h.Add(f.Path, manifest.Regular, int64(len(f.Plain)), canonical.Sum(f.Plain))
		}
		return h.Sum()
	}
	stranger, err := w.Cipher.Generate()
	must(t, err)
	toStranger, err := w.Cipher.Seal([]byte(hex.EncodeToString(sum[:])), stranger.Recipient())
	must(t, err)
	toAlice, err := w.Cipher.Seal([]byte(`{"labels":{"x":"`+hex.EncodeToString(sum[:])+`"}}`), w.Members["alice"].Key.Recipient())
	must(t, err)
	known := hex.EncodeToString(secret[:])
	object := func(body string) []backendtest.Object {
		return []backendtest.Object{{Key: "some/key", Body: []byte(body)}}
	}
	named := func(key, body string) []backendtest.Object {
		return []backendtest.Object{{Key: key, Body: []byte(body)}}
	}
	for name, c := range map[string]struct {
		history []backendtest.Object
		want    bool
	}{
		"nothing":                        {object("nothing of the kind"), false},
		"a hash sealed to a stranger":    {object(string(toStranger)), false},
		"the chunk, to its own identity": {object(string(sealedChunk)), false},
		"a chunk name, secret unknown":   {named("v/c/"+manifest.ChunkName(s, blake, nil), ""), false},
		"a salted digest, salt unknown":  {object(digest(salt).String()), false},
		"another file's hash":            {object(canonical.Sum(files[1].Plain).String()), false},
		"plaintext":                      {object("so these are " + string(guess)), true},
		"SHA-256 in hex":                 {object("sha256:" + hex.EncodeToString(sum[:]) + "\n"), true},
		"half of SHA-256":                {object("sha256-" + hex.EncodeToString(sum[:16])), true},
		"SHA-256 amid digits":            {object("00" + hex.EncodeToString(sum[:]) + "00"), true},
		"SHA-256 in base64":              {object(`["` + base64.StdEncoding.EncodeToString(sum[:]) + `"]`), true},
		"SHA-256 raw":                    {object("x" + string(sum[:]) + "x"), true},
		"SHA-256 in a name":              {named("doc/"+hex.EncodeToString(sum[:]), ""), true},
		"SHA-256 sealed to a member":     {object(string(toAlice)), true},
		"SHA-256 in base64 in JSON":      {object(`{"payload":"` + base64.StdEncoding.EncodeToString([]byte(`{"x":"`+hex.EncodeToString(sum[:])+`"}`)) + `"}`), true},
		"BLAKE3":                         {object(blake.String()), true},
		"CRC-64":                         {object(hex.EncodeToString(binary.BigEndian.AppendUint64(nil, crc64nvme.Checksum(guess)))), true},
		"an unsalted digest":             {object(digest([32]byte{}).String()), true},
		"a salted digest and its salt":   {append(object(digest(salt).String()), object(`{"salt":"`+hex.EncodeToString(salt[:])+`"}`)...), true},
		"a chunk name and its secret":    {append(named("v/c/"+manifest.ChunkName(s, blake, nil), ""), object(known)...), true},
		"a chunk and its secret":         {append(object(string(sealedChunk)), object(known)...), true},
	} {
		k := NewThoroughAdversary(w).Know(c.history, nil)
		if what := k.Confirms(files, func(f File) bool { return f.Path == "b" }); (what != "") != c.want {
			t.Errorf("%s: confirmed by %q", name, what)
		}
		if what := k.Confirms(files, func(File) bool { return true }); what != "" {
			t.Errorf("%s: files that are known from elsewhere are confirmed by %q", name, what)
		}
	}
}

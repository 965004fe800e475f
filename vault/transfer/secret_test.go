package transfer_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/transfer"
)

// mark stands for that of a tree.
var mark = canonical.Sum([]byte("a tree"))

func key(t *testing.T) *dsse.PrivateKey {
	t.Helper()
	k, err := dsse.GenerateKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestSecretRoundTrip(t *testing.T) {
	s, aid, vid, author, id := manifest.NewSecret(), canonical.Sum([]byte("a")), canonical.NewID(), key(t), identity(t)
	sealed, err := transfer.SealSecret(t.Context(), s, mark, aid, vid, author, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	got, tree, err := transfer.OpenSecret(sealed, id, aid, vid, author.Public())
	if err != nil || !got.Equal(s) || tree != mark {
		t.Errorf("another secret came out, or mark %s: %v", tree, err)
	}
	if _, _, err := transfer.OpenSecret(sealed, id, aid, vid, key(t).Public()); !errors.Is(err, dsse.ErrNoSignature) {
		t.Errorf("another author's: %v", err)
	}
	for name, open := range map[string]func() (manifest.Secret, canonical.Digest, error){
		"another version": func() (manifest.Secret, canonical.Digest, error) {
			return transfer.OpenSecret(sealed, id, aid, canonical.NewID(), author.Public())
		},
		"another artefact": func() (manifest.Secret, canonical.Digest, error) {
			return transfer.OpenSecret(sealed, id, canonical.Sum(nil), vid, author.Public())
		},
		"another identity": func() (manifest.Secret, canonical.Digest, error) {
			return transfer.OpenSecret(sealed, identity(t), aid, vid, author.Public())
		},
		"truncated": func() (manifest.Secret, canonical.Digest, error) {
			return transfer.OpenSecret(sealed[:len(sealed)-1], id, aid, vid, author.Public())
		},
		"nothing": func() (manifest.Secret, canonical.Digest, error) {
			return transfer.OpenSecret(nil, id, aid, vid, author.Public())
		},
	} {
		if _, _, err := open(); !errors.Is(err, transfer.ErrIntegrity) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A thief who knows the version's recipient can store any object there.
func TestPlantedSecrets(t *testing.T) {
	s, aid, vid, author, thief, id := manifest.NewSecret(), canonical.Sum([]byte("a")), canonical.NewID(), key(t), key(t), identity(t)
	sealed, err := transfer.SealSecret(t.Context(), s, mark, aid, vid, author, id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	plain, err := seal.Open(sealed, id)
	if err != nil {
		t.Fatal(err)
	}
	format, envelope, _ := strings.Cut(string(plain), "\n")
	env, err := dsse.Parse([]byte(envelope))
	if err != nil {
		t.Fatal(err)
	}
	sign := func(payloadType, payload string, by *dsse.PrivateKey) string {
		t.Helper()
		e, err := dsse.Sign(t.Context(), payloadType, []byte(payload), by)
		if err != nil {
			t.Fatal(err)
		}
		b, err := e.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		return format + "\n" + string(b)
	}
	for name, c := range map[string]struct {
		plain string
		want  error
	}{
		"signed by the thief":     {sign(env.PayloadType, string(env.Payload), thief), dsse.ErrNoSignature},
		"other type":              {sign("application/json", string(env.Payload), author), transfer.ErrIntegrity},
		"named for another":       {sign(env.PayloadType, strings.Replace(string(env.Payload), author.Public().KeyID(), thief.Public().KeyID(), 1), author), transfer.ErrIntegrity},
		"respelt":                 {sign(env.PayloadType, string(env.Payload)+" ", author), transfer.ErrIntegrity},
		"other format in payload": {sign(env.PayloadType, strings.Replace(string(env.Payload), "/1", "/9", 1), author), transfer.ErrIntegrity},
		"newer":                   {strings.Replace(string(plain), "/1", "/2", 1), entry.ErrUpgrade},
		"no secret":               {"a page", transfer.ErrIntegrity},
		"no envelope":             {format + "\n{}", transfer.ErrIntegrity},
		"changed":                 {strings.Replace(string(plain), `"payload":"ey`, `"payload":"eY`, 1), transfer.ErrIntegrity},
	} {
		if c.plain == string(plain) {
			t.Fatalf("%s: nothing was changed", name)
		}
		planted, err := seal.Seal([]byte(c.plain), id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = transfer.OpenSecret(planted, id, aid, vid, author.Public())
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
		b := s.Reveal()
		if hex := canonical.Digest(b).String(); err != nil && strings.Contains(err.Error(), hex[:8]) {
			t.Errorf("%s: the error tells the secret: %v", name, err)
		}
	}
}

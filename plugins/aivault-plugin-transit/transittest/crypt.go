package transittest

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
)

// field reads base64 as the server does, which takes more than one spelling.
func field(in map[string]any, name string) ([]byte, bool) {
	text, _ := in[name].(string)
	raw, err := base64.StdEncoding.DecodeString(text)
	return raw, err == nil
}

// encrypt makes a key that is not there: the server does so for whoever may
// create on this path.
func (s *Server) encrypt(name string, in map[string]any) answer {
	plain, ok := field(in, "plaintext")
	aad, ok2 := field(in, "associated_data")
	if !ok || !ok2 {
		return refuse(http.StatusBadRequest, "failed to base64-decode")
	}
	if s.keys[name] == nil {
		if a := s.create(name, nil); a.status != http.StatusOK {
			return a
		}
	}
	k := s.keys[name]
	if k.public != "" {
		return refuse(http.StatusBadRequest, "key type %s does not support encryption", k.kind)
	}
	sealed := aead(k).Seal(nil, nil, plain, aad)
	return data(map[string]any{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(sealed), "key_version": 1})
}

func (s *Server) decrypt(name string, in map[string]any) answer {
	k := s.keys[name]
	aad, ok := field(in, "associated_data")
	text, _ := in["ciphertext"].(string)
	rest, prefixed := strings.CutPrefix(text, "vault:v")
	number, body, parts := strings.Cut(rest, ":")
	version, err := strconv.Atoi(number)
	sealed, berr := base64.StdEncoding.DecodeString(body)
	switch {
	case k == nil:
		return refuse(http.StatusBadRequest, "encryption key not found")
	case k.public != "":
		return refuse(http.StatusBadRequest, "key type %s does not support decryption", k.kind)
	case !ok || text == "":
		return refuse(http.StatusBadRequest, "missing ciphertext to decrypt")
	case !prefixed || !parts || err != nil:
		return refuse(http.StatusBadRequest, "invalid ciphertext: no prefix")
	case version > 1:
		return refuse(http.StatusBadRequest, "invalid ciphertext: version is too new")
	case berr != nil: // version 0 is read as 1
		return refuse(http.StatusBadRequest, "invalid ciphertext: could not decode base64")
	}
	plain, err := aead(k).Open(nil, nil, sealed, aad)
	if err != nil {
		return refuse(http.StatusBadRequest, "invalid ciphertext: unable to decrypt")
	}
	return data(map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)})
}

package awskmstest

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/json"
)

// The form of a ciphertext is the double's own: KMS does not document its.
const idSize = 36

// bound is the encryption context and the key, as associated data.
func bound(k *kmsKey, context map[string]string) []byte {
	text, err := json.Marshal(context) // sorts the names
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return append([]byte(k.id), text...)
}

func aead(k *kmsKey) cipher.AEAD {
	block, err := aes.NewCipher(k.secret[:])
	if err != nil {
		panic("internal error: " + err.Error())
	}
	a, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic("internal error: " + err.Error())
	}
	return a
}

func (s *Server) encrypt(in request) (any, *exception) {
	if len(in.Plaintext) == 0 || len(in.Plaintext) > 4096 {
		return nil, refuse("ValidationException", "plaintext of %d bytes", len(in.Plaintext))
	}
	k, err := s.usable(in.KeyId, "SYMMETRIC_DEFAULT")
	if err != nil {
		return nil, err
	}
	sealed := aead(k).Seal([]byte(k.id), nil, in.Plaintext, bound(k, in.EncryptionContext))
	return map[string]any{"CiphertextBlob": sealed, "KeyId": arnPrefix + "key/" + k.id, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
}

func (s *Server) decrypt(in request) (any, *exception) {
	if len(in.CiphertextBlob) == 0 || len(in.CiphertextBlob) > 6144 {
		return nil, refuse("ValidationException", "ciphertext of %d bytes", len(in.CiphertextBlob))
	}
	// KMS reads first which key a ciphertext names.
	if len(in.CiphertextBlob) <= idSize {
		return nil, refuse("InvalidCiphertextException", "")
	}
	named := s.keys[string(in.CiphertextBlob[:idSize])]
	if named == nil {
		return nil, refuse("InvalidCiphertextException", "")
	}
	k, err := s.usable(in.KeyId, "SYMMETRIC_DEFAULT")
	if err != nil {
		return nil, err
	}
	if named != k {
		return nil, refuse("IncorrectKeyException", "The key ID in the request does not identify a CMK that can perform this operation.")
	}
	plain, oerr := aead(k).Open(nil, nil, in.CiphertextBlob[idSize:], bound(k, in.EncryptionContext))
	if oerr != nil {
		return nil, refuse("InvalidCiphertextException", "")
	}
	return map[string]any{"Plaintext": plain, "KeyId": arnPrefix + "key/" + k.id, "EncryptionAlgorithm": "SYMMETRIC_DEFAULT"}, nil
}

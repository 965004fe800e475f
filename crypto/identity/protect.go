package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"filippo.io/age"
	"filippo.io/age/armor"
)

const (
	// workFactor is log2 of scrypt's cost: 256 MiB and about a second, what
	// the stock age command writes.
	workFactor = 18
	// maxWorkFactor bounds what a file can make a reader spend: 1 GiB and some
	// seconds.
	maxWorkFactor = 20
)

// Protect returns the identity as a file that a passphrase protects. It takes
// about a second and 256 MiB.
func (id *Identity) Protect(passphrase string) ([]byte, error) {
	return id.protect(passphrase, workFactor)
}

func (id *Identity) protect(passphrase string, factor int) ([]byte, error) {
	recipient, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, fmt.Errorf("protect an identity: %w", err)
	}
	recipient.SetWorkFactor(factor)
	var b bytes.Buffer
	armored := armor.NewWriter(&b)
	w, err := age.Encrypt(armored, recipient)
	if err != nil {
		return nil, fmt.Errorf("protect an identity: %w", err)
	}
	if _, err := w.Write(id.Reveal()); err != nil {
		return nil, fmt.Errorf("protect an identity: %w", err)
	}
	if err := errors.Join(w.Close(), armored.Close()); err != nil {
		return nil, fmt.Errorf("protect an identity: %w", err)
	}
	return b.Bytes(), nil
}

// isProtected says whether b is an armored age file.
func isProtected(b []byte) bool { return bytes.HasPrefix(b, []byte(armor.Header)) }

func unprotect(b []byte, ask func() (string, error)) ([]byte, error) {
	if ask == nil {
		return nil, fmt.Errorf("%w: none was given", ErrPassphrase)
	}
	passphrase, err := ask()
	if err != nil {
		return nil, err
	}
	secret, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, fmt.Errorf("%w: none was given", ErrPassphrase)
	}
	secret.SetMaxWorkFactor(maxWorkFactor)
	r, err := age.Decrypt(armor.NewReader(bytes.NewReader(b)), secret)
	var noMatch *age.NoIdentityMatchError
	if errors.As(err, &noMatch) && slices.Equal(noMatch.StanzaTypes, []string{"scrypt"}) {
		return nil, ErrPassphrase
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	plain, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return plain, nil
}

package seal

// Key opens what is sealed to its recipient.
type Key interface {
	// Recipient returns the public half, as entries spell it.
	Recipient() string
	// Open opens an object with exactly one stanza, see [Open].
	Open(sealed []byte) ([]byte, error)
	// OpenShared opens an object with one or more, see [OpenShared].
	OpenShared(sealed []byte) ([]byte, error)
	// RevealSeed returns the 32-byte seed; Reveal its text form. Both are secret.
	RevealSeed() []byte
	Reveal() string
}

// Cipher is how protocols seal. [Age] is the only one that vaults use; the
// tests of the rotation protocol bring a symbolic one, in which sealing is a
// term that an adversary can take apart if it holds the key, so that thousands
// of histories fit in a minute.
type Cipher interface {
	Generate() (Key, error)
	FromSeed(seed []byte) (Key, error)
	Parse(text string) (Key, error)
	Seal(plaintext []byte, recipients ...string) ([]byte, error)
}

// Age is the Cipher of age files with hybrid recipients.
type Age struct{}

type ageKey struct{ *Identity }

func (k ageKey) Recipient() string                        { return k.Identity.Recipient().String() }
func (k ageKey) Open(sealed []byte) ([]byte, error)       { return Open(sealed, k.Identity) }
func (k ageKey) OpenShared(sealed []byte) ([]byte, error) { return OpenShared(sealed, k.Identity) }

// AsKey returns an identity as a Key.
func AsKey(id *Identity) Key { return ageKey{id} }

// Generate draws a new identity.
func (Age) Generate() (Key, error) { return asKey(GenerateIdentity()) }

// FromSeed returns the identity of a seed.
func (Age) FromSeed(seed []byte) (Key, error) { return asKey(IdentityFromSeed(seed)) }

// Parse reads an identity in age's text form.
func (Age) Parse(text string) (Key, error) { return asKey(ParseIdentity(text)) }

// Seal seals to recipients in age's text form.
func (Age) Seal(plaintext []byte, recipients ...string) ([]byte, error) {
	to := make([]*Recipient, len(recipients))
	for i, r := range recipients {
		var err error
		if to[i], err = ParseRecipient(r); err != nil {
			return nil, err
		}
	}
	return Seal(plaintext, to...)
}

func asKey(id *Identity, err error) (Key, error) {
	if err != nil {
		return nil, err
	}
	return ageKey{id}, nil
}

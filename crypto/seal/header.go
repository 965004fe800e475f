package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"

	"filippo.io/age"
)

// The header of an age file with hybrid stanzas alone, byte for byte:
//
//	age-encryption.org/v1\n
//	-> mlkem768x25519 <encapsulated key: 1,494 characters>\n     once a recipient
//	<wrapped file key: 43 characters>\n
//	--- <MAC: 43 characters>\n
//
// All base64 is unpadded and canonical. Every part has a fixed length, so the
// position of each stanza follows from its index.
const (
	intro       = "age-encryption.org/v1\n"
	stanzaType  = "mlkem768x25519"
	stanzaStart = "-> " + stanzaType + " "
	footerStart = "---"

	shareSize   = 1088 + 32 // ML-KEM-768 ciphertext and X25519 share
	shareText   = 1494
	wrappedSize = fileKeySize + 16
	wrappedText = 43
	macText     = 43

	shareAt    = len(stanzaStart)
	wrappedAt  = shareAt + shareText + 1
	stanzaSize = wrappedAt + wrappedText + 1
	footerSize = len(footerStart) + 1 + macText + 1
)

var encoding = base64.RawStdEncoding.Strict()

// Header is what can be said of a sealed object without a key.
type Header struct {
	Stanzas     int   // number of recipients
	Size        int   // of the header, in bytes; the payload's nonce follows
	PayloadSize int64 // length of the plaintext, in bytes
}

// CheckHeader reports what the header and the length of a sealed object say.
// It refuses, as ErrFormat, any header that is not a well-formed age v1 header
// of 1 to [MaxRecipients] hybrid stanzas and nothing else, and, as ErrCorrupt, a
// length that no payload has. It needs no key, hence proves nothing about who
// can open the object or whether it is intact.
func CheckHeader(sealed []byte) (Header, error) {
	if len(sealed) > MaxSize {
		return Header{}, fmt.Errorf("%w: longer than %d bytes", ErrFormat, MaxSize)
	}
	rest, ok := bytes.CutPrefix(sealed, []byte(intro))
	if !ok {
		return Header{}, fmt.Errorf("%w: it does not begin as age v1", ErrFormat)
	}
	var n int
	for ; bytes.HasPrefix(rest, []byte(stanzaStart)); n++ {
		if n == MaxRecipients {
			return Header{}, fmt.Errorf("%w: more than %d stanzas", ErrFormat, MaxRecipients)
		}
		if !validStanza(rest) {
			return Header{}, fmt.Errorf("%w: malformed stanza %d", ErrFormat, n+1)
		}
		rest = rest[stanzaSize:]
	}
	if n == 0 {
		return Header{}, fmt.Errorf("%w: it does not begin with a %s stanza", ErrFormat, stanzaType)
	}
	if !validFooter(rest) {
		return Header{}, fmt.Errorf("%w: neither a %s stanza nor a MAC after stanza %d", ErrFormat, stanzaType, n)
	}
	payload := int64(len(rest) - footerSize)
	size, ok := plaintextSize(payload - payloadNonceSize)
	if !ok {
		return Header{}, fmt.Errorf("%w: no payload is %d bytes long", ErrCorrupt, payload)
	}
	return Header{Stanzas: n, Size: int(headerSize(n)), PayloadSize: size}, nil
}

func headerSize(stanzas int) int64 {
	return int64(len(intro)) + int64(stanzas)*int64(stanzaSize) + int64(footerSize)
}

// validStanza says whether b, which has the prefix stanzaStart, begins with a
// whole stanza.
func validStanza(b []byte) bool {
	if len(b) < stanzaSize {
		return false
	}
	var share [shareSize]byte
	var wrapped [wrappedSize]byte
	return decode(share[:], b[shareAt:wrappedAt-1]) && b[wrappedAt-1] == '\n' &&
		decode(wrapped[:], b[wrappedAt:stanzaSize-1]) && b[stanzaSize-1] == '\n'
}

func validFooter(b []byte) bool {
	if len(b) < footerSize || !bytes.HasPrefix(b, []byte(footerStart+" ")) || b[footerSize-1] != '\n' {
		return false
	}
	var mac [sha256.Size]byte
	return decode(mac[:], b[len(footerStart)+1:footerSize-1])
}

// decode decodes text, whose length must be that of len(dst) bytes encoded, and
// says whether it was canonical. The decoder passes over line breaks, but then
// it finds fewer bytes.
func decode(dst, text []byte) bool {
	n, err := encoding.Decode(dst, text)
	return err == nil && n == len(dst)
}

// stanzas returns the stanzas of an object that CheckHeader has passed.
func stanzas(sealed []byte, h Header) []*age.Stanza {
	out := make([]*age.Stanza, h.Stanzas)
	for i := range out {
		b := sealed[len(intro)+i*stanzaSize:][:stanzaSize]
		wrapped := make([]byte, wrappedSize)
		decode(wrapped, b[wrappedAt:stanzaSize-1])
		out[i] = &age.Stanza{Type: stanzaType, Args: []string{string(b[shareAt : wrappedAt-1])}, Body: wrapped}
	}
	return out
}

// wrap returns a stanza for each recipient. That they are of the fixed layout is
// checked, since everything else here relies on it.
func wrap(fileKey []byte, to []*Recipient) ([]*age.Stanza, error) {
	out := make([]*age.Stanza, 0, len(to))
	for _, r := range to {
		wrapped, err := r.age.Wrap(fileKey)
		if err != nil {
			return nil, fmt.Errorf("wrap a file key: %w", err)
		}
		out = append(out, wrapped...)
	}
	for _, s := range out {
		if s.Type != stanzaType || len(s.Args) != 1 || len(s.Args[0]) != shareText || len(s.Body) != wrappedSize {
			return nil, fmt.Errorf("wrap a file key: age made an unknown kind of %q stanza", s.Type)
		}
	}
	return out, nil
}

// appendHeader appends the header that holds stanzas, authenticated by fileKey.
func appendHeader(dst, fileKey []byte, stanzas []*age.Stanza) ([]byte, error) {
	start := len(dst)
	dst = append(dst, intro...)
	for _, s := range stanzas {
		dst = append(dst, stanzaStart...)
		dst = append(dst, s.Args[0]...)
		dst = append(dst, '\n')
		dst = encoding.AppendEncode(dst, s.Body)
		dst = append(dst, '\n')
	}
	dst = append(dst, footerStart...)
	mac, err := headerMAC(dst[start:], fileKey)
	if err != nil {
		return nil, err
	}
	dst = append(dst, ' ')
	dst = encoding.AppendEncode(dst, mac)
	return append(dst, '\n'), nil
}

// headerMAC authenticates the header up to and including "---".
func headerMAC(header, fileKey []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, fileKey, nil, "header", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("derive the header key: %w", err)
	}
	h := hmac.New(sha256.New, key)
	h.Write(header)
	return h.Sum(nil), nil
}

// checkMAC verifies the MAC of a header that CheckHeader has passed.
func checkMAC(header, fileKey []byte) error {
	end := len(header) - footerSize + len(footerStart)
	want, err := headerMAC(header[:end], fileKey)
	if err != nil {
		return err
	}
	var got [sha256.Size]byte
	decode(got[:], header[end+1:len(header)-1])
	if !hmac.Equal(got[:], want) {
		return fmt.Errorf("%w: the header's MAC does not verify", ErrCorrupt)
	}
	return nil
}

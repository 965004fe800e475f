package dsse

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"fmt"
	"math/big"

	"golang.org/x/crypto/cryptobyte"
	"golang.org/x/crypto/cryptobyte/asn1"
)

// For every ECDSA signature (r, s) of a digest, (r, n−s) is one too. Envelopes
// are chained by their hash, so there must be only one spelling: s ≤ n/2, in
// DER.

// parseSignature decodes a DER ECDSA-Sig-Value (RFC 5480) with r and s in
// [1, n−1].
func parseSignature(der []byte) (r, s *big.Int, err error) {
	r, s = new(big.Int), new(big.Int)
	input := cryptobyte.String(der)
	var inner cryptobyte.String
	if !input.ReadASN1(&inner, asn1.SEQUENCE) || !input.Empty() ||
		!inner.ReadASN1Integer(r) || !inner.ReadASN1Integer(s) || !inner.Empty() {
		return nil, nil, fmt.Errorf("%w: signature is not DER", ErrFormat)
	}
	n := elliptic.P256().Params().N
	for _, v := range []*big.Int{r, s} {
		if v.Sign() <= 0 || v.Cmp(n) >= 0 {
			return nil, nil, fmt.Errorf("%w: signature is out of range", ErrFormat)
		}
	}
	return r, s, nil
}

func encodeSignature(r, s *big.Int) ([]byte, error) {
	var b cryptobyte.Builder
	b.AddASN1(asn1.SEQUENCE, func(b *cryptobyte.Builder) {
		b.AddASN1BigInt(r)
		b.AddASN1BigInt(s)
	})
	return b.Bytes()
}

// lowS returns the one spelling of a signature.
func lowS(der []byte) ([]byte, error) {
	r, s, err := parseSignature(der)
	if err != nil {
		return nil, err
	}
	n := elliptic.P256().Params().N
	if s.Cmp(new(big.Int).Rsh(n, 1)) > 0 {
		s.Sub(n, s)
	}
	return encodeSignature(r, s)
}

// checkSignature refuses every signature that is not in its one spelling.
func checkSignature(der []byte) error {
	low, err := lowS(der)
	if err != nil {
		return err
	}
	if !bytes.Equal(low, der) {
		return fmt.Errorf("%w: signature is not in its one spelling: DER, low-S", ErrFormat)
	}
	return nil
}

// verify says whether sig, which checkSignature has passed, is key's signature
// of digest.
func (p *PublicKey) verify(digest [32]byte, sig []byte) bool {
	return ecdsa.VerifyASN1(p.key, digest[:], sig)
}

package seal

import "strings"

// age reads and writes identities in Bech32 (BIP 173, without its limit of 90
// characters) but lends its encoder to nobody; a seed is of use to age only in
// this form.

const bech32Charset = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"

// encodeIdentity returns the identity of a seed as age writes it.
func encodeIdentity(seed [SeedSize]byte) string {
	prefix := strings.ToLower(identityPrefix)
	values := make([]byte, 0, identityLength)
	var acc, bits uint
	for _, b := range seed {
		acc, bits = acc<<8|uint(b), bits+8
		for bits >= 5 {
			bits -= 5
			values = append(values, byte(acc>>bits&31))
		}
	}
	if bits > 0 {
		values = append(values, byte(acc<<(5-bits)&31))
	}
	check := bech32Checksum(prefix, values)
	for i := range 6 {
		values = append(values, byte(check>>(5*(5-i))&31))
	}
	for i, v := range values {
		values[i] = bech32Charset[v]
	}
	return strings.ToUpper(prefix + "1" + string(values))
}

// decodeIdentity is the inverse of encodeIdentity, and says whether there is
// one: every other spelling is refused, whatever is wrong with it.
func decodeIdentity(s string) (seed [SeedSize]byte, ok bool) {
	data, found := strings.CutPrefix(s, identityPrefix+"1")
	if !found || len(s) != identityLength {
		return seed, false
	}
	var acc, bits, n uint
	for _, c := range []byte(strings.ToLower(data)) {
		v := strings.IndexByte(bech32Charset, c)
		if v < 0 {
			return seed, false
		}
		acc, bits = acc<<5|uint(v), bits+5
		if bits >= 8 && n < SeedSize {
			bits -= 8
			seed[n] = byte(acc >> bits)
			n++
		}
	}
	return seed, encodeIdentity(seed) == s
}

// bech32Checksum returns the 30 bits that make the code word valid.
func bech32Checksum(prefix string, values []byte) uint32 {
	check := uint32(1)
	step := func(v byte) {
		top := check >> 25
		check = check&0x1ffffff<<5 ^ uint32(v)
		for i, g := range [...]uint32{0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3} {
			if top>>i&1 == 1 {
				check ^= g
			}
		}
	}
	for _, c := range []byte(prefix) {
		step(c >> 5)
	}
	step(0)
	for _, c := range []byte(prefix) {
		step(c & 31)
	}
	for _, v := range values {
		step(v)
	}
	for range 6 {
		step(0)
	}
	return check ^ 1
}

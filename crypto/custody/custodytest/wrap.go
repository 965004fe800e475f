package custodytest

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"

	"github.com/aivault/aivault/crypto/custody"
)

// maxFlips bounds the flipped bits that are tried on one wrapping: all of one of
// up to 256 bytes, an even sample of a longer one.
const maxFlips = 256

func wrapChecks() []Check {
	return []Check{
		check("round-trip", "Unwrap is the inverse of Wrap for secrets of 1 to 64 bytes", func(b *bench) error {
			ref, err := b.create("a")
			if err != nil {
				return err
			}
			for n := 1; n <= custody.MaxSecret; n++ {
				context, secret := random32(), randomSecret(n)
				if n == 32 {
					secret = make([]byte, n)
				}
				wrapped, err := b.wrap(ref, context, secret)
				if err != nil {
					return err
				}
				if len(wrapped) > custody.MaxWrapped {
					return fmt.Errorf("a wrapping has %d bytes, the limit is %d", len(wrapped), custody.MaxWrapped)
				}
				if err := b.opens(ref, context, wrapped, secret); err != nil {
					return err
				}
			}
			return nil
		}),
		check("secret-size", "secrets of 0 and more than 64 bytes are ErrInvalid", func(b *bench) error {
			ref, err := b.create("a")
			if err != nil {
				return err
			}
			for _, n := range []int{0, custody.MaxSecret + 1, 1 << 20} {
				_, err := b.k.Wrap(b.ctx, ref, [32]byte{}, make([]byte, n))
				if err := want(fmt.Sprintf("wrap %d bytes", n), err, custody.ErrInvalid); err != nil {
					return err
				}
			}
			return nil
		}),
		check("context-bound", "a wrapping opens under no other context", func(b *bench) error {
			ref, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			for i := range len(context) {
				other := context
				other[i] ^= 1 << (i % 8)
				if err := b.refuses(fmt.Sprintf("unwrap with byte %d of the context changed", i), ref, other, wrapped, custody.ErrMismatch); err != nil {
					return err
				}
			}
			if err := b.refuses("unwrap with an empty context", ref, [32]byte{}, wrapped, custody.ErrMismatch); err != nil {
				return err
			}
			return b.opens(ref, context, wrapped, secret)
		}),
		check("flipped-bit", "every flipped bit of a wrapping is ErrMismatch", func(b *bench) error {
			ref, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			bits := 8 * len(wrapped)
			step := 1
			if len(wrapped) > maxFlips {
				step = bits/maxFlips | 1 // odd, so that every position within a byte has its turn
			}
			for bit := 0; bit < bits; bit += step {
				changed := bytes.Clone(wrapped)
				changed[bit/8] ^= 1 << (bit % 8)
				if err := b.refuses(fmt.Sprintf("unwrap with bit %d of %d flipped", bit, bits), ref, context, changed, custody.ErrMismatch); err != nil {
					return err
				}
			}
			return b.opens(ref, context, wrapped, secret)
		}),
		check("other-bytes", "bytes that are no wrapping, or more or less than one, are ErrMismatch", func(b *bench) error {
			ref, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			for what, bad := range map[string][]byte{
				"nothing": nil, "one byte": {0}, "zeros": make([]byte, len(wrapped)), "noise": randomSecret(len(wrapped)),
				"the first half": wrapped[:len(wrapped)/2], "all but the last byte": wrapped[:len(wrapped)-1],
				"all but the first byte": wrapped[1:], "a byte more": append(bytes.Clone(wrapped), 0),
				"a byte before": append([]byte{0}, wrapped...), "two wrappings": append(bytes.Clone(wrapped), wrapped...),
				"more than MaxWrapped": make([]byte, custody.MaxWrapped+1),
			} {
				if err := b.refuses("unwrap "+what, ref, context, bad, custody.ErrMismatch); err != nil {
					return err
				}
			}
			return b.opens(ref, context, wrapped, secret)
		}),
		check("secret-hidden", "a wrapping does not contain the secret", func(b *bench) error {
			_, _, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			for form, s := range map[string]string{
				"bytes": string(secret), "hex": hex.EncodeToString(secret),
				"base64":     base64.RawStdEncoding.EncodeToString(secret),
				"base64url":  base64.RawURLEncoding.EncodeToString(secret),
				"half of it": string(secret[:16]), "other half": string(secret[16:]),
			} {
				if bytes.Contains(wrapped, []byte(s)) {
					return fmt.Errorf("a wrapping contains its secret as %s", form)
				}
			}
			return nil
		}),
		check("wrap-fresh", "two wrappings of one secret differ", func(b *bench) error {
			ref, context, one, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			two, err := b.wrap(ref, context, secret)
			if err != nil {
				return err
			}
			if bytes.Equal(one, two) {
				return fmt.Errorf("two wrappings of one secret are the same %d bytes", len(one))
			}
			if err := b.opens(ref, context, one, secret); err != nil {
				return err
			}
			return b.opens(ref, context, two, secret)
		}),
		check("slices", "a keeper neither keeps nor changes the slices it is given", func(b *bench) error {
			ref, err := b.create("a")
			if err != nil {
				return err
			}
			context, secret := random32(), randomSecret(32)
			given := bytes.Clone(secret)
			wrapped, err := b.wrap(ref, context, given)
			if err != nil {
				return err
			}
			if !bytes.Equal(given, secret) {
				return fmt.Errorf("Wrap changed the secret it was given")
			}
			clear(given)
			sent := bytes.Clone(wrapped)
			got, err := b.k.Unwrap(b.ctx, ref, context, sent)
			if err != nil {
				return fmt.Errorf("unwrap: %w", err)
			}
			if !bytes.Equal(sent, wrapped) {
				return fmt.Errorf("Unwrap changed the wrapping it was given")
			}
			clear(got)
			clear(sent)
			return b.opens(ref, context, wrapped, secret)
		}),
	}
}

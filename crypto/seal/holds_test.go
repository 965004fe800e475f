package seal_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/aivault/aivault/crypto/seal"
)

func TestHolds(t *testing.T) {
	id := newIdentity(t)
	for _, n := range boundaries[:10] {
		plain := random(n)
		sealed, err := seal.Seal(plain, id.Recipient())
		if err != nil {
			t.Fatal(err)
		}
		if same, err := seal.Holds(sealed, id, plain); !same || err != nil {
			t.Errorf("%d bytes: %v, %v", n, same, err)
		}
		if same, err := seal.Holds(sealed, id, append(slices.Clone(plain), 0)); same || err != nil {
			t.Errorf("%d bytes, one more asked for: %v, %v", n, same, err)
		}
		for _, at := range []int{0, n / 2, n - 1} {
			if n == 0 {
				continue
			}
			other := slices.Clone(plain)
			other[at] ^= 1
			if same, err := seal.Holds(sealed, id, other); same || err != nil {
				t.Errorf("%d bytes, another at %d: %v, %v", n, at, same, err)
			}
		}
		if _, err := seal.Holds(sealed, newIdentity(t), plain); !errors.Is(err, seal.ErrNoMatch) {
			t.Errorf("%d bytes, a stranger: %v", n, err)
		}
		if same, err := seal.Holds(sealed[:len(sealed)-1], id, plain); same {
			t.Errorf("%d bytes, truncated: %v", n, err)
		}
		sealed[len(sealed)-1] ^= 1
		if _, err := seal.Holds(sealed, id, plain); !errors.Is(err, seal.ErrCorrupt) {
			t.Errorf("%d bytes, flipped: %v", n, err)
		}
	}
	shared, err := seal.Seal(nil, id.Recipient(), newIdentity(t).Recipient())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seal.Holds(shared, id, nil); !errors.Is(err, seal.ErrFormat) {
		t.Errorf("two stanzas: %v", err)
	}
}

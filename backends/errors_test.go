package backends_test

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends"
)

func TestErrorKinds(t *testing.T) {
	cause := errors.New("cause")
	for kind := backends.NotExist; kind <= backends.Full; kind++ {
		err := fmt.Errorf("pushing: %w", &backends.Error{Op: "put", Key: "a/b", Kind: kind, Err: cause})
		if !errors.Is(err, kind) || !errors.Is(err, cause) || backends.KindOf(err) != kind {
			t.Errorf("%v: kind %v is lost", err, kind)
		}
		if got := errors.Is(err, fs.ErrNotExist); got != (kind == backends.NotExist) {
			t.Errorf("%v: is fs.ErrNotExist: %v", err, got)
		}
		for other := backends.NotExist; other <= backends.Full; other++ {
			if other != kind && errors.Is(err, other) {
				t.Errorf("%v is also %v", err, other)
			}
		}
		for _, part := range []string{"put", "a/b", kind.Error(), "cause"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%q does not say %q", err, part)
			}
		}
		if backends.KindOf(fmt.Errorf("wrapped: %w", kind)) != kind {
			t.Errorf("kind of a wrapped %v is lost", kind)
		}
	}
	if bare := (&backends.Error{Op: "get", Key: "k", Kind: backends.Denied}); bare.Error() != "get k: access denied" || !errors.Is(bare, backends.Denied) {
		t.Errorf("error without a cause: %q", bare)
	}
	if backends.KindOf(cause) != 0 || backends.KindOf(nil) != 0 {
		t.Error("an error that is not a store's has a kind")
	}
	if got := backends.Kind(99).Error(); got != "store error kind 99" {
		t.Errorf("unknown kind: %q", got)
	}
}

func TestRefusals(t *testing.T) {
	fit := backends.Capabilities{
		PutIfAbsent: true, ReadAfterWrite: true, BytesIntact: true, OrderedList: true, EraseWorks: true,
		RefusesBadHash: true, RefusesAnonymous: true,
	}
	if bad := fit.Refusals(); len(bad) > 0 {
		t.Errorf("a fit store is refused: %q", bad)
	}
	if n := len(backends.Capabilities{ExpiryRule: true}.Refusals()); n != 8 {
		t.Errorf("a store that can do nothing is refused for %d reasons, want 8", n)
	}
}

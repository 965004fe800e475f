package awskms_test

import (
	"bytes"
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/plugins/aivault-plugin-awskms/awskms"
	"github.com/aivault/aivault/plugins/aivault-plugin-awskms/awskmstest"
)

// bench is a KMS, its keeper, and the clock of both.
type bench struct {
	*testing.T
	kms      *awskmstest.Server
	location string
	time     time.Time
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, time: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}
	b.kms = awskmstest.New(b.now)
	server := httptest.NewServer(b.kms)
	t.Cleanup(server.Close)
	b.location = "eu-central-1/models?days=9&endpoint=" + url.QueryEscape(server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	return b
}

func (b *bench) now() time.Time { return b.time }

func (b *bench) open() *awskms.Keeper {
	b.Helper()
	k, err := awskms.Open(b.Context(), awskms.Options{Location: b.location, Create: true, Now: b.now})
	if err != nil {
		b.Fatal(err)
	}
	return k
}

// wrapped makes a key and a wrapping.
func (b *bench) wrapped(k *awskms.Keeper, label string) (custody.KeyRef, []byte) {
	b.Helper()
	ref, err := k.Create(b.Context(), label)
	if err != nil {
		b.Fatal(err)
	}
	w, err := k.Wrap(b.Context(), ref, [32]byte{1}, []byte("secret"))
	if err != nil {
		b.Fatal(err)
	}
	return ref, w
}

func (b *bench) unwrap(k *awskms.Keeper, ref custody.KeyRef, w []byte) error {
	b.Helper()
	_, err := k.Unwrap(b.Context(), ref, [32]byte{1}, w)
	return err
}

// A destruction is pending until the date that KMS gives, and only when KMS has
// forgotten the key is it one.
func TestPendingUntil(t *testing.T) {
	b := newBench(t)
	k := b.open()
	ref, w := b.wrapped(k, "e-1")
	until := b.time.AddDate(0, 0, 9)
	for range 2 {
		d, err := k.Destroy(t.Context(), ref)
		if err != nil || d.State != custody.Pending || !d.Until.Equal(until) || !bytes.Contains(d.Evidence, []byte("deletion: 2026-11-10T12:00:00Z")) {
			t.Fatalf("%+v, %v", d, err)
		}
		b.time = b.time.AddDate(0, 0, 4)
	}
	if err := b.unwrap(k, ref, w); !errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap while pending: %v", err)
	}
	if s, err := k.Status(t.Context(), ref); err != nil || s.State != custody.Pending || !s.Until.Equal(until) {
		t.Errorf("status: %+v, %v", s, err)
	}
	b.time = until
	for _, k := range []*awskms.Keeper{k, b.open()} {
		if err := b.unwrap(k, ref, w); !errors.Is(err, custody.ErrDestroyed) {
			t.Errorf("unwrap after the deletion: %v", err)
		}
		if d, err := k.Destroy(t.Context(), ref); err != nil || d.State != custody.Destroyed || !bytes.Contains(d.Evidence, []byte("NotFoundException")) {
			t.Errorf("destroy after the deletion: %+v, %v", d, err)
		}
		if s, err := k.Status(t.Context(), ref); err != nil || s.State != custody.Destroyed || s.Label != "e-1" {
			t.Errorf("status after the deletion: %+v, %v", s, err)
		}
	}
	p, err := k.Profile(t.Context())
	if err != nil || p.DeletionDelay != 9*24*time.Hour {
		t.Errorf("%+v, %v", p, err)
	}
}

// Until it is deleted, the owner may take a key back; then it is alive.
func TestCancelledDeletion(t *testing.T) {
	b := newBench(t)
	k := b.open()
	ref, w := b.wrapped(k, "e-1")
	if _, err := k.Destroy(t.Context(), ref); err != nil {
		t.Fatal(err)
	}
	b.kms.CancelDeletion("alias/aivault/models/e-1")
	if err := b.unwrap(k, ref, w); err != nil {
		t.Error(err)
	}
	if s, err := k.Status(t.Context(), ref); err != nil || s.State != custody.Alive {
		t.Errorf("%+v, %v", s, err)
	}
}

// A key that was just made may be hidden for a while, and is not taken for
// destroyed.
func TestTooYoungToBeGone(t *testing.T) {
	b := newBench(t)
	k := b.open()
	ref, w := b.wrapped(k, "e-1")
	b.kms.Hide(true)
	if err := b.unwrap(k, ref, w); !errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("unwrap: %v", err)
	}
	if _, err := k.Destroy(t.Context(), ref); !errors.Is(err, custody.ErrUnavailable) {
		t.Errorf("destroy: %v", err)
	}
	b.kms.Hide(false)
	if err := b.unwrap(k, ref, w); err != nil {
		t.Error(err)
	}
}

func TestLimitsAndDenials(t *testing.T) {
	b := newBench(t)
	k := b.open()
	ref, w := b.wrapped(k, "e-1")
	b.kms.Throttle("Decrypt", true)
	err := b.unwrap(k, ref, w)
	var limit *custody.RateLimit
	if !errors.As(err, &limit) || limit.RetryAfter <= 0 || !errors.Is(err, custody.ErrRateLimited) {
		t.Errorf("throttled: %v", err)
	}
	b.kms.Throttle("Decrypt", false)
	b.kms.Deny("Decrypt", true)
	if err := b.unwrap(k, ref, w); !errors.Is(err, custody.ErrDenied) || errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("denied: %v", err)
	}
	b.kms.Deny("Decrypt", false)
	b.kms.Deny("ScheduleKeyDeletion", true)
	if _, err := k.Destroy(t.Context(), ref); !errors.Is(err, custody.ErrDenied) {
		t.Errorf("denied: %v", err)
	}
	if err := b.unwrap(k, ref, w); err != nil {
		t.Errorf("after a destruction that was denied: %v", err)
	}
	b.kms.Disable("alias/aivault/models/e-1")
	if err := b.unwrap(k, ref, w); !errors.Is(err, custody.ErrDenied) || errors.Is(err, custody.ErrDestroyed) {
		t.Errorf("disabled: %v", err)
	}
}

// A ref that this keeper did not sign is none, even of a key that KMS has.
func TestForgedRefs(t *testing.T) {
	b := newBench(t)
	k := b.open()
	ref, w := b.wrapped(k, "e-1")
	parts := strings.Split(string(ref), ".")
	for i, other := range []string{"e-2", "00000000-0000-0000-0000-000000000000", "00000001", strings.Repeat("A", 43)} {
		forged := append([]string{}, parts...)
		forged[i] = other
		f := custody.KeyRef(strings.Join(forged, "."))
		if err := b.unwrap(k, f, w); !errors.Is(err, custody.ErrNotFound) {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// Of those who create one key at once, the losers' keys are given up.
func TestSpareKeysAreGivenUp(t *testing.T) {
	b := newBench(t)
	k := b.open()
	errs := make(chan error)
	for range 8 {
		go func() { _, err := k.Create(t.Context(), "e-1"); errs <- err }()
	}
	for range 8 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	if n := b.kms.Keys(); n != 2 {
		t.Errorf("%d keys, want the keeper's and one", n)
	}
}

func TestOpen(t *testing.T) {
	b := newBench(t)
	for text, want := range map[string]error{
		"": custody.ErrInvalid, "eu-central-1": custody.ErrInvalid, "eu-central-1/Models": custody.ErrInvalid, "eu-central-1/m?days=6": custody.ErrInvalid,
		"eu-central-1/m?days=31": custody.ErrInvalid, "eu-central-1/m?endpoint=http://kms.example": custody.ErrInvalid, "eu-central-1/m?key=x": custody.ErrInvalid,
		b.location: custody.ErrNoKeeper,
	} {
		if _, err := awskms.Open(t.Context(), awskms.Options{Location: text, Now: b.now}); !errors.Is(err, want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	t.Setenv("HOME", t.TempDir())
	if _, err := awskms.Open(t.Context(), awskms.Options{Location: b.location, Create: true, Now: b.now}); !errors.Is(err, custody.ErrDenied) {
		t.Errorf("without credentials: %v", err)
	}
	server := httptest.NewServer(nil)
	server.Close()
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	if _, err := awskms.Open(t.Context(), awskms.Options{Location: "eu-central-1/m?endpoint=" + url.QueryEscape(server.URL), Now: b.now}); !errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrNoKeeper) {
		t.Errorf("unreachable: %v", err)
	}
}

package receipt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// desk is a vault that rita pulls from and cust reads receipts in.
type desk struct {
	*vaulttest.World
	t     testing.TB
	vault *ledger.Vault
	aid   canonical.Digest
}

func newDesk(t testing.TB) *desk {
	t.Helper()
	w := vaulttest.NewWorld(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Members: map[string][]string{"rita": {}, "cust": {state.Custodian}}})
	return &desk{World: w, t: t, vault: w.Open(t, "cust", w.Store), aid: canonical.Sum([]byte("artefact"))}
}

// good is a receipt of rita's.
func (d *desk) good() Receipt {
	d.t.Helper()
	by, err := canonical.ParseDigest(d.Members["rita"].Identity.Signing().Public().KeyID())
	must(d.t, err)
	return Receipt{ID: canonical.NewID(), Artefact: d.aid, Version: canonical.NewID(), Digest: canonical.Sum([]byte("version")), By: by,
		Time: entry.At(d.Clock.Now()), Host: "node-1", Labels: map[string]string{"pod": "serving-1"}}
}

func (d *desk) seal(r Receipt, by dsse.Signer) []byte {
	d.t.Helper()
	b, err := Seal(d.t.Context(), r, by, d.vault.SealMetadata)
	must(d.t, err)
	return b
}

func (d *desk) put(key string, b []byte) {
	d.t.Helper()
	_, err := d.Store.Put(d.t.Context(), key, b)
	must(d.t, err)
}

// list returns the receipts that verify, and the keys of the rest.
func (d *desk) list() (good []Stored, bad []string) {
	d.t.Helper()
	for s, err := range List(d.t.Context(), d.Store, d.vault, d.aid) {
		switch {
		case errors.Is(err, ErrMalformed):
			bad = append(bad, s.Key)
			if s.Receipt.Key() == s.Key || !s.Version.IsZero() {
				d.t.Errorf("of a receipt that does not verify it says %+v", s.Receipt)
			}
		default:
			must(d.t, err)
			good = append(good, s)
		}
	}
	return good, bad
}

func TestRoundTrip(t *testing.T) {
	d := newDesk(t)
	want := d.good()
	d.put(want.Key(), d.seal(want, d.Members["rita"].Identity.Signing()))
	bare := d.good()
	bare.Host, bare.Labels = "", nil
	d.put(bare.Key(), d.seal(bare, d.Members["rita"].Identity.Signing()))
	got, bad := d.list()
	if len(got) != 2 || len(bad) != 0 {
		t.Fatalf("%d receipts, and %v", len(got), bad)
	}
	i := slices.IndexFunc(got, func(s Stored) bool { return s.ID == want.ID })
	if r := got[i].Receipt; r.Host != want.Host || r.Labels["pod"] != "serving-1" || r.Version != want.Version || r.Digest != want.Digest || r.By != want.By || r.Time != want.Time {
		t.Errorf("%+v, want %+v", r, want)
	}
	if !strings.HasPrefix(got[i].Key, "a/"+d.aid.String()+"/rc/") || got[i].Key != want.Key() {
		t.Errorf("it stands at %s", got[i].Key)
	}
	// Other artefacts have none of it.
	for s, err := range List(t.Context(), d.Store, d.vault, canonical.Sum([]byte("other"))) {
		t.Errorf("another artefact has %+v, %v", s, err)
	}
}

// TestForged: what no member has signed about this artefact, at this key, is
// nobody's receipt, and hides none.
func TestForged(t *testing.T) {
	thief, err := identity.New()
	must(t, err)
	for name, forge := range map[string]func(d *desk, r Receipt) (key string, b []byte){
		"by nobody who is a member": func(d *desk, r Receipt) (string, []byte) {
			r.By, err = canonical.ParseDigest(thief.Signing().Public().KeyID())
			must(t, err)
			return r.Key(), d.seal(r, thief.Signing())
		},
		"by a thief, in rita's name": func(d *desk, r Receipt) (string, []byte) { return r.Key(), d.seal(r, thief.Signing()) },
		"by another member, in rita's name": func(d *desk, r Receipt) (string, []byte) {
			return r.Key(), d.seal(r, d.Members["cust"].Identity.Signing())
		},
		"moved to another key": func(d *desk, r Receipt) (string, []byte) {
			b := d.seal(r, d.Members["rita"].Identity.Signing())
			r.ID = canonical.NewID()
			return r.Key(), b
		},
		"moved to another artefact": func(d *desk, r Receipt) (string, []byte) {
			other := r
			other.Artefact = canonical.Sum([]byte("other"))
			return r.Key(), d.seal(other, d.Members["rita"].Identity.Signing())
		},
		"sealed to somebody else": func(d *desk, r Receipt) (string, []byte) {
			b, err := Seal(t.Context(), r, d.Members["rita"].Identity.Signing(), func(plain []byte) ([]byte, error) {
				return d.Cipher.Seal(plain, d.Members["rita"].Key.Recipient())
			})
			must(t, err)
			return r.Key(), b
		},
		"of another sort": func(d *desk, r Receipt) (string, []byte) {
			b, err := d.vault.SealMetadata([]byte("aivault-journal/1\n"))
			must(t, err)
			return r.Key(), b
		},
		"a bit changed": func(d *desk, r Receipt) (string, []byte) {
			b := d.seal(r, d.Members["rita"].Identity.Signing())
			b[len(b)-20] ^= 1
			return r.Key(), b
		},
		"nothing": func(_ *desk, r Receipt) (string, []byte) { return r.Key(), []byte{} },
		"too long": func(d *desk, r Receipt) (string, []byte) {
			return r.Key(), append(d.seal(r, d.Members["rita"].Identity.Signing()), make([]byte, maxObject)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.t = t
			own := d.good()
			d.put(own.Key(), d.seal(own, d.Members["rita"].Identity.Signing()))
			key, b := forge(d, d.good())
			d.put(key, b)
			got, bad := d.list()
			if len(got) != 1 || got[0].ID != own.ID || !slices.Equal(bad, []string{key}) {
				t.Errorf("receipts %+v, and %v", got, bad)
			}
		})
	}
}

// TestDecodeOfAnotherArtefact: decode judges on its own, whatever the key says.
func TestDecodeOfAnotherArtefact(t *testing.T) {
	d := newDesk(t)
	r := d.good()
	plain := sign(t, r, d.Members["rita"].Identity.Signing())
	if _, err := decode(plain, d.aid, d.vault.State()); err != nil {
		t.Error(err)
	}
	if _, err := decode(plain, canonical.Sum([]byte("other")), d.vault.State()); !errors.Is(err, ErrMalformed) {
		t.Errorf("%v", err)
	}
}

// TestNewerFormat: what only a newer client can read ends the listing, rather than
// to count as nobody's.
func TestNewerFormat(t *testing.T) {
	d := newDesk(t)
	b, err := d.vault.SealMetadata([]byte("aivault-receipt/2\n{}"))
	must(t, err)
	d.put(Prefix(d.aid)+canonical.NewID().String(), b)
	for _, err := range List(t.Context(), d.Store, d.vault, d.aid) {
		if !errors.Is(err, entry.ErrUpgrade) || errors.Is(err, ErrMalformed) {
			t.Errorf("%v", err)
		}
	}
}

func TestCheck(t *testing.T) {
	label := func(k, v string) func(*Receipt) { return func(r *Receipt) { r.Labels = map[string]string{k: v} } }
	d := newDesk(t)
	for name, c := range map[string]struct {
		change func(*Receipt)
		ok     bool
	}{
		"as it is":                {func(*Receipt) {}, true},
		"in any script":           {label("Knoten", "Zürich 品質"), true},
		"as long as may be":       {label("k", strings.Repeat("x", MaxLabels-len("node-1")-1)), true},
		"a byte longer":           {label("k", strings.Repeat("x", MaxLabels-len("node-1"))), false},
		"many":                    {func(r *Receipt) { r.Labels = many(MaxLabels) }, false},
		"a long host":             {func(r *Receipt) { r.Host, r.Labels = strings.Repeat("h", MaxLabels+1), nil }, false},
		"a host that is a line":   {func(r *Receipt) { r.Host = "a\nb" }, false},
		"a label without a name":  {label("", "x"), false},
		"a name that rings":       {label("a\a", "x"), false},
		"a value that moves up":   {label("a", "\x1b[A"), false},
		"a value that is no text": {label("a", "\xff"), false},
	} {
		t.Run(name, func(t *testing.T) {
			r := d.good()
			c.change(&r)
			if err := r.Check(); (err == nil) != c.ok {
				t.Errorf("%v", err)
			}
			if _, err := Seal(t.Context(), r, d.Members["rita"].Identity.Signing(), d.vault.SealMetadata); (err == nil) != c.ok {
				t.Errorf("sealing: %v", err)
			}
			// Whoever signs it all the same has left no receipt.
			if _, err := decode(sign(t, r, d.Members["rita"].Identity.Signing()), d.aid, d.vault.State()); (err == nil) != c.ok {
				t.Errorf("reading: %v", err)
			}
		})
	}
}

func many(n int) map[string]string {
	out := map[string]string{}
	for i := range n {
		out[fmt.Sprint(i)] = "x"
	}
	return out
}

// sign makes the plaintext of a receipt without a look at what it says.
func sign(t testing.TB, r Receipt, by dsse.Signer) []byte {
	t.Helper()
	r.Format = format
	payload, err := canonical.Marshal(r)
	if err != nil {
		return nil // it has no spelling
	}
	env, err := dsse.Sign(t.Context(), payloadType, payload, by)
	if err != nil {
		return nil // it is longer than any envelope
	}
	b, err := env.Marshal()
	if err != nil {
		return nil
	}
	return append([]byte(format+"\n"), b...)
}

// TestManyAtOnce: five hundred pods that start at once leave five hundred
// receipts, and none waits for another.
func TestManyAtOnce(t *testing.T) {
	const pods = 500
	d := newDesk(t)
	var wg sync.WaitGroup
	failed := make(chan error, pods)
	for i := range pods {
		wg.Go(func() {
			r := d.good()
			r.Labels = map[string]string{"pod": fmt.Sprint("serving-", i)}
			b, err := Seal(t.Context(), r, d.Members["rita"].Identity.Signing(), d.vault.SealMetadata)
			if err == nil {
				_, err = d.Store.Put(t.Context(), r.Key(), b)
			}
			failed <- err
		})
	}
	wg.Wait()
	for range pods {
		must(t, <-failed)
	}
	got, bad := d.list()
	seen := map[string]bool{}
	for _, s := range got {
		seen[s.Labels["pod"]] = true
	}
	if len(got) != pods || len(seen) != pods || len(bad) > 0 {
		t.Errorf("%d receipts of %d pods, and %v", len(got), len(seen), bad)
	}
}

// TestListEnds: an error of the store ends a listing, and so does whoever reads it.
func TestListEnds(t *testing.T) {
	d := newDesk(t)
	for range 3 {
		r := d.good()
		d.put(r.Key(), d.seal(r, d.Members["rita"].Identity.Signing()))
	}
	n := 0
	for range List(t.Context(), d.Store, d.vault, d.aid) {
		n++
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var last error
	for _, err := range List(ctx, d.Store, d.vault, d.aid) {
		n++
		last = err
	}
	if n != 2 || last == nil {
		t.Errorf("%d turns, %v", n, last)
	}
	// One that is erased meanwhile is passed over.
	erasing := &eraser{Store: d.Store}
	n = 0
	for _, err := range List(t.Context(), erasing, d.vault, d.aid) {
		must(t, err)
		n++
	}
	if n != 0 {
		t.Errorf("%d receipts that are erased", n)
	}
}

// eraser erases what is about to be read.
type eraser struct{ backends.Store }

func (e *eraser) Get(ctx context.Context, ref backends.Ref, off, n int64) (r io.ReadCloser, info backends.Info, err error) {
	if _, err := e.Erase(ctx, ref.Key); err != nil {
		return nil, info, err
	}
	return e.Store.Get(ctx, ref, off, n)
}

func FuzzDecode(f *testing.F) {
	d := newDesk(f)
	f.Add(sign(f, d.good(), d.Members["rita"].Identity.Signing()))
	f.Add([]byte(format + "\n{}"))
	f.Add([]byte("aivault-receipt/9\n"))
	v := d.vault.State()
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b, d.aid, v)
		if err != nil {
			if r != nil || !errors.Is(err, ErrMalformed) && !errors.Is(err, entry.ErrUpgrade) {
				t.Errorf("%+v, %v", r, err)
			}
			return
		}
		if r.Artefact != d.aid || r.Check() != nil || d.vault.State().Key(r.By) == nil {
			t.Errorf("%+v", r)
		}
	})
}

// TestFormatExample: the payload in the specification is what the code reads and
// writes.
func TestFormatExample(t *testing.T) {
	doc, err := os.ReadFile("../FORMAT.md")
	must(t, err)
	_, rest, ok := strings.Cut(string(doc), "\n```json receipt\n")
	text, _, end := strings.Cut(rest, "\n```\n")
	if !ok || !end {
		t.Fatal("FORMAT.md has no example of a receipt")
	}
	var r Receipt
	must(t, canonical.Unmarshal([]byte(text), &r))
	if again, err := canonical.Marshal(r); err != nil || string(again) != text {
		t.Errorf("it encodes again as %s (%v)", again, err)
	}
	if r.Format != format || r.Check() != nil || r.Labels["pod"] == "" || r.Host == "" {
		t.Errorf("%+v", r)
	}
}

package keyfile_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/internal/keyfile"
	"github.com/aivault/aivault/crypto/seal"
)

func newKey(t testing.TB, label string) *keyfile.Key {
	t.Helper()
	k, err := keyfile.NewKey(label)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func TestKeyFileOpensWithAge(t *testing.T) {
	k := newKey(t, "e-1")
	wrapped, err := k.Wrap([32]byte{1}, []byte("secret"))
	if err != nil {
		t.Fatal(err)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(k.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := age.Decrypt(bytes.NewReader(wrapped), ids...)
	if err != nil {
		t.Fatal(err)
	}
	var plain bytes.Buffer
	if _, err := plain.ReadFrom(r); err != nil {
		t.Fatal(err)
	}
	if want := string(append([]byte{1}, make([]byte, 31)...)) + "secret"; plain.String() != want {
		t.Errorf("age opens %q, want %q", plain.String(), want)
	}
}

func TestUnwrapRefuses(t *testing.T) {
	k := newKey(t, "e-1")
	id, err := age.ParseIdentities(bytes.NewReader(k.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r, err := seal.ParseRecipient(id[0].(*age.HybridIdentity).Recipient().String())
	if err != nil {
		t.Fatal(err)
	}
	for name, plain := range map[string][]byte{
		"nothing":          nil,
		"a context alone":  make([]byte, 32),
		"a long secret":    make([]byte, 32+custody.MaxSecret+1),
		"another context":  bytes.Repeat([]byte{1}, 40),
		"part of one":      make([]byte, 31),
		"last byte turned": append(append(make([]byte, 31), 1), 7),
	} {
		sealed, err := seal.Seal(plain, r)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := k.Unwrap([32]byte{}, sealed); !errors.Is(err, custody.ErrMismatch) {
			t.Errorf("%s: %v, want ErrMismatch", name, err)
		}
	}
	two, err := seal.Seal(make([]byte, 40), r, r)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.Unwrap([32]byte{}, two); !errors.Is(err, custody.ErrMismatch) {
		t.Errorf("two stanzas: %v, want ErrMismatch", err)
	}
	if _, err := k.Unwrap([32]byte{}, make([]byte, custody.MaxWrapped+1)); !errors.Is(err, custody.ErrMismatch) {
		t.Errorf("too long: %v, want ErrMismatch", err)
	}
}

func TestKeyNeverPrints(t *testing.T) {
	k := newKey(t, "e-1")
	secret := strings.Split(string(k.Encode()), "\n")[2]
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", k)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s %q %x", k, k, k, k, k, k), fmt.Sprintf("%+v", struct{ k *keyfile.Key }{k}), log.String()} {
		if strings.Contains(s, secret) || strings.Contains(s, "SECRET") {
			t.Errorf("prints %q", s)
		}
	}
	broken := bytes.Replace(k.Encode(), []byte("\n"+secret[:30]), []byte("\n"+secret[:29]+"B"), 1)
	if _, err := keyfile.ParseKey(broken); !errors.Is(err, keyfile.ErrFormat) || strings.Contains(err.Error(), secret[30:50]) {
		t.Errorf("error of a broken key file: %v", err)
	}
}

func TestLabelOfRef(t *testing.T) {
	fp := strings.Repeat("0a", 16)
	for ref, want := range map[string]string{
		"e-1." + fp: "e-1", strings.Repeat("x", 100) + "." + fp: strings.Repeat("x", 100),
		"": "", "e-1": "", "." + fp: "", "e-1." + fp[1:]: "", "e-1." + fp + "0": "", "e-1." + strings.ToUpper(fp): "",
		"E-1." + fp: "", "../e." + fp: "", strings.Repeat("x", 101) + "." + fp: "", "e-1." + strings.Repeat("g", 32): "",
	} {
		got, ok := keyfile.Label(custody.KeyRef(ref))
		if got != want || ok != (want != "") {
			t.Errorf("Label(%q) = %q, %v, want %q", ref, got, ok, want)
		}
	}
}

func TestAcknowledgementIsBounded(t *testing.T) {
	a := keyfile.Acknowledgement{Instance: "object-" + keyfile.RandomHex(), Ref: newKey(t, "e").Ref(), At: time.Unix(1e9, 0)}
	for range 200 {
		a.Notes = append(a.Notes, "ref: forged\nnote: "+strings.Repeat("é", 40)+"\xff\r")
	}
	b := a.Encode()
	if len(b) > custody.MaxEvidence {
		t.Fatalf("%d bytes", len(b))
	}
	got, err := keyfile.ParseAcknowledgement(b)
	if err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	if got.Ref != a.Ref || got.Instance != a.Instance || !got.At.Equal(a.At) || len(got.Notes) == 0 || !strings.HasPrefix(got.Notes[0], "ref: forged note: éé") {
		t.Errorf("got %+v", got)
	}
}

// FuzzParse holds every parser to its one spelling: what it accepts, it writes.
func FuzzParse(f *testing.F) {
	k := newKey(f, "e-1")
	ack := keyfile.Acknowledgement{Instance: "local-" + keyfile.RandomHex(), Ref: k.Ref(), At: time.Unix(1e9, 0), Notes: []string{"a note"}}
	lines := strings.SplitAfter(string(ack.Encode()), "\n")
	for _, order := range [][]int{{0, 2, 1, 3, 4}, {0, 1, 2, 4, 3}, {0, 1, 1, 2, 3}, {0, 1, 2, 3, 3}, {0, 1, 2, 0}, {0, 1}, {0, 2}, {1, 2, 3}} {
		var b strings.Builder
		for _, i := range order {
			b.WriteString(lines[i])
		}
		f.Add([]byte(b.String()))
	}
	f.Add([]byte(strings.Replace(string(ack.Encode()), "note: ", "other: ", 1)))
	f.Add([]byte(strings.Replace(string(ack.Encode()), "at: 2001", "at:  2001", 1)))
	f.Add(bytes.TrimPrefix(k.Encode(), []byte("# aivault keeper key 1\n# ref: ")))
	for _, b := range [][]byte{
		k.Encode(), keyfile.EncodePointer(k.Ref()), keyfile.EncodeTombstone(k.Ref()),
		keyfile.EncodeInstance(keyfile.NewInstance("local")), ack.Encode(),
		bytes.Replace(k.Encode(), []byte("e-1"), []byte("e-2"), 1), append(k.Encode(), '\n'), append([]byte("\n"), k.Encode()...),
		bytes.Replace(k.Encode(), []byte("\n"), []byte("\r\n"), -1), k.Encode()[:60], {},
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		same := func(what string, again []byte, err error) {
			if err != nil {
				if !errors.Is(err, keyfile.ErrFormat) {
					t.Errorf("%s: %v, want ErrFormat", what, err)
				}
				return
			}
			if !bytes.Equal(again, b) {
				t.Errorf("%s: accepts %q and writes %q", what, b, again)
			}
		}
		key, err := keyfile.ParseKey(b)
		if err == nil {
			same("key", key.Encode(), nil)
		} else {
			same("key", nil, err)
		}
		ref, err := keyfile.ParsePointer(b)
		same("pointer", keyfile.EncodePointer(ref), err)
		ref, err = keyfile.ParseTombstone(b)
		same("tombstone", keyfile.EncodeTombstone(ref), err)
		id, err := keyfile.ParseInstance(b, "local")
		same("instance", keyfile.EncodeInstance(id), err)
		a, err := keyfile.ParseAcknowledgement(b)
		same("acknowledgement", a.Encode(), err)
	})
}

func TestKeyOfAnotherLabelIsRefused(t *testing.T) {
	a, b := newKey(t, "a"), newKey(t, "b")
	swapped := bytes.Replace(a.Encode(), []byte(a.Ref()), []byte(b.Ref()), 1)
	if _, err := keyfile.ParseKey(swapped); !errors.Is(err, keyfile.ErrFormat) {
		t.Errorf("a key under another's ref: %v, want ErrFormat", err)
	}
}

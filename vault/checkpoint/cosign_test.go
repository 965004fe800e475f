package checkpoint_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/checkpoint"
)

// theirKey is the key that github.com/transparency-dev/formats v0.1.1 made the
// example of FORMAT.md §9.3 with.
const theirKey = "PRIVATE+KEY+witness.example/1+09804adb+BKRvXOSk8hAgTXVbm8qnf5Be0oARU5LFmdwn4WIajqaK"

// example returns the code block of FORMAT.md §9 with this info string.
func example(t testing.TB, info string) string {
	t.Helper()
	doc, err := os.ReadFile("../FORMAT.md")
	must(t, err)
	_, rest, ok := strings.Cut(string(doc), "\n```"+info+"\n")
	block, _, end := strings.Cut(rest, "```\n")
	if !ok || !end {
		t.Fatalf("FORMAT.md has no example %q", info)
	}
	return block
}

func TestCosignatureVector(t *testing.T) {
	theirNote, theirWitness := example(t, "text note"), strings.TrimSpace(example(t, "text witness"))
	w, err := checkpoint.ParseWitness(theirWitness)
	must(t, err)
	c, sigs, err := checkpoint.OpenNote(theirNote, []*checkpoint.Witness{w, w})
	must(t, err)
	at := time.Date(2026, 11, 28, 7, 7, 29, 0, time.UTC)
	if c != (checkpoint.Checkpoint{Genesis: genesis, Size: 7, Root: canonical.Sum([]byte("root"))}) || len(sigs) != 1 || !sigs[0].Time.Equal(at) || sigs[0].Witness.String() != theirWitness {
		t.Errorf("%v, %v", c, sigs)
	}
	k, err := checkpoint.ParseKey(theirKey)
	must(t, err)
	ours, err := k.Cosign(c, at)
	must(t, err)
	if ours != theirNote { // Ed25519 is deterministic
		t.Errorf("our cosignature of the same is\n%s", ours)
	}
}

func TestOpenNote(t *testing.T) {
	k, other := newKey(t), newKey(t)
	known := []*checkpoint.Witness{k.Witness()}
	c := checkpoint.Checkpoint{Genesis: genesis, Size: 7, Root: leaf(1)}
	signed, err := k.Cosign(c, noon)
	must(t, err)
	if _, _, err := checkpoint.OpenNote(signed, nil); !errors.Is(err, checkpoint.ErrUnknownWitness) {
		t.Errorf("without witnesses: %v", err)
	}
	if got, _, err := checkpoint.OpenNote(signed, []*checkpoint.Witness{other.Witness()}); !errors.Is(err, checkpoint.ErrUnknownWitness) || got != c {
		t.Errorf("with another witness: %v, %v", got, err)
	}
	for what, bad := range map[string]string{
		"another size":  strings.Replace(signed, "\n7\n", "\n8\n", 1),
		"a later time":  strings.Replace(signed, "AAAA", "AAAB", 1),
		"no signature":  c.String(),
		"an extra line": strings.Replace(signed, "\n\n", "\nextension\n\n", 1),
		"too long":      signed + strings.Repeat("x", 1<<17),
	} {
		if bad == signed {
			t.Fatalf("%s: not changed", what)
		}
		if _, _, err := checkpoint.OpenNote(bad, known); err == nil {
			t.Errorf("%s: accepted", what)
		}
	}
	also, err := other.Cosign(c, noon.Add(time.Hour))
	must(t, err)
	both, err := checkpoint.MergeNotes(signed, also)
	must(t, err)
	if _, sigs, err := checkpoint.OpenNote(both, append(known, other.Witness())); err != nil || len(sigs) != 2 {
		t.Errorf("two witnesses: %v, %v", sigs, err)
	}
	c.Size++
	third, err := other.Cosign(c, noon)
	must(t, err)
	if _, err := checkpoint.MergeNotes(signed, third); !errors.Is(err, checkpoint.ErrFork) {
		t.Errorf("merging cosignatures of two checkpoints: %v", err)
	}
}

func TestKeysDoNotPrint(t *testing.T) {
	k := newKey(t)
	secret := strings.SplitN(k.Reveal(), "+", 5)[4]
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
		if s := fmt.Sprintf(verb, k); strings.Contains(s, secret) {
			t.Errorf("%s prints %s", verb, s)
		}
	}
	if _, err := checkpoint.ParseKey(k.Reveal() + "x"); err == nil || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
	for _, name := range []string{"", "a b", "a+b", "a\nb", "a\x00b", strings.Repeat("n", 151)} {
		if _, err := checkpoint.NewKey(name); !errors.Is(err, checkpoint.ErrMalformed) {
			t.Errorf("a key named %q: %v", name, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(checkpoint.Checkpoint{Genesis: genesis, Size: 7, Root: leaf(1)}.String())
	f.Add("aivault/x\n07\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		if c, err := checkpoint.Parse(text); err == nil && c.String() != text {
			t.Errorf("%q is read as %q", text, c)
		}
	})
}

func FuzzParseWitness(f *testing.F) {
	f.Add(strings.TrimSpace(example(f, "text witness")))
	f.Add(theirKey)
	f.Fuzz(func(t *testing.T, text string) {
		if w, err := checkpoint.ParseWitness(text); err == nil && w.String() != text {
			t.Errorf("%q is read as %q", text, w)
		}
	})
}

func FuzzOpenNote(f *testing.F) {
	theirNote := example(f, "text note")
	w, err := checkpoint.ParseWitness(strings.TrimSpace(example(f, "text witness")))
	must(f, err)
	f.Add(theirNote)
	f.Add(theirNote + theirNote[strings.Index(theirNote, "—"):])
	f.Fuzz(func(t *testing.T, signed string) {
		c, sigs, err := checkpoint.OpenNote(signed, []*checkpoint.Witness{w})
		if err == nil && (len(sigs) == 0 || !strings.HasPrefix(theirNote, c.String())) {
			t.Errorf("%q opens: %v, %v", signed, c, sigs)
		}
	})
}

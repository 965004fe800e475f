package argv

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func tree() Command {
	return Command{
		Name:  "aivault",
		Flags: []Flag{{Name: "vault"}, {Name: "json", Bool: true}},
		Sub: []Command{
			{Name: "push", Flags: []Flag{{Name: "channel"}, {Name: "label", Repeat: true}, {Name: "follow", Bool: true}}},
			{Name: "grant", Runs: true, Sub: []Command{{Name: "list"}}},
			{Name: "identity", Sub: []Command{{Name: "new"}, {Name: "rotate", Flags: []Flag{{Name: "overlap"}}}}},
		},
	}
}

func TestNormalise(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"", ""},
		{"push a b", "push -- a b"},
		{"push a --channel prod b", "push --channel=prod -- a b"},
		{"push --channel=prod a", "push --channel=prod -- a"},
		{"push a --json", "--json=true push -- a"},
		{"--json push a", "--json=true push -- a"},
		{"push a --json=0", "--json=false push -- a"},
		{"push --label x=1,2 a --label b", "push --label=x=1,2 --label=b -- a"},
		{"push -- --channel", "push -- --channel"},
		{"push a -- -- b", "push -- a -- b"},
		{"push - --vault -", "--vault=- push -- -"},
		{"push --channel= a", "push --channel= -- a"},
		{"push --channel=--json a", "push --channel=--json -- a"},
		{"identity --vault v new f", "--vault=v identity new -- f"},
		{"identity rotate --overlap 5m", "identity rotate --overlap=5m"},
		{"-- push a", "push -- a"},
		{"grant team/m bob", "grant -- team/m bob"},
		{"grant list a", "grant list -- a"},
		{"grant m list", "grant -- m list"},
	} {
		line, err := Normalise(tree(), strings.Fields(tc.in))
		if err != nil {
			t.Errorf("%q: %v", tc.in, err)
			continue
		}
		if got := strings.Join(line.Tokens(), " "); got != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, got, tc.want)
		}
	}
}

func TestRefusals(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"push a --chanel prod", "aivault push has no flag --chanel; did you mean --channel?"},
		{"push a --zzzzzz", "aivault push has no flag --zzzzzz"},
		{"--channel x push a", "aivault has no flag --channel; a command's own flags stand after its name"},
		{"push -x", "aivault push has no flag -x"},
		{"push -json", "-json: write --json"},
		{"push -channel=x", "-channel=x: write --channel"},
		{"push --channel", "--channel needs a value"},
		{"push --channel --json a", `--channel needs a value; if "--json" is meant to be it, write --channel=--json`},
		{"push --json=perhaps", `--json is either given or not: "perhaps" is neither true nor false`},
		{"push --channel a --channel b", "--channel is given twice"},
		{"pusch a", `there is no command "pusch"; did you mean "push"?`},
		{"identity nwe --bogus", `aivault identity has no command "nwe"; did you mean "new"?`},
		{"qqq --help", `there is no command "qqq"`},
		{"push ---channel=x", "aivault push has no flag ---channel; did you mean --channel?"},
		{"identity new --overlap 5m", "aivault identity new has no flag --overlap"},
	} {
		_, err := Normalise(tree(), strings.Fields(tc.in))
		if !errors.Is(err, ErrUsage) || err.Error() != tc.want {
			t.Errorf("%q: got %q, want %q", tc.in, err, tc.want)
		}
	}
}

func TestHelp(t *testing.T) {
	for _, in := range []string{"push -h", "--help push", "push a --help b"} {
		line, err := Normalise(tree(), strings.Fields(in))
		if err != nil || !line.Help || !slices.Equal(line.Path, []string{"push"}) {
			t.Errorf("%q: %+v, %v", in, line, err)
		}
	}
	if line, err := Normalise(tree(), []string{"push", "--", "--help"}); err != nil || line.Help {
		t.Errorf("--help behind --: %+v, %v", line, err)
	}
}

// word draws anything that is no flag.
func word() *rapid.Generator[string] {
	return rapid.String().Filter(func(s string) bool { return len(s) < 2 || s[0] != '-' })
}

// TestOrderDoesNotMatter puts the same flags and arguments into two orders.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		args := rapid.SliceOfN(word(), 0, 4).Draw(t, "args")
		labels := rapid.SliceOfN(rapid.String(), 0, 3).Draw(t, "labels")
		channel := rapid.Ptr(rapid.String(), true).Draw(t, "channel")
		vault := rapid.Ptr(word(), true).Draw(t, "vault")
		asJSON := rapid.Bool().Draw(t, "json")

		var singles [][]string // each a group of tokens that stays together
		if channel != nil {
			singles = append(singles, []string{"--channel=" + *channel})
		}
		if vault != nil {
			singles = append(singles, []string{"--vault", *vault})
		}
		if asJSON {
			singles = append(singles, []string{"--json"})
		}
		seed := rapid.Uint64().Draw(t, "seed")
		shuffled := func(r *rand.Rand) []string {
			queues := make([][][]string, 2, 2+len(singles)) // args and labels keep their order
			for _, a := range args {
				queues[0] = append(queues[0], []string{a})
			}
			for _, l := range labels {
				queues[1] = append(queues[1], []string{"--label=" + l})
			}
			for _, s := range singles {
				queues = append(queues, [][]string{s})
			}
			out := []string{"push"}
			for {
				queues = slices.DeleteFunc(queues, func(q [][]string) bool { return len(q) == 0 })
				if len(queues) == 0 {
					return out
				}
				i := r.IntN(len(queues))
				out = append(out, queues[i][0]...)
				queues[i] = queues[i][1:]
			}
		}
		one, err := Normalise(tree(), shuffled(rand.New(rand.NewPCG(seed, 1))))
		if err != nil {
			t.Fatal(err)
		}
		two, err := Normalise(tree(), shuffled(rand.New(rand.NewPCG(seed, 2))))
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(one, two) {
			t.Fatalf("%q and %q", one.Tokens(), two.Tokens())
		}
		if !slices.Equal(one.Args, args) {
			t.Fatalf("arguments %q became %q", args, one.Args)
		}
		again, err := Normalise(tree(), one.Tokens())
		if err != nil || !reflect.DeepEqual(again, one) {
			t.Fatalf("%q is no fixed point: %q, %v", one.Tokens(), again.Tokens(), err)
		}
	})
}

func FuzzNormalise(f *testing.F) {
	for _, s := range []string{"push\x00a\x00--json", "identity\x00new\x00--\x00-x", "--vault\x00-", "push\x00--label\x00--label=", "-", "--", "---"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in := strings.Split(s, "\x00")
		line, err := Normalise(tree(), in)
		if err != nil {
			if !errors.Is(err, ErrUsage) {
				t.Fatal(err)
			}
			return
		}
		for _, tok := range slices.Concat(line.Global, line.Flags) {
			if !strings.HasPrefix(tok, "--") || !strings.Contains(tok, "=") {
				t.Fatalf("flag token %q", tok)
			}
		}
		if !slices.Contains(in, "--") {
			for _, a := range line.Args {
				if len(a) > 1 && a[0] == '-' {
					t.Fatalf("%q passed as an argument", a)
				}
			}
		}
	})
}

func TestNearest(t *testing.T) {
	names := []string{"push", "pull", "list"}
	for in, want := range map[string]string{"psuh": "push", "pul": "pull", "lisst": "list", "": "", "certificate": ""} {
		if got := Nearest(in, names); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", in, got, want)
		}
	}
}

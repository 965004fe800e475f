package interleave_test

import (
	"slices"
	"testing"

	"github.com/aivault/aivault/crypto/custody/internal/interleave"
)

func TestRunFollowsTheChoice(t *testing.T) {
	var got []string
	actor := func(name string) func(func()) {
		return func(pause func()) {
			for range 2 {
				pause()
				got = append(got, name)
			}
		}
	}
	choices := []int{0, 1, 1, 0, 1, 0, 0, 0}
	interleave.Run(func(n int) int {
		c := choices[0] % n
		choices = choices[1:]
		return c
	}, actor("a"), actor("b"))
	if want := []string{"b", "a", "b", "a"}; !slices.Equal(got, want) {
		t.Errorf("order %q, want %q", got, want)
	}
}

func TestRunEndsAllWhenTheChoicePanics(t *testing.T) {
	ended := 0
	actor := func(pause func()) { pause(); pause(); ended++ }
	func() {
		defer func() { recover() }()
		interleave.Run(func(int) int { panic("enough") }, actor, actor, actor)
	}()
	if ended != 3 {
		t.Errorf("%d actors of 3 came to their end", ended)
	}
}

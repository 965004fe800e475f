package vault_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// TestRacingPromotes: of many that move a channel from where it is to different
// versions exactly one does; the others say that somebody else was faster, and
// write nothing that counts.
func TestRacingPromotes(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	const racers = 4
	for n := range racers {
		p.push(t, "m", n)
	}
	var wg sync.WaitGroup
	var won atomic.Int32
	line := newStartingLine(p.store, racers)
	for n := range racers {
		q := *p
		q.store = line.lane()
		v := q.open(t)
		wg.Go(func() {
			res, err := v.Promote(t.Context(), vault.Ref{Artefact: "m", Number: n + 1}, "prod", vault.PromoteOptions{Reason: "race"})
			switch {
			case err == nil && res.Changed:
				won.Add(1)
			case !errors.Is(err, vault.ErrConflict):
				t.Errorf("v%d: %+v, %v", n+1, res, err)
			}
		})
	}
	wg.Wait()
	moves := 0
	for _, e := range ok[*vault.History](t)(p.open(t).History(t.Context(), "m")).Events {
		if e.Kind == state.KindChannel {
			moves++
		}
		if e.Void {
			t.Errorf("a void entry: %+v", e)
		}
	}
	if won.Load() != 1 || moves != 1 {
		t.Errorf("%d won, %d moves", won.Load(), moves)
	}
}

// startingLine holds back the first put of each of its lanes until all of them
// are about to put something: so all have decided by what stood before.
type startingLine struct {
	backends.Store
	waiting sync.WaitGroup
}

func newStartingLine(store backends.Store, lanes int) *startingLine {
	l := &startingLine{Store: store}
	l.waiting.Add(lanes)
	return l
}

func (l *startingLine) lane() backends.Store { return &lane{startingLine: l} }

type lane struct {
	*startingLine
	once sync.Once
}

func (l *lane) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	l.once.Do(func() {
		l.waiting.Done()
		l.waiting.Wait()
	})
	return l.Store.Put(ctx, key, body)
}

// TestDocumentedPolicy: the example in the documentation is one.
func TestDocumentedPolicy(t *testing.T) {
	doc, err := os.ReadFile("../docs/known-good.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(doc), "```json policy\n")
	text, _, _ := strings.Cut(rest, "\n```")
	policy, err := vault.ParsePolicy([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	if again, err := json.Marshal(policy); err != nil || string(again) != text {
		t.Errorf("it is spelt %s (%v)", again, err)
	}
}

package vault_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// machine is what one computer remembers of a vault.
type machine struct {
	mu    sync.Mutex
	heads map[string]entry.Position
	kept  map[string][]byte
}

func newMachine() *machine {
	return &machine{heads: map[string]entry.Position{}, kept: map[string][]byte{}}
}

func (m *machine) Head(id string) (entry.Position, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p, ok := m.heads[id]
	return p, ok
}

func (m *machine) Journals() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.heads))
}

func (m *machine) Remember(id string, p entry.Position) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p.Seq >= m.heads[id].Seq {
		m.heads[id] = p
	}
}

func (m *machine) Get(key string) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.kept[key]
	return b, ok
}

func (m *machine) Put(key string, sealed []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.kept[key] = sealed
}

// on returns a configuration for a machine that has pinned the vault.
func (p *place) on(m *machine, genesis canonical.Digest) vault.Config {
	c := p.config()
	c.Genesis = genesis
	c.MemoryFor = func(canonical.Digest) (ledger.Memory, vault.Cache) { return m, m }
	return c
}

// lengthen appends fence entries to a journal until it has n entries. Only the
// objects that a reader may ask for are sealed and stored: the last ones, and
// those at the ends of blocks.
func (p *place) lengthen(t *testing.T, genesis canonical.Digest, artefact string, n uint64) {
	t.Helper()
	l, err := ledger.Open(t.Context(), &ledger.Session{Store: p.store, Cipher: seal.Age{}, Self: seal.AsKey(p.id.Sealing()), Signer: p.id.Signing(), Now: time.Now}, genesis)
	if err != nil {
		t.Fatal(err)
	}
	j, log, id := l.Journal(t.Context()), l.Log(), entry.VaultJournal
	if artefact != "" {
		aid := state.ArtefactID(l.NameKey(), artefact)
		a := l.Artefact(aid)
		if _, err := a.Fold(t.Context()); err != nil {
			t.Fatal(err)
		}
		j, log, id = a.Journal(t.Context()), a.Log(), aid.String()
	}
	j.Store = sparse{j.Store}
	author, err := canonical.ParseDigest(p.id.Signing().Public().KeyID())
	if err != nil {
		t.Fatal(err)
	}
	for seq := log.Head().Seq + 1; seq < n; seq++ {
		head := log.Head()
		cited := l.State().Head
		if artefact == "" {
			cited = head
		}
		e, err := entry.Sign(t.Context(), entry.Header{Kind: state.KindFence, Critical: true, Format: entry.Format, Genesis: genesis, Journal: id,
			Seq: seq, Prev: head.Hash, Vault: cited, Author: author, Time: log.At(head.Seq).Time, Op: canonical.NewID()}, state.Fence{}, p.id.Signing())
		if err != nil {
			t.Fatal(err)
		}
		if log, err = j.Append(t.Context(), log, e, func(plain []byte) ([]byte, error) {
			if seq%32 != 31 && seq+70 < n {
				return nil, nil
			}
			return seal.Age{}.Seal(plain, l.State().CurrentMetadata().Recipient)
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// sparse stores no empty objects.
type sparse struct{ backends.Store }

func (s sparse) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if len(body) == 0 {
		return backends.Info{}, nil
	}
	return s.Store.Put(ctx, key, body)
}

// smallModel writes a model of a few small files.
func smallModel(t testing.TB, version int) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"config.json":    fmt.Sprintf(`{"version":%d}`, version),
		"tokenizer.json": `{"model":"bpe"}`,
		"weights.bin":    fmt.Sprintf("weights of version %d", version),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRequests asserts the table in docs/requests.md: how many requests each
// command makes of the store, by a machine that has never seen the vault (cold)
// and by one that has (warm), with journals of 2,000 entries.
func TestRequests(t *testing.T) {
	p := newPlace(t)
	genesis := p.init(t).Genesis
	if _, err := p.open(t).Push(t.Context(), vault.PushOptions{Artefact: "fraud-detector", Paths: []string{smallModel(t, 1)}}); err != nil {
		t.Fatal(err)
	}
	p.lengthen(t, genesis, "", 1999)
	p.lengthen(t, genesis, "fraud-detector", 2000)
	w := newWitness(t)
	signed, err := w.cosign(p.checkpoint(t, -1).Export, time.Now())
	must(t, err)
	p.merge(t, w, signed)
	counted := backendtest.NewCounting(p.store)
	p.store = counted
	ref := vault.Ref{Artefact: "fraud-detector"}
	open := func(t *testing.T, c vault.Config) *vault.Vault {
		t.Helper()
		v, err := vault.Open(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	warm := newMachine()
	want := requestTable(t)
	next := 1
	deployed := smallModel(t, 1)
	for _, c := range []struct {
		name string
		run  func(t *testing.T, c vault.Config) error
	}{
		{"pull", func(t *testing.T, c vault.Config) error {
			_, err := open(t, c).Pull(t.Context(), ref, t.TempDir(), vault.PullOptions{})
			return err
		}},
		{"pull, with a witness", func(t *testing.T, c vault.Config) error {
			c.Witnesses = p.trusting(w).Witnesses
			v := open(t, c)
			r, err := v.Pull(t.Context(), ref, t.TempDir(), vault.PullOptions{})
			if err == nil && r.Freshness != vault.FreshWitnessed {
				t.Errorf("freshness %s", r.Freshness)
			}
			return err
		}},
		{"show", func(t *testing.T, c vault.Config) error {
			_, err := open(t, c).Show(t.Context(), ref)
			return err
		}},
		{"verify --dir", func(t *testing.T, c vault.Config) error {
			r, err := open(t, c).VerifyDeployed(t.Context(), ref, deployed, vault.DeployedOptions{})
			if err == nil && len(r.Discrepancies) > 0 {
				t.Errorf("%v", r.Discrepancies)
			}
			return err
		}},
		{"list", func(t *testing.T, c vault.Config) error {
			_, _, err := open(t, c).List(t.Context(), "")
			return err
		}},
		{"history", func(t *testing.T, c vault.Config) error {
			_, err := open(t, c).History(t.Context(), "fraud-detector")
			return err
		}},
		{"register, again", func(t *testing.T, c vault.Config) error {
			_, err := open(t, c).Register(t.Context(), "fraud-detector")
			return err
		}},
		{"push, unchanged", func(t *testing.T, c vault.Config) error {
			_, err := open(t, c).Push(t.Context(), vault.PushOptions{Artefact: "fraud-detector", Paths: []string{smallModel(t, 1)}})
			return err
		}},
		{"push, changed", func(t *testing.T, c vault.Config) error {
			next++
			_, err := open(t, c).Push(t.Context(), vault.PushOptions{Artefact: "fraud-detector", Paths: []string{smallModel(t, next)}})
			return err
		}},
		{"push, changed, with a witness", func(t *testing.T, c vault.Config) error {
			next++
			c.Witnesses = p.trusting(w).Witnesses
			_, err := open(t, c).Push(t.Context(), vault.PushOptions{Artefact: "fraud-detector", Paths: []string{smallModel(t, next)}})
			return err
		}},
	} {
		if raceDetector && c.name != "pull" {
			continue // every cold one verifies 4,000 entries, one by one
		}
		t.Run(c.name, func(t *testing.T) {
			for i, m := range []*machine{newMachine(), warm, warm} {
				name := []string{"cold", "warming up", "warm"}[i]
				counted.Reset()
				if err := c.run(t, p.on(m, genesis)); err != nil {
					t.Fatal(err)
				}
				got := 0
				opened := 0
				for _, r := range counted.Requests() {
					if !isChunk(r.Key) {
						got++
					}
					if isSlot(r.Key) && r.Op == backendtest.Get {
						opened++
					}
				}
				if n, ok := want[c.name][name]; i != 1 && (!ok || got != n) {
					t.Errorf("%s: %d requests beyond chunks; docs/requests.md says %d: %v", name, got, n, counted.Requests())
				}
				if opened > 6 {
					t.Errorf("%s: %d journal objects opened", name, opened)
				}
			}
		})
	}
}

// requestTable reads the table in docs/requests.md.
func requestTable(t *testing.T) map[string]map[string]int {
	t.Helper()
	b, err := os.ReadFile("../docs/requests.md")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]map[string]int{}
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\| (\\d+) \\| (\\d+) \\|$").FindAllStringSubmatch(string(b), -1) {
		cold, err1 := strconv.Atoi(m[2])
		warm, err2 := strconv.Atoi(m[3])
		if err1 != nil || err2 != nil {
			t.Fatal(err1, err2)
		}
		out[m[1]] = map[string]int{"cold": cold, "warm": warm}
	}
	return out
}

func isChunk(key string) bool {
	ok, err := filepath.Match("a/*/v/*/c/*", key)
	return err == nil && ok
}

func isSlot(key string) bool {
	a, _ := filepath.Match("a/*/log/*", key)
	v, _ := filepath.Match("log/*", key)
	return a || v
}

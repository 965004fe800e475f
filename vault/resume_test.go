package vault_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
	"github.com/aivault/aivault/vault/vaulttest"
)

const resumed = "team/model"

// resumeWorld has two readers who may push, rita and sam, and a pusher who may
// not read, pat.
func resumeWorld(t *testing.T) *vaulttest.World {
	t.Helper()
	w := vaulttest.NewWorld(t, vaulttest.Config{Cipher: seal.Age{}, Members: map[string][]string{
		"rita": {state.Developer}, "sam": {state.Developer}, "pat": {state.Pusher}}})
	var readers []keyring.Reader
	for _, name := range []string{"alice", "rita", "sam"} {
		readers = append(readers, keyring.Reader{Name: name, Recipient: w.Members[name].Key.Recipient()})
	}
	alice := w.Open(t, "alice", w.Store)
	ring := &keyring.Ring{Vault: alice, Ledger: alice.Artefact(state.ArtefactID(alice.NameKey(), resumed)), Store: w.Store, Keepers: w.AllKeepers()}
	if err := ring.Register(t.Context(), resumed, readers, canonical.NewID()); err != nil {
		t.Fatal(err)
	}
	return w
}

func ringOf(t *testing.T, w *vaulttest.World, name string) *keyring.Ring {
	t.Helper()
	v := w.Open(t, name, w.Store)
	l := v.Artefact(state.ArtefactID(v.NameKey(), resumed))
	if _, err := l.Fold(t.Context()); err != nil {
		t.Fatal(err)
	}
	return &keyring.Ring{Vault: v, Ledger: l, Store: w.Store, Keepers: w.AllKeepers()}
}

// configOf is how a member's client is wired to a store that shows the world's.
func configOf(w *vaulttest.World, name string, store backends.Store) vault.Config {
	return vault.Config{Store: store, Identity: w.Members[name].Identity, Genesis: w.Genesis, Now: w.Clock.Now, Jobs: 2,
		Keepers: func(context.Context, []state.Plugin) ([]custody.Keeper, error) {
			var out []custody.Keeper
			for id, k := range w.AllKeepers() {
				out = append(out, pinned{k, id})
			}
			return out, nil
		}}
}

// pinned is a keeper under the instance id that the world's vault pins.
type pinned struct {
	custody.Keeper
	id string
}

func (p pinned) Profile(ctx context.Context) (custody.Profile, error) {
	profile, err := p.Keeper.Profile(ctx)
	profile.Instance = p.id
	return profile, err
}

func pushAs(ctx context.Context, w *vaulttest.World, name string, store backends.Store, dir string) (*vault.PushResult, error) {
	v, err := vault.Open(ctx, configOf(w, name, store))
	if err != nil {
		return nil, err
	}
	return v.Push(ctx, vault.PushOptions{Artefact: resumed, Paths: []string{dir}})
}

// pieces writes a directory of n files that are a chunk each, and two small ones.
// Another seed changes every byte and no size.
func pieces(t *testing.T, seed uint64, n int) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{byte(seed)})
	for i := range n {
		b := make([]byte, 4<<20+1)
		random.Read(b)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("piece-%02d", i)), b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"config.json", "tokenizer.json"} {
		if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, "%s %d", name, seed), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// cut ends a push, as a kill would, once so many chunks are stored.
type cut struct {
	backends.Store
	left atomic.Int32
	end  context.CancelFunc
}

func (c *cut) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if isChunk(key) && c.left.Add(-1) < 0 {
		c.end()
		return backends.Info{}, &backends.Error{Op: "put", Key: key, Kind: backends.Unavailable, Err: context.Canceled}
	}
	return c.Store.Put(ctx, key, body)
}

// breakOff begins a push that is cut after so many chunks, and returns its id.
func breakOff(t *testing.T, w *vaulttest.World, name, dir string, chunks int32) canonical.ID {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	before := versionIDs(t, w)
	c := &cut{Store: w.Store, end: cancel}
	c.left.Store(chunks)
	if _, err := pushAs(ctx, w, name, c, dir); !errors.Is(err, context.Canceled) {
		t.Fatalf("a push that was cut off: %v", err)
	}
	for id := range versionIDs(t, w) {
		if !before[id] {
			return id
		}
	}
	t.Fatal("nothing was stored")
	return canonical.ID{}
}

func versionIDs(t *testing.T, w *vaulttest.World) map[canonical.ID]bool {
	t.Helper()
	out := map[canonical.ID]bool{}
	for _, key := range w.Store.Keys() {
		if part := strings.Split(key, "/"); len(part) > 3 && part[2] == "v" {
			id, err := canonical.ParseID(part[3])
			if err != nil {
				t.Fatal(err)
			}
			out[id] = true
		}
	}
	return out
}

// sound verifies everything and compares a pulled version with dir.
func sound(t *testing.T, w *vaulttest.World, version int, dir string) {
	t.Helper()
	c := configOf(w, "rita", w.Store)
	report, err := vault.Verify(t.Context(), c, vault.VerifyOptions{Full: true})
	if err != nil || !report.OK {
		t.Errorf("verify: %+v, %v", report, err)
	}
	v, err := vault.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	dest := t.TempDir()
	if _, err := v.Pull(t.Context(), vault.Ref{Artefact: resumed, Number: version}, dest, vault.PullOptions{}); err != nil {
		t.Fatal(err)
	}
	same(t, dir, dest)
}

func TestResumeSendsNothingTwice(t *testing.T) {
	const files = 5
	for done := range int32(files + 2) {
		w := resumeWorld(t)
		dir := pieces(t, 1, files)
		vid := breakOff(t, w, "rita", dir, done)
		stored := 0
		for _, key := range w.Store.Keys() {
			if isChunk(key) {
				stored++
			}
		}
		counting := backendtest.NewCounting(w.Store)
		res, err := pushAs(t.Context(), w, "rita", counting, dir)
		if err != nil {
			t.Fatal(err)
		}
		sent := 0
		for _, r := range counting.Requests() {
			if r.Op == backendtest.Put && isChunk(r.Key) {
				sent++
			}
		}
		// The files, and groups of small ones and parts as the random cut has them.
		total, cids := 0, map[string]bool{}
		for _, key := range w.Store.Keys() {
			if isChunk(key) {
				total++
				cid, _, _ := strings.Cut(key[strings.LastIndexByte(key, '/')+1:], "-")
				cids[cid] = true
			}
		}
		if !res.Resumed || res.VID != vid || stored+sent != total || len(cids) != total || total < files+2 {
			t.Errorf("after %d chunks: %+v, %d stored and %d sent of %d, %d different ones", done, res, stored, sent, total, len(cids))
		}
		if stored == total && res.Uploaded > 64<<10 {
			t.Errorf("all chunks stood, and %d bytes were sent", res.Uploaded)
		}
		sound(t, w, 1, dir)
	}
}

// What is not this author's own, or cannot commit any more, is never resumed.
func TestResumeRefuses(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, w *vaulttest.World, vid canonical.ID){
		"nothing wrong":    func(*testing.T, *vaulttest.World, canonical.ID) {},
		"another author's": func(*testing.T, *vaulttest.World, canonical.ID) {},
		"planted": func(t *testing.T, w *vaulttest.World, vid canonical.ID) {
			plant(t, w, vid, "sam")
		},
		"no secret": func(t *testing.T, w *vaulttest.World, vid canonical.ID) { w.Store.Remove(secretOf(t, w, vid)) },
		"spoilt secret": func(t *testing.T, w *vaulttest.World, vid canonical.ID) {
			w.Store.Tamper(secretOf(t, w, vid), func(b []byte) []byte { b[len(b)-1] ^= 1; return b })
		},
		"condemned": func(t *testing.T, w *vaulttest.World, vid canonical.ID) {
			kept := map[string][]byte{}
			for _, key := range w.Store.Keys() {
				if strings.Contains(key, vid.String()) {
					b, err := ledger.ReadObject(t.Context(), w.Store, key, 0)
					if err != nil {
						t.Fatal(err)
					}
					kept[key] = b
				}
			}
			done, err := ringOf(t, w, "alice").GC(t.Context(), w.Clock.Now().Add(time.Hour), canonical.NewID())
			if err != nil || len(done.Condemned) != 1 {
				t.Fatalf("%+v, %v", done, err)
			}
			for key, b := range kept { // what arrives late
				if _, err := w.Store.Put(t.Context(), key, b); err != nil {
					t.Fatal(err)
				}
			}
		},
		"another epoch": func(t *testing.T, w *vaulttest.World, _ canonical.ID) {
			if _, err := ringOf(t, w, "alice").Rotate(t.Context(), canonical.NewID()); err != nil {
				t.Fatal(err)
			}
		},
		"row moved": func(t *testing.T, w *vaulttest.World, vid canonical.ID) {
			other := breakOff(t, w, "sam", pieces(t, 2, 1), 1)
			var rows [2]string
			for _, key := range w.Store.Keys() {
				for i, id := range []canonical.ID{vid, other} {
					if strings.Contains(key, id.String()+"/k-") {
						rows[i] = key
					}
				}
			}
			b, err := ledger.ReadObject(t.Context(), w.Store, rows[1], 0)
			if err != nil {
				t.Fatal(err)
			}
			w.Store.Tamper(rows[0], func([]byte) []byte { return b })
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := resumeWorld(t)
			dir := pieces(t, 1, 1)
			author := "rita"
			if name == "another author's" {
				author = "sam"
			}
			vid := breakOff(t, w, author, dir, 2)
			spoil(t, w, vid)
			res, err := pushAs(t.Context(), w, "rita", w.Store, dir)
			if fine := name == "nothing wrong"; err != nil || res.Resumed != fine || (res.VID == vid) != fine {
				t.Fatalf("%+v, %v", res, err)
			}
			sound(t, w, 1, dir)
		})
	}
}

func secretOf(t *testing.T, w *vaulttest.World, vid canonical.ID) string {
	return manifest.VersionPrefix(ringOf(t, w, "rita").Ledger.ID, vid) + "s"
}

// plant does what a thief can who reads the vault: it puts a push secret of its
// own, with its own signature, in the place of another's.
func plant(t *testing.T, w *vaulttest.World, vid canonical.ID, thief string) {
	t.Helper()
	r := ringOf(t, w, thief)
	key, _, err := r.OpenPending(t.Context(), r.Ledger.State(), vid)
	if err != nil {
		t.Fatal(err)
	}
	to, err := seal.ParseRecipient(key.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := transfer.SealSecret(t.Context(), manifest.NewSecret(), canonical.Sum(nil), r.Ledger.ID, vid, w.Members[thief].Identity.Signing(), to)
	if err != nil {
		t.Fatal(err)
	}
	w.Store.Tamper(secretOf(t, w, vid), func([]byte) []byte { return sealed })
}

// Whoever cannot read starts again.
func TestPusherStartsAgain(t *testing.T) {
	w := resumeWorld(t)
	dir := pieces(t, 1, 1)
	vid := breakOff(t, w, "pat", dir, 1)
	res, err := pushAs(t.Context(), w, "pat", w.Store, dir)
	if err != nil || res.Resumed || res.VID == vid {
		t.Fatalf("%+v, %v", res, err)
	}
	sound(t, w, 1, dir)
}

// A chunk that storage has changed, or shows and does not have, is sent again
// under another name, and is part of no version.
func TestResumeBelievesNoChunk(t *testing.T) {
	for name, change := range map[string]func(w *vaulttest.World, key string, others []string){
		"flipped": func(w *vaulttest.World, key string, _ []string) {
			w.Store.Tamper(key, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		},
		"truncated": func(w *vaulttest.World, key string, _ []string) {
			w.Store.Tamper(key, func(b []byte) []byte { return b[:len(b)-1] })
		},
		"empty": func(w *vaulttest.World, key string, _ []string) {
			w.Store.Tamper(key, func([]byte) []byte { return nil })
		},
		"another's bytes": func(w *vaulttest.World, key string, others []string) {
			b, err := ledger.ReadObject(bg, w.Store, others[0], 0)
			if err == nil {
				w.Store.Tamper(key, func([]byte) []byte { return b })
			}
		},
		"renamed": func(w *vaulttest.World, key string, _ []string) {
			b, err := ledger.ReadObject(bg, w.Store, key, 0)
			if err == nil && w.Store.Remove(key) {
				_, _ = w.Store.Put(bg, key[:len(key)-16]+strings.Repeat("0", 16), b)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := resumeWorld(t)
			dir := pieces(t, 1, 3)
			vid := breakOff(t, w, "rita", dir, 3)
			var chunks []string
			for _, key := range w.Store.Keys() {
				if isChunk(key) {
					chunks = append(chunks, key)
				}
			}
			change(w, chunks[0], chunks[1:])
			res, err := pushAs(t.Context(), w, "rita", w.Store, dir)
			if err != nil || !res.Resumed || res.VID != vid {
				t.Fatalf("%+v, %v", res, err)
			}
			w.Store.Remove(chunks[0])
			sound(t, w, 1, dir)
		})
	}
	t.Run("listed, not there", func(t *testing.T) {
		w := resumeWorld(t)
		dir := pieces(t, 1, 2)
		breakOff(t, w, "rita", dir, 2)
		hiding := backendtest.NewFaulty(w.Store, func(c backendtest.Call) backendtest.Fault {
			if c.Op == backendtest.Get && isChunk(c.Key) {
				return backendtest.Fault{Mode: backendtest.Fail, Err: &backends.Error{Op: "get", Key: c.Key, Kind: backends.NotExist}}
			}
			return backendtest.Fault{}
		})
		res, err := pushAs(t.Context(), w, "rita", hiding, dir)
		if err != nil || !res.Resumed || res.Uploaded < 8<<20 {
			t.Fatalf("%+v, %v", res, err)
		}
		sound(t, w, 1, dir)
	})
}

// meeting lets nobody put an entry of an artefact's journal before all are there.
type meeting struct {
	backends.Store
	wait *sync.WaitGroup
	once sync.Once
}

func (m *meeting) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if isSlot(key) && strings.HasPrefix(key, "a/") {
		m.once.Do(func() { m.wait.Done(); m.wait.Wait() })
	}
	return m.Store.Put(ctx, key, body)
}

// Two processes of one author that resume one push: one gets the version, the
// other begins anew, or finds that nothing is left to do. Both end up right.
func TestTwoResumeOnePush(t *testing.T) {
	for name, seeds := range map[string][2]uint64{"same files": {1, 1}, "other bytes of the same sizes": {1, 2}} {
		t.Run(name, func(t *testing.T) {
			w := resumeWorld(t)
			dirs := [2]string{pieces(t, seeds[0], 2), pieces(t, seeds[1], 2)}
			vid := breakOff(t, w, "rita", dirs[0], 1)
			var both, done sync.WaitGroup
			both.Add(2)
			var results [2]*vault.PushResult
			for i := range 2 {
				done.Go(func() {
					var err error
					if results[i], err = pushAs(t.Context(), w, "rita", &meeting{Store: w.Store, wait: &both}, dirs[i]); err != nil {
						t.Error(err)
					}
				})
			}
			done.Wait()
			if t.Failed() {
				return
			}
			won := 0
			for i, res := range results {
				if res.Resumed && res.VID == vid && res.Version == 1 {
					won++
				}
				sound(t, w, res.Version, dirs[i])
			}
			if want := 1 + int(seeds[1]-seeds[0]); won == 0 || max(results[0].Version, results[1].Version) != want {
				t.Errorf("%+v and %+v: %d of them the push that was broken off", results[0], results[1], won)
			}
		})
	}
}

// A push of other files leaves one alone that may still be running, and takes it
// up once nothing was stored for an hour.
func TestResumeOfOtherFiles(t *testing.T) {
	w := resumeWorld(t)
	dir := pieces(t, 1, 2)
	vid := breakOff(t, w, "rita", dir, 3)
	more := filepath.Join(dir, "more")
	if err := os.WriteFile(more, bytes.Repeat([]byte("m"), 100), 0o644); err != nil {
		t.Fatal(err)
	}
	again := breakOff(t, w, "rita", dir, 0)
	if again == vid {
		t.Error("a push that may be running was taken up")
	}
	if err := os.WriteFile(more, bytes.Repeat([]byte("m"), 101), 0o644); err != nil {
		t.Fatal(err)
	}
	w.Clock.Advance(time.Hour)
	res, err := pushAs(t.Context(), w, "rita", w.Store, dir)
	if err != nil || !res.Resumed || res.VID != vid || res.Uploaded > 64<<10 {
		t.Errorf("an hour later: %+v, %v", res, err)
	}
	sound(t, w, 1, dir)
}

// However many versions were begun, a push looks at sixteen.
func TestResumeLooksAtFew(t *testing.T) {
	w := resumeWorld(t)
	prefix := ledger.ArtefactPrefix(ringOf(t, w, "rita").Ledger.ID) + "v/"
	for range 100 {
		if _, err := w.Store.Put(t.Context(), prefix+canonical.NewID().String()+"/s", nil); err != nil {
			t.Fatal(err)
		}
	}
	counting := backendtest.NewCounting(w.Store)
	if _, err := pushAs(t.Context(), w, "rita", counting, pieces(t, 1, 0)); err != nil {
		t.Fatal(err)
	}
	looks := 0
	for _, r := range counting.Requests() {
		if r.Op == backendtest.Get && strings.HasPrefix(r.Key, prefix) {
			looks++
		}
	}
	if looks > 16 {
		t.Errorf("%d objects of other pushes were read", looks)
	}
}

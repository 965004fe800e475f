// Package keyring works on the keys of one artefact: its epochs, which a keeper
// wraps and can destroy; the rows under them, which hold version identities; and
// its generations, which are its readers (vault/FORMAT.md §6).
//
// Opening a version takes the epoch, hence the keeper, and the generation, hence
// a member. Destroying one takes a rotation: a new epoch whose tables lack its
// row, and then the end of every older keeper key. Rows are copied byte for
// byte and never opened on the way, so whoever rotates need not be a reader.
//
// Every protocol here may stop after any write, of anyone, and be taken up by
// anyone else with the right. What decides is the fold of the artefact's
// journal at the place where an entry stands, never what a client remembers.
//
// Secrets stay in memory and out of errors. A rotation holds some 80 bytes for
// each surviving version and, for each concurrent request, two tables of at
// most 64 rows (0.5 MiB); purge and gc hold some 40 bytes for each chunk that
// an undestroyed version lists.
package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
)

var (
	// ErrIntegrity means that a stored object of the key hierarchy is missing,
	// damaged, or not what a signed entry binds. Nothing is destroyed after it.
	ErrIntegrity = errors.New("stored keys do not verify")
	// ErrNoReader is returned to a member that the generation is not sealed to.
	ErrNoReader = errors.New("not a reader of this artefact")
	// ErrNoReaders refuses a registration that nobody could read.
	ErrNoReaders = errors.New("an artefact needs at least one reader")
	// ErrIncomplete means that the artefact's registration was never finished.
	ErrIncomplete = errors.New("the artefact's registration is not complete")
	// ErrEnded means that the artefact was destroyed as a whole.
	ErrEnded = errors.New("the artefact was destroyed as a whole")
	// ErrEnding means that a disposal of the whole artefact is under way.
	ErrEnding = errors.New("a disposal of the whole artefact is under way")
	// ErrLapsed means that a disposal was executed and may not be completed any
	// more, for its approvals or for retention, or because its cancel was cut short;
	// nothing can be activated until it is cancelled here, or may be completed again.
	ErrLapsed = errors.New("executed, but it may not be completed any more")
)

// Ring works on the keys of one artefact. Its methods must not be called
// concurrently; several Rings, in as many processes, may work on one artefact.
type Ring struct {
	Ledger *ledger.Artefact
	Vault  *ledger.Vault
	// Store is the storage itself: what is read back must come from there, so a
	// cache must not stand between.
	Store backends.Store
	// Keepers are the keepers that this machine reaches, by instance id.
	Keepers map[string]custody.Keeper
	// Unreached says why keepers are missing there; nil: this machine is not told of
	// them.
	Unreached error
	// Warn is told of a keeper that did not do its part where another could; nil:
	// nobody is.
	Warn func(error)
	// Others are the identities besides their own by which this member reads, of
	// groups and of before a rotation. Several Rings may share them; nil: none.
	Others *Others
	// Jobs bounds concurrent requests; 0: 8.
	Jobs int

	epochs      map[canonical.ID]seal.Key
	generations map[canonical.ID]seal.Key
	indexes     map[canonical.ID]*index
	mu          sync.Mutex // over generations, where rows are sealed anew side by side
	asked       sync.Map   // by generation: whether it opened
	variant     variant
}

// variant replaces decisions of the protocols by wrong ones that look as good,
// so that the tests can show that each decision is needed. It is zero in
// everything but those tests.
type variant struct {
	openFor   func(*state.Artefact, *state.Epoch) bool         // may a candidate still become current
	awaits    func(*state.Artefact, *state.Epoch) bool         // may an intent still get its candidate
	more      func(*Ring, *state.Artefact, *state.Epoch) error // may more tables be written for it
	doomed    func(*state.Artefact) []*state.Epoch             // whose keys does step 7 destroy
	abandoned func(*state.Artefact, *state.Epoch) bool         // may the keys of an intent be destroyed
	protects  func(*state.CommittedVersion) bool               // do a version's references protect what they list

	lateCandidate, oldFold, noReadBack, noRecheck, claimPending bool // rotation
	stalePush, deadSource, intoWhole                            bool // push
	ownPrefix, lessSecond, strictReferences                     bool // purge
	timeOnly, condemnBlind, keepNamed, ownList                  bool // gc
}

func (r *Ring) cipher() seal.Cipher { return r.Vault.Cipher }

func (r *Ring) jobs() int {
	if r.Jobs > 0 {
		return r.Jobs
	}
	return 8
}

// refresh reads both journals. The state it returns is the ledger's own: it
// changes with the next fold or append.
func (r *Ring) refresh(ctx context.Context) (*state.Artefact, error) {
	if err := r.Vault.Refresh(ctx); err != nil {
		return nil, fmt.Errorf("reading the vault's journal: %w", err)
	}
	return r.fold(ctx)
}

func (r *Ring) fold(ctx context.Context) (*state.Artefact, error) {
	a, err := r.Ledger.Fold(ctx)
	if err != nil {
		return nil, fmt.Errorf("reading the journal of artefact %s: %w", r.Ledger.ID, err)
	}
	return a, nil
}

// prefix is where everything of the artefact stands.
func (r *Ring) prefix() string { return ledger.ArtefactPrefix(r.Ledger.ID) }

func (r *Ring) epochPrefix(eid canonical.ID) string { return r.prefix() + "e/" + eid.String() + "/" }

// VersionPrefix is where everything stands that a version's push stored.
func (r *Ring) VersionPrefix(vid canonical.ID) string {
	return manifest.VersionPrefix(r.Ledger.ID, vid)
}

// errTaken means that other bytes than ours stand under a name.
var errTaken = errors.New("another object stands there")

// put stores an object that no other client writes other bytes to. Where the
// store gives no clear answer it looks, and sends the same bytes again.
func (r *Ring) put(ctx context.Context, key string, body []byte) error {
	if stall := r.Vault.Stall; stall > 0 {
		limited, cancel := context.WithTimeoutCause(ctx, stall, fmt.Errorf("no clear answer from the store for %v: %w", stall, backends.Unavailable))
		defer cancel()
		ctx = limited
	}
	for attempt := 0; ; attempt++ {
		_, err := r.Store.Put(ctx, key, body)
		if err == nil {
			return nil
		}
		if !errors.Is(err, backends.Exists) && !errors.Is(err, backends.Indeterminate) && !errors.Is(err, backends.Unavailable) {
			return err
		}
		there, getErr := ledger.ReadObject(ctx, r.Store, key, 0)
		switch {
		case getErr == nil && bytes.Equal(there, body):
			return nil
		case getErr == nil:
			return fmt.Errorf("put %s: %w", key, errTaken)
		case !errors.Is(getErr, backends.NotExist) && !errors.Is(getErr, backends.Unavailable) && !errors.Is(getErr, backends.Indeterminate):
			return errors.Join(err, getErr)
		}
		if pauseErr := journal.Pause(ctx, attempt); pauseErr != nil {
			return errors.Join(pauseErr, err)
		}
	}
}

// getBound reads an object and compares it with the digest that binds it.
func (r *Ring) getBound(ctx context.Context, key string, want canonical.Digest, limit int64) ([]byte, error) {
	b, err := ledger.ReadObject(ctx, r.Store, key, limit)
	if errors.Is(err, backends.NotExist) {
		return nil, fmt.Errorf("%w: %s is missing: %w", ErrIntegrity, key, err)
	}
	if err != nil {
		return nil, err
	}
	if canonical.Sum(b) != want {
		return nil, fmt.Errorf("%w: %s is not the object that is bound", ErrIntegrity, key)
	}
	return b, nil
}

// each runs f for 0 to n−1, at most jobs at a time, and returns the first error.
func (r *Ring) each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	if n == 1 || r.jobs() == 1 {
		for i := range n {
			if err := f(ctx, i); err != nil {
				return err
			}
		}
		return nil
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.jobs())
	for i := range n {
		g.Go(func() error { return f(ctx, i) })
	}
	return g.Wait()
}

// lost reports whether an append failed because something else stands in the
// slot, or counts: the journal has moved on, and so must the plan.
func lost(err error) bool { return errors.Is(err, journal.ErrLost) }

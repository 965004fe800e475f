package disposal

import (
	"context"
	"errors"
	"flag"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
)

// wrong is how clerks and keepers of a siege go wrong. It is zero where all do
// as they should.
type wrong struct {
	forgotten, eagerPurge, hasty, liar, unsealed bool // runners and keepers

	personSecret, rootToMetadata, rowToMetadata, sharedSecret, convergentNames bool // what a push seals, and how it names it
	secretInReferences, saltInReferences, unsaltedDigest, labelHash            bool // what a push writes to references and entry
	receiptHash, receiptSalt, reasonHash, planHash, certificateHash            bool // what others write
}

// mutants are wrong ways to work, and what each of them must break.
var mutants = []struct {
	name  string
	what  string
	shows []string // any of these
	wrong wrong
}{
	{"forgotten-candidate", "an epoch gets keys and tables without any entry, and is left", []string{"reaches its identity"}, wrong{forgotten: true}},
	{"eager-purge", "what is disabled is purged before its keys are destroyed, and the runner dies", []string{"(b)", "damage"}, wrong{eagerPurge: true}},
	{"hasty-certificate", "a certificate is made as soon as the disposal is executed", []string{"(c)"}, wrong{hasty: true}},
	{"lying-keeper", "a keeper says that a key is destroyed, and keeps it", []string{"reaches its identity"}, wrong{liar: true}},
	{"unsealed-rows", "after a revocation nobody rotates who reads", []string{"(f)"}, wrong{unsealed: true}},
	{"person-secret", "s is sealed to its author instead of the version", []string{"reaches its push secret"}, wrong{personSecret: true}},
	{"metadata-root", "a copy of the manifest root is sealed to the metadata identity", []string{"reaches its salt"}, wrong{rootToMetadata: true}},
	{"metadata-row", "a copy of the row is sealed to the metadata identity", []string{"reaches its identity"}, wrong{rowToMetadata: true}},
	{"shared-secret", "all pushes have one push secret", []string{"reaches its push secret"}, wrong{sharedSecret: true}},
	{"convergent-names", "chunks are named by their plain digest", []string{"BLAKE3"}, wrong{convergentNames: true}},
	{"secret-in-references", "references hold the push secret", []string{"reaches its push secret"}, wrong{secretInReferences: true}},
	{"salt-in-references", "references hold the salt", []string{"reaches its salt"}, wrong{saltInReferences: true}},
	{"unsalted-digest", "the version digest in the entry has no salt", []string{"without a salt"}, wrong{unsaltedDigest: true}},
	{"label-hash", "a label of the version names a plain hash", []string{"SHA-256"}, wrong{labelHash: true}},
	{"receipt-hash", "a receipt names a plain hash", []string{"SHA-256"}, wrong{receiptHash: true}},
	{"receipt-salt", "a receipt names the salt", []string{"reaches its salt"}, wrong{receiptSalt: true}},
	{"reason-hash", "the reason of a channel move names a plain hash", []string{"SHA-256"}, wrong{reasonHash: true}},
	{"plan-hash", "plan and request name a plain hash", []string{"SHA-256"}, wrong{planHash: true}},
	{"certificate-hash", "a certificate names a plain hash", []string{"SHA-256"}, wrong{certificateHash: true}},
}

var perMutant = flag.Int("mutants", 0, "random histories for each mutant; 0: until it is found out")

// maxMutant bounds the histories in which a mutant may hide.
const maxMutant = 60

// TestMutants lets each wrong way to work loose, and sees it found out.
func TestMutants(t *testing.T) {
	for i, m := range mutants {
		if raceDetector && i%9 > 0 {
			continue // clerks run one at a time, whatever they do wrong
		}
		t.Run(m.name, func(t *testing.T) {
			caught, n := 0, 0
			said := map[string]int{}
			for n = 0; n < *perMutant || *perMutant == 0 && caught == 0 && n < maxMutant; n++ {
				s := besiege(t, uint64(1000+n), 250, m.wrong)
				if s.bad == "" {
					continue
				}
				if !slices.ContainsFunc(m.shows, func(x string) bool { return strings.Contains(s.bad, x) }) {
					t.Fatalf("%s: it breaks something else: %s\n%s", m.what, s.bad, strings.Join(s.trace, "\n"))
				}
				caught++
				said[s.bad]++
			}
			if caught == 0 {
				t.Errorf("%s: nothing notices in %d histories", m.what, n)
			}
			for x := range said {
				t.Logf("%s: in %d of %d histories, as: %s", m.what, caught, n, x)
				break
			}
		})
	}
}

// keeper is k, or one that lies.
func (s *siege) keeper(k *custodytest.Mem) custody.Keeper {
	if s.wrong.liar {
		return &liar{k, s.lies}
	}
	return k
}

// liar destroys nothing, whatever it says.
type liar struct {
	*custodytest.Mem
	said map[custody.KeyRef]time.Time
}

func (l *liar) Destroy(ctx context.Context, ref custody.KeyRef) (custody.Destruction, error) {
	s, err := l.Mem.Status(ctx, ref)
	if err == nil && l.said[ref].IsZero() {
		l.said[ref] = s.Since
	}
	return custody.Destruction{Ref: ref, State: custody.Destroyed, At: l.said[ref], Evidence: []byte("trust me")}, err
}

func (l *liar) Status(ctx context.Context, ref custody.KeyRef) (custody.KeyStatus, error) {
	s, err := l.Mem.Status(ctx, ref)
	if !l.said[ref].IsZero() {
		s.State = custody.Destroyed
	}
	return s, err
}

func (l *liar) Unwrap(ctx context.Context, ref custody.KeyRef, bound [32]byte, wrapped []byte) ([]byte, error) {
	if !l.said[ref].IsZero() {
		return nil, custody.ErrDestroyed
	}
	return l.Mem.Unwrap(ctx, ref, bound, wrapped)
}

// spare gives an artefact another epoch, with keys and tables as they should be,
// and with no entry that says so.
func (c *clerk) spare(aid canonical.Digest) {
	s := c.s
	c.start("make an epoch that nobody knows of", func(ctx context.Context, d *Desk) error {
		a, err := d.fold(ctx, aid)
		if err != nil || a.Current == nil {
			return err
		}
		current := s.adversary.Know(s.store.history(), s.keepers()).Key(a.Current.Candidate.Recipient)
		if current == nil {
			return errors.New("superseded meanwhile")
		}
		next, err := s.world.Cipher.Generate()
		if err != nil {
			return err
		}
		eid := canonical.NewID()
		prefix := ledger.ArtefactPrefix(aid) + "e/" + eid.String() + "/"
		for _, o := range s.store.history() {
			plain, err := current.Open(o.Body)
			if err != nil {
				continue // sealed to others
			}
			sealed, err := s.world.Cipher.Seal(plain, next.Recipient())
			if err != nil {
				return err
			}
			if err := d.ring(aid).PutOnce(ctx, prefix+"k-"+canonical.NewID().String(), sealed); err != nil {
				return err
			}
		}
		b, err := c.wrap(ctx, d, aid, eid, next.RevealSeed())
		if err != nil {
			return err
		}
		return d.ring(aid).PutOnce(ctx, prefix+"id", b)
	})
}

// wrap has every keeper wrap a seed. Of shares the first is the seed, and the
// others are nothing.
func (c *clerk) wrap(ctx context.Context, d *Desk, aid canonical.Digest, eid canonical.ID, seed []byte) ([]byte, error) {
	type wrap struct {
		Instance string `json:"instance"`
		Wrapped  []byte `json:"wrapped"`
	}
	var wraps []wrap
	for i, instance := range slices.Sorted(maps.Keys(d.Keepers)) {
		if i > 0 && c.s.world.Mode == state.AllOf {
			seed = make([]byte, len(seed))
		}
		ref, err := d.Keepers[instance].Create(ctx, "spare-"+eid.String())
		if err != nil {
			return nil, err
		}
		wrapped, err := d.Keepers[instance].Wrap(ctx, ref, state.EpochContext(c.s.world.Genesis, aid, eid), seed)
		if err != nil {
			return nil, err
		}
		wraps = append(wraps, wrap{instance, wrapped})
	}
	return canonical.Marshal(map[string][]wrap{"wraps": wraps})
}

// erase erases all of a disabled version, and dies before its keys do.
func (c *clerk) erase(aid canonical.Digest) {
	c.start("purge what is disabled", func(ctx context.Context, d *Desk) error {
		a, err := d.fold(ctx, aid)
		if err != nil {
			return err
		}
		for _, v := range a.Versions {
			if v.State != state.Executed {
				continue
			}
			var keys []string
			for info, err := range d.Store.List(ctx, d.ring(aid).VersionPrefix(v.VID), backends.ListOptions{}) {
				if err != nil {
					return err
				}
				keys = append(keys, info.Key)
			}
			if _, err := d.Store.Erase(ctx, keys...); err != nil {
				return err
			}
		}
		return ctx.Err()
	})
}

// certify certifies what is only disabled, or dropped.
func (c *clerk) certify(r *state.Request) {
	c.start("certify at once", func(ctx context.Context, d *Desk) error {
		s, err := d.Status(ctx, r.ID)
		if err != nil || s.Phase != Disabled && s.Phase != Pending {
			return err
		}
		details := Details{Format: detailsFormat, Vault: c.s.world.Genesis, Disposal: r.ID, Performed: d.self()}
		for _, at := range s.Artefacts {
			part := DisposedOf{ID: at.ID, Name: at.Name}
			for _, v := range at.Versions {
				part.Versions = append(part.Versions, PlanVersion{VID: v.VID, Number: v.Number})
			}
			details.Artefacts = append(details.Artefacts, part)
		}
		raw, err := canonical.Marshal(details)
		if err != nil {
			return err
		}
		payload, err := canonical.Marshal(Statement{Type: statementType, PredicateType: predicateType,
			Subject:   []SubjectDigest{{Name: "disposal", Digest: map[string]string{"sha256": canonical.Sum(raw).String()}}},
			Predicate: Predicate{Disposal: r.ID, Performed: details.Performed}})
		if err != nil {
			return err
		}
		env, err := dsse.Sign(ctx, certificateType, payload, d.Vault.Signer)
		if err != nil {
			return err
		}
		envelope, err := env.Marshal()
		if err != nil {
			return err
		}
		plain, err := canonical.Marshal(object{Format: certificateFormat, Envelope: envelope, Details: raw})
		if err != nil {
			return err
		}
		sealed, err := d.Vault.SealMetadata(plain)
		if err != nil {
			return err
		}
		return d.ring(r.Scope[0].Artefact).PutOnce(ctx, certificateKey(r.ID), sealed)
	})
}

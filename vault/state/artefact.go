package state

import (
	"crypto/hmac"
	"crypto/sha256"
	"fmt"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
)

// ArtefactID returns the id of the artefact called name: HMAC-SHA-256 of the
// name under the vault's key.
func ArtefactID(vaultKey [32]byte, name string) canonical.Digest {
	m := hmac.New(sha256.New, vaultKey[:])
	m.Write([]byte("artefact\x00" + name))
	return canonical.Digest(m.Sum(nil))
}

// Artefact is the fold of one artefact's journal up to Head. Unlike Vault it
// is changed in place and not safe for concurrent use.
type Artefact struct {
	ID         canonical.Digest
	Name       string // "" until registered
	Head       entry.Position
	Time       entry.Time
	Vault      *Vault // as of the highest vault head cited so far: the authority
	Registered entry.Position

	Generations []*Generation // in order; the last one is current
	Epochs      []*Epoch      // in order of their intents
	Current     *Epoch        // nil before the first activation and after the end
	Ended       bool          // "no epoch" was activated: the name is never used again
	Whole       bool          // a disposal of the whole artefact is under way
	Activated   *Activate     // the activation of Current
	ActivatedAt entry.Position
	DiedAt      entry.Position // of the latest death: an execute, or the release of a hold on an executed version

	Versions []*CommittedVersion // in order; number n stands at n-1
	Channels map[string]*Pointer
	Voids    []Void

	byVID     map[canonical.ID]*CommittedVersion
	wholeBy   canonical.ID // the disposal that Whole is due to
	condemned map[canonical.ID]bool
	asked     map[canonical.ID]int       // approvals that a disposal took, by disposal
	holds     []*PlacedHold              // in order
	attacks   map[canonical.ID][]*Attack // in order, by disposal
	ops       map[opKey]*CommittedVersion
	// Kin are other artefacts through which lineage is followed (Checks), set by who
	// has read them. What is not among them is not known.
	Kin Kin
	// Severed reports whether a registration is one that the cut of its author's
	// removal lacks. Nil: none is.
	Severed func(*entry.Entry) (bool, error)

	at      func(entry.Position) (*Vault, error)
	key     [32]byte
	anyName bool
	deviate Deviation
}

type opKey struct {
	author canonical.Digest
	op     canonical.ID
}

// Generation is one set of readers.
type Generation struct {
	Readers
	More []Readers // objects that sealed the same identity to more readers
}

// Epoch is one keeper-wrapped identity, from its intent on.
type Epoch struct {
	Intent
	At          entry.Position // of the intent
	Candidate   *Candidate     // nil until a valid one stands
	CandidateAt entry.Position
	Activated   bool // it is or was current

	// What stands after the intent and after the candidate decides whether the
	// epoch can still become current (vault/FORMAT.md §6.2).
	deathSinceIntent      bool
	activationSinceIntent bool
	superseded            bool // the candidate stands before the latest activation, and is not current
	KeysDestroyed         bool // recorded by a destroyed entry
	Destroyed             []DestroyedKey
	DestroyedAt           entry.Position // of the entry with which its keys were all on record

	deviate Deviation
}

// CanActivate reports whether a candidate may still become current.
func (ep *Epoch) CanActivate() bool {
	return ep.Candidate != nil && (!ep.deathSinceIntent && !ep.activationSinceIntent || !ep.deviate.on(RuleActivateFresh))
}

// Superseded reports whether the epoch's keys can never wrap anything current
// again and must be destroyed by step 7 of a rotation.
func (ep *Epoch) Superseded() bool { return ep.superseded }

// Abandoned reports whether gc may destroy the key of the epoch's intent: an
// activation stands since, and no valid candidate.
func (ep *Epoch) Abandoned() bool { return ep.Candidate == nil && ep.activationSinceIntent }

// AwaitsCandidate reports whether an intent may still get its candidate.
func (ep *Epoch) AwaitsCandidate() bool { return ep.Candidate == nil && !ep.activationSinceIntent }

// DeathSinceIntent reports whether the candidate, if any, must be abandoned for a death.
func (ep *Epoch) DeathSinceIntent() bool { return ep.deathSinceIntent }

// Pointer is where a channel points, and where it pointed before, newest last.
type Pointer struct {
	To      canonical.ID
	At      entry.Position
	History []Move
}

// Move is one move of a channel.
type Move struct {
	To       canonical.ID
	At       entry.Position
	Time     entry.Time
	By       string
	Reason   string
	Incident string
}

var artefactKinds = map[string]bool{
	KindRegister: true, KindReaders: true, KindIntent: true, KindCandidate: true, KindActivate: true, KindVersion: true,
	KindChannel: true, KindCondemn: true, KindExecute: true, KindCancel: true, KindDestroyed: true, KindPurged: true,
	KindVerified: true, KindHold: true, KindRelease: true, KindQuarantine: true, KindClear: true, KindPermit: true, KindApprove: true, KindWaive: true,
	KindAttest: true, KindTransfer: true, KindSkip: true, KindFence: true,
}

// NewArtefact begins the fold of the journal of the artefact with this id.
// vaultAt gives the vault as of a position that an entry cites; it must fail
// with ErrUnverifiable for one that is not in the vault's journal. key is the
// vault's name key. deviate is nil but in tests.
func NewArtefact(id canonical.Digest, key [32]byte, vaultAt func(entry.Position) (*Vault, error), deviate Deviation) *Artefact {
	return &Artefact{ID: id, Channels: map[string]*Pointer{}, byVID: map[canonical.ID]*CommittedVersion{},
		condemned: map[canonical.ID]bool{}, ops: map[opKey]*CommittedVersion{}, attacks: map[canonical.ID][]*Attack{}, asked: map[canonical.ID]int{},
		at: vaultAt, key: key, deviate: deviate}
}

// NewNamelessArtefact is NewArtefact for whoever lacks the vault's name key: the
// artefact is called what the member who registered it called it.
func NewNamelessArtefact(id canonical.Digest, vaultAt func(entry.Position) (*Vault, error)) *Artefact {
	a := NewArtefact(id, [32]byte{}, vaultAt, nil)
	a.anyName = true
	return a
}

// Apply folds the next entry, which must chain to Head. A Void is recorded in
// Voids and returned. After an error, which wraps ErrUnverifiable or
// entry.ErrUpgrade or comes from vaultAt, the artefact is as it was.
func (a *Artefact) Apply(e *entry.Entry) (*Void, error) {
	before := a.Vault
	if a.Vault == nil || e.Vault.Seq > a.Vault.Head.Seq {
		v, err := a.at(e.Vault)
		if err != nil {
			return nil, fmt.Errorf("entry %d cites vault head %s: %w", e.Seq, e.Vault, err)
		}
		a.Vault = v
	}
	name := a.Name
	if e.Kind == KindRegister && name == "" {
		if b, err := decode[Register](e); err == nil && CheckName(b.Name) == nil {
			name = b.Name
		}
	}
	err := a.Vault.authorise(e, name, artefactKinds)
	if err == nil {
		err = a.check(e)
	}
	if err == nil {
		err = a.apply(e)
	}
	if err != nil && !isRefusal(err) {
		a.Vault = before // an entry that cannot be read past changes nothing
		return nil, err
	}
	a.Head, a.Time = e.Position(), e.Time
	if err == nil {
		return nil, nil
	}
	v := a.Vault.void(e, err.(*refusal))
	a.Voids = append(a.Voids, *v)
	return v, nil
}

func isRefusal(err error) bool {
	_, ok := err.(*refusal)
	return ok
}

// check holds for every kind.
func (a *Artefact) check(e *entry.Entry) error {
	switch e.Kind {
	case KindSkip, KindFence:
		return nil
	case KindRegister:
		if a.Name != "" {
			return refuse(RuleRegistered, "the artefact is registered")
		}
		return nil
	case KindDestroyed, KindPurged, KindVerified:
	default:
		if a.Ended {
			return refuse(RuleEnded, "the artefact was destroyed as a whole")
		}
	}
	if a.Name == "" {
		return refuse(RuleRegistered, "the artefact is not registered")
	}
	return nil
}

func (a *Artefact) apply(e *entry.Entry) error {
	switch e.Kind {
	case KindRegister:
		b, err := decode[Register](e)
		if err != nil {
			return err
		}
		if err := CheckName(b.Name); err != nil || !a.anyName && ArtefactID(a.key, b.Name) != a.ID {
			return refuse(RuleName, "%q is not the name of this journal", b.Name)
		}
		if a.Severed != nil {
			severed, err := a.Severed(e)
			if err != nil {
				return err
			}
			if severed {
				return refuse(RuleCut, "%s was removed, or lost the key, before anybody saw this journal", a.author(e).Name)
			}
		}
		a.Name, a.Registered = b.Name, e.Position()
		return nil
	case KindReaders:
		return a.applyReaders(e)
	case KindIntent:
		return a.applyIntent(e)
	case KindCandidate:
		return a.applyCandidate(e)
	case KindActivate:
		return a.applyActivate(e)
	case KindVersion:
		return a.applyVersion(e)
	case KindChannel:
		return a.applyChannel(e)
	case KindCondemn:
		return a.applyCondemn(e)
	case KindExecute:
		return a.applyExecute(e)
	case KindCancel:
		return a.applyCancel(e)
	case KindDestroyed:
		return a.applyDestroyed(e)
	case KindPurged:
		return a.applyPurged(e)
	case KindHold:
		return a.applyHold(e)
	case KindRelease:
		return a.applyRelease(e)
	case KindQuarantine:
		return a.applyQuarantine(e)
	case KindClear:
		return a.applyClear(e)
	case KindPermit:
		return a.applyPermit(e)
	case KindApprove:
		return a.applyApprove(e)
	case KindWaive:
		return a.applyWaive(e)
	case KindAttest:
		return a.applyAttest(e)
	case KindVerified:
		return a.applyVerified(e)
	case KindTransfer:
		return a.applyTransfer(e)
	}
	return nil
}

func (a *Artefact) applyReaders(e *entry.Entry) error {
	b, err := decode[Readers](e)
	if err != nil {
		return err
	}
	if err := first(checkRecipient(b.Recipient), checkNamed(b.Object, a.prefix("g", b.GID)+"-"), checkDocument(b.List)); err != nil {
		return err
	}
	for _, g := range a.Generations {
		if g.GID != b.GID {
			continue
		}
		if !b.Add || g != a.Generation() || b.Recipient != g.Recipient {
			return refuse(RuleUnused, "generation %s", b.GID)
		}
		g.More = append(g.More, *b)
		return nil
	}
	if b.Add {
		return refuse(RuleTarget, "generation %s is not the current one", b.GID)
	}
	if by := a.author(e); len(a.Generations) > 0 && !by.Has(Operator, a.Name) && !by.Has(Admin, a.Name) {
		return refuse(RuleRole, "%s is neither operator nor admin here and cannot take readers away", by.Name)
	}
	a.Generations = append(a.Generations, &Generation{Readers: *b})
	return nil
}

// author returns the member that signed e as its author.
func (a *Artefact) author(e *entry.Entry) *Member { return a.Vault.ByKey(e.Author) }

// prefix returns what the keys of objects below one directory of the artefact start with.
func (a *Artefact) prefix(dir string, id canonical.ID) string {
	return "a/" + a.ID.String() + "/" + dir + "/" + id.String()
}

// Generation returns the current readers, or nil.
func (a *Artefact) Generation() *Generation {
	if len(a.Generations) == 0 {
		return nil
	}
	return a.Generations[len(a.Generations)-1]
}

// GenerationByID returns a generation, or nil.
func (a *Artefact) GenerationByID(gid canonical.ID) *Generation {
	for _, g := range a.Generations {
		if g.GID == gid {
			return g
		}
	}
	return nil
}

func (a *Artefact) applyChannel(e *entry.Entry) error {
	b, err := decode[Channel](e)
	if err != nil {
		return err
	}
	if err := first(checkShort(b.Channel), checkSentence("reason", b.Reason, false), checkText("incident", b.Incident, MaxWord)); err != nil {
		return err
	}
	if from := a.Channel(b.Channel); from != b.From {
		return refuse(RuleMoved, "channel %s pointed to %s, not %s", b.Channel, from, b.From)
	}
	to := a.byVID[b.To]
	if to == nil || to.State != Live {
		return refuse(RuleTarget, "version %s is not live", b.To)
	}
	if to.Quarantined != nil {
		return refuse(RuleQuarantined, "v%d is quarantined", to.Number)
	}
	for _, g := range a.Gates(to, b.Channel, a.Vault, e.Time) {
		if !g.Open() {
			return refuse(RuleGates, "gate %s of channel %s is not met by v%d: %s", g.Name, b.Channel, to.Number, g.Why)
		}
	}
	if err := a.moverTrained(to, b.Channel, a.author(e).Name, e.Time); err != nil {
		return err
	}
	a.move(b.Channel, Move{To: b.To, At: e.Position(), Time: e.Time, By: a.author(e).Name, Reason: b.Reason, Incident: b.Incident})
	return nil
}

// Channel returns where a channel points, or the zero ID.
func (a *Artefact) Channel(name string) canonical.ID {
	if p := a.Channels[name]; p != nil {
		return p.To
	}
	return canonical.ID{}
}

func (a *Artefact) move(channel string, m Move) {
	p := a.Channels[channel]
	if p == nil {
		p = &Pointer{}
		a.Channels[channel] = p
	}
	p.To, p.At = m.To, m.At
	p.History = append(p.History, m)
}

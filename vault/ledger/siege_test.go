package ledger_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/dsse"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// weakness is what is wrong with the clients of a siege, to see the oracle find it.
type weakness string

const (
	sound     weakness = ""
	forgetful weakness = "memory that forgets"
	unpinned  weakness = "pins that are not looked at"
	unwitness weakness = "cosigned heads that are not looked at"
	gullible  weakness = "signatures that are not checked"
	trusting  weakness = "a genesis that is taken from storage"
)

// siege is a vault whose storage is hostile, its clients, and an oracle that
// knows what was signed, and judges what clients accept from the raw bytes.
type siege struct {
	t       *testing.T
	world   *vaulttest.World
	hostile *vaulttest.Hostile
	forger  *vaulttest.Forger // has opened the vault before storage did anything to it
	twin    *fortress         // another vault of the same people
	nameKey [32]byte
	clients []*client
	names   []string                    // of artefacts
	cut     map[string]bool             // journals in the cut of mel's removal
	signed  map[canonical.Digest]string // signature, by digest of what was signed
	weak    weakness

	bad      string // the first violation
	trace    []string
	accepted int // reads of one journal
	refused  int
}

// client is somebody who reads and writes through a view of storage.
type client struct {
	s        *siege
	name     string // and the member's
	view     *vaulttest.View
	memory   *memory // nil: none
	pins     []ledger.Pin
	vouched  map[string]entry.Position
	vault    *ledger.Vault
	artefact map[string]*ledger.Artefact
	seen     map[string][]canonical.Digest // accepted so far, by journal
}

// may says, apart from the role table, who may write what the siege writes.
var may = map[string][]string{
	state.KindRegister: {"alice", "bob", "dana", "mel"},
	state.KindHold:     {"alice", "bob"},
	state.KindFence:    {"alice", "bob", "dana", "mel"},
	state.KindSkip:     {"alice", "bob"},
	state.KindPolicy:   {"alice"}, state.KindMemberAdd: {"alice"}, state.KindMemberRemove: {"alice"},
	state.KindMemberSuspend: {"alice", "bob"}, state.KindGenesis: {"alice"},
}

// fortress is a vault to begin sieges with.
type fortress struct {
	world   *vaulttest.World
	nameKey [32]byte
	entries []*entry.Entry // all there are
	twin    *fortress      // another vault of the same people, in the same storage's hands; nil in the twin
}

func newFortress(t *testing.T) *fortress {
	f := found(t, nil)
	f.twin = found(t, f.world.Members)
	return f
}

func found(t *testing.T, known map[string]*vaulttest.Member) *fortress {
	w := vaulttest.NewWorld(t, vaulttest.Config{Cipher: vaulttest.Symbolic{}, Known: known, Members: map[string][]string{
		"bob": {state.Custodian, state.Operator}, "dana": {state.Developer}, "mel": {state.Developer}}})
	stranger, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	w.Members["stranger"] = &vaulttest.Member{Name: "stranger", Identity: stranger}
	v := w.Open(t, "alice", w.Store)
	f := &fortress{world: w, nameKey: v.NameKey(), entries: v.Log().Entries}
	for _, name := range []string{"a", "b"} {
		a := v.Artefact(state.ArtefactID(v.NameKey(), name))
		if _, err := a.Fold(t.Context()); !errors.Is(err, journal.ErrEmpty) {
			t.Fatal(err)
		}
		for i, kind := range []string{state.KindRegister, state.KindFence, state.KindHold} {
			body := []any{state.Register{Name: name}, state.Fence{}, state.Hold{ID: canonical.NewID(), Reason: "r"}}[i]
			if err := a.Append(t.Context(), kind, body, canonical.NewID()); err != nil {
				t.Fatal(err)
			}
		}
		f.entries = append(f.entries, a.Log().Entries...)
	}
	return f
}

// read returns an object of the fortress.
func (f *fortress) read(key string) []byte {
	b, err := ledger.ReadObject(context.Background(), f.world.Store, key, 0)
	if err != nil {
		return nil
	}
	return b
}

// keys returns the keys below a prefix.
func (f *fortress) keys(prefix string) []string {
	return slices.DeleteFunc(f.world.Store.Keys(), func(key string) bool { return !strings.HasPrefix(key, prefix) })
}

// journalPrefix is where the journal of an artefact stands, or of the vault if
// name is "".
func journalPrefix(nameKey [32]byte, name string) string {
	if name == "" {
		return "log/"
	}
	return ledger.ArtefactPrefix(state.ArtefactID(nameKey, name)) + "log/"
}

func newSiege(t *testing.T, f *fortress, weak weakness) *siege {
	w := f.world.Copy(t, 0)
	s := &siege{t: t, world: w, hostile: &vaulttest.Hostile{Truth: w.Store}, twin: f.twin, nameKey: f.nameKey,
		forger: vaulttest.NewForger(t, w, "dana"),
		names:  []string{"a", "b"}, signed: map[canonical.Digest]string{}, weak: weak}
	for _, e := range slices.Concat(f.entries, f.twin.entries) {
		s.record(e)
	}
	for _, name := range []string{"alice", "bob", "dana"} {
		c := &client{s: s, name: name, view: s.hostile.View(), seen: map[string][]canonical.Digest{}}
		if name != "dana" {
			c.memory = &memory{}
		}
		s.clients = append(s.clients, c)
	}
	return s
}

func (s *siege) log(format string, args ...any) {
	s.trace = append(s.trace, fmt.Sprintf(format, args...))
}

func (s *siege) violated(format string, args ...any) {
	if s.bad == "" {
		s.bad = fmt.Sprintf(format, args...)
		s.log("VIOLATION %s", s.bad)
	}
}

// record takes an entry for signed.
func (s *siege) record(e *entry.Entry) {
	sig := e.Envelope.Signatures[0]
	s.signed[sha256.Sum256(dsse.PAE(e.Envelope.PayloadType, e.Envelope.Payload))] = sig.KeyID + string(sig.Sig)
}

// notary is a member's key that the oracle watches.
type notary struct {
	dsse.Signer
	s *siege
}

func (n notary) Sign(ctx context.Context, digest [sha256.Size]byte) ([]byte, error) {
	sig, err := n.Signer.Sign(ctx, digest)
	if err == nil {
		n.s.signed[digest] = n.Public().KeyID() + string(lowered(sig))
	}
	return sig, err
}

// start opens the vault, as a new process would.
func (c *client) start() error {
	session := c.s.world.Session(c.name, c.view)
	session.Signer = notary{session.Signer, c.s}
	session.Pins, session.Vouched = c.pins, c.vouched
	if c.memory != nil {
		session.Memory = c.memory
	}
	switch c.s.weak {
	case forgetful:
		session.Memory = nil
	case unpinned:
		session.Pins = nil
	case unwitness:
		session.Vouched = nil
	}
	genesis := c.s.world.Genesis
	if first := "log/" + journal.Slot(0); c.s.weak == trusting && bytes.Equal(c.view.Read(first), c.s.twin.read(first)) {
		genesis = c.s.twin.world.Genesis
	}
	v, err := ledger.Open(c.s.t.Context(), session, genesis)
	if err == nil {
		c.vault, c.artefact = v, map[string]*ledger.Artefact{}
	}
	return err
}

// stop ends the process. What was seen counts on only for who remembers.
func (c *client) stop() {
	c.vault, c.artefact = nil, nil
	if c.memory == nil {
		c.seen = map[string][]canonical.Digest{}
	}
}

// readVault reads the vault's journal and has it judged.
func (c *client) readVault() bool {
	var err error
	if c.vault == nil {
		err = c.start()
	} else {
		err = c.vault.Refresh(c.s.t.Context())
	}
	if err != nil {
		c.s.refused++
		c.s.log("%s: vault refused: %.90v", c.name, err)
		return false
	}
	c.s.accepted++
	c.judge(entry.VaultJournal, c.vault.Log().Entries, c.vault.Voids())
	c.mustStop("", c.vault.Log().Entries)
	return true
}

// readArtefact reads an artefact's journal and has it judged.
func (c *client) readArtefact(name string) *ledger.Artefact {
	if c.vault == nil {
		return nil
	}
	id := state.ArtefactID(c.vault.NameKey(), name)
	a := c.artefact[name]
	if a == nil {
		a = c.vault.Artefact(id)
		c.artefact[name] = a
	}
	st, err := a.Fold(c.s.t.Context())
	if errors.Is(err, journal.ErrEmpty) && !errors.Is(err, journal.ErrRolledBack) {
		c.s.accepted++
		c.judge(id.String(), nil, nil)
		return a
	}
	if err != nil {
		c.s.refused++
		c.s.log("%s: %s refused: %.90v", c.name, name, err)
		return nil
	}
	c.s.accepted++
	c.judge(id.String(), a.Log().Entries, st.Voids)
	c.mustStop(name, a.Log().Entries)
	holds := 0
	for _, e := range a.Log().Entries {
		if e.Kind == state.KindHold && !slices.ContainsFunc(st.Voids, func(v state.Void) bool { return v.At == e.Position() }) {
			holds++
		}
	}
	if n := len(st.Held()); n != holds {
		c.s.violated("%s sees %d holds on %s where %d were placed", c.name, n, name, holds)
	}
	return a
}

// judge is the oracle.
func (c *client) judge(id string, entries []*entry.Entry, voids []state.Void) {
	s := c.s
	var hashes []canonical.Digest
	removed, fenced := uint64(0), false
	if id != entry.VaultJournal {
		removed = c.removal()
	}
	for i, e := range entries {
		if why := s.genuine(e); why != "" {
			s.violated("%s accepts entry %d of %.8s, which %s", c.name, e.Seq, id, why)
		}
		if e.Journal != id || e.Genesis != s.world.Genesis && !(id == entry.VaultJournal && i == 0) {
			s.violated("%s accepts entry %d of journal %.8s of vault %s in %.8s", c.name, e.Seq, e.Journal, e.Genesis, id)
		}
		if i > 0 && (e.Prev != hashes[i-1] || e.Seq != entries[i-1].Seq+1 && e.Kind != state.KindSkip) || i == 0 && e.Seq != 0 && e.Kind != state.KindSkip {
			s.violated("%s accepts a gap or another order before entry %d of %.8s", c.name, e.Seq, id)
		}
		hashes = append(hashes, sha256.Sum256(e.Raw))
		if id != entry.VaultJournal && !slices.ContainsFunc(c.vault.Log().Entries, func(v *entry.Entry) bool { return v.Position() == e.Vault }) {
			s.violated("%s accepts entry %d of %.8s, which cites a vault head that is none", c.name, e.Seq, id)
		}
		if e.Kind == state.KindSkip && !slices.Contains(may[e.Kind], s.author(e)) {
			s.violated("%s accepts that %s passes over slots before %d of %.8s", c.name, s.author(e), e.Seq, id)
		}
		fenced = fenced || removed > 0 && e.Vault.Seq >= removed
		if slices.ContainsFunc(voids, func(v state.Void) bool { return v.At == e.Position() }) {
			continue
		}
		by := s.author(e)
		if !slices.Contains(may[e.Kind], by) {
			s.violated("%s lets %s write a %s entry, number %d of %.8s", c.name, by, e.Kind, e.Seq, id)
		}
		if by == "mel" && e.Kind == state.KindRegister && removed > 0 && e.Vault.Seq < removed && !s.cut[id] {
			s.violated("%s takes the journal %.8s, which mel registered and the cut of the removal lacks", c.name, id)
		}
		if by == "mel" && fenced {
			s.violated("%s takes entry %d of %.8s by mel, who was removed before", c.name, e.Seq, id)
		}
	}
	before := c.seen[id]
	if len(hashes) < len(before) || !slices.Equal(before, hashes[:len(before)]) {
		s.violated("%s has read %d entries of %.8s, and now accepts a history of %d that does not begin with them", c.name, len(before), id, len(hashes))
	}
	c.seen[id] = hashes
	for _, p := range c.pins {
		c.mustHold(id, entries, p.Journal, p.Position, "pinned")
	}
	for journal, p := range c.vouched {
		c.mustHold(id, entries, journal, p, "cosigned")
	}
}

// mustStop sees that nothing stands in the slot above what was read: a damaged
// entry must not pass for one that was never written.
func (c *client) mustStop(name string, entries []*entry.Entry) {
	key := c.s.prefix(name) + journal.Slot(entries[len(entries)-1].Seq+1)
	if c.view.Read(key) != nil {
		c.s.violated("%s accepts %d entries of %q though something stands in %s", c.name, len(entries), name, key)
	}
}

// mustHold sees that entries, which are those of the journal id, hold p.
func (c *client) mustHold(id string, entries []*entry.Entry, of string, p entry.Position, what string) {
	if id == of && !slices.ContainsFunc(entries, func(e *entry.Entry) bool { return e.Seq == p.Seq && sha256.Sum256(e.Raw) == p.Hash }) {
		c.s.violated("%s accepts %d entries of %.8s without the %s entry %d", c.name, len(entries), id, what, p.Seq)
	}
}

// removal is the number of the entry by which mel was removed, as this client sees it; 0: none.
func (c *client) removal() uint64 {
	for _, e := range c.vault.Log().Entries {
		if e.Kind == state.KindMemberRemove && c.s.author(e) == "alice" {
			return e.Seq
		}
	}
	return 0
}

func (s *siege) author(e *entry.Entry) string {
	for name, m := range s.world.Members {
		if m.Identity.Signing().Public().KeyID() == e.Author.String() {
			return name
		}
	}
	return "a stranger"
}

// genuine says what is wrong with an entry, in its bytes: nothing, if they are
// those that a member has signed.
func (s *siege) genuine(e *entry.Entry) string {
	sig := e.Envelope.Signatures[0]
	if s.signed[sha256.Sum256(dsse.PAE(e.Envelope.PayloadType, e.Envelope.Payload))] != sig.KeyID+string(sig.Sig) {
		return "nobody has signed so"
	}
	if s.author(e) == "a stranger" {
		return "a stranger has signed"
	}
	spelt := fmt.Sprintf(`{"payload":"%s","payloadType":"%s","signatures":[{"keyid":"%s","sig":"%s"}]}`, base64.StdEncoding.EncodeToString(e.Envelope.Payload),
		e.Envelope.PayloadType, sig.KeyID, base64.StdEncoding.EncodeToString(sig.Sig))
	if spelt != string(e.Raw) {
		return "is spelt in another way"
	}
	return ""
}

// write lets a client write an entry of an artefact.
func (c *client) write(name string, kind string, body any) {
	if !c.readVault() {
		return
	}
	a := c.readArtefact(name)
	if a == nil {
		return
	}
	err := a.Append(c.s.t.Context(), kind, body, canonical.NewID())
	c.s.log("%s writes %s of %s: %.80v", c.name, kind, name, err)
	var void *state.Void
	if err == nil || errors.As(err, &void) {
		c.judge(a.ID.String(), a.Log().Entries, a.State().Voids)
	}
}

// writeVault lets alice write an entry of the vault.
func (c *client) writeVault(kind string, body any) bool {
	if !c.readVault() {
		return false
	}
	err := c.vault.Append(c.s.t.Context(), kind, body, canonical.NewID())
	c.s.log("%s writes %s: %.80v", c.name, kind, err)
	if err == nil {
		c.judge(entry.VaultJournal, c.vault.Log().Entries, c.vault.Voids())
	}
	return err == nil
}

// remove removes mel, with fences everywhere.
func (c *client) remove() {
	if !c.readVault() || c.removal() > 0 {
		return
	}
	var recipients []string
	for _, p := range c.vault.State().Recipients() {
		if p.Recipient.String() != c.s.world.Members["mel"].Identity.Public().Recipient.String() {
			recipients = append(recipients, p.Recipient.String())
		}
	}
	meta, sealed, err := c.vault.NewMetadata(c.s.t.Context(), recipients)
	if err != nil {
		return
	}
	if _, err := c.view.Put(c.s.t.Context(), ledger.MetadataKey(meta.MID), sealed); err != nil {
		return
	}
	heads := map[canonical.Digest]entry.Position{}
	for _, name := range c.s.names {
		c.readArtefact(name)
		if a := c.artefact[name]; a.Log() != nil && len(a.Log().Entries) > 0 { // of a journal that does not verify, the last entry that does
			heads[a.ID] = a.Log().Head()
		}
	}
	plain, err := ledger.NewCut(heads)
	if err != nil {
		c.s.t.Fatal(err)
	}
	if sealed, err = c.vault.SealMetadata(plain); err != nil {
		c.s.t.Fatal(err)
	}
	digest := canonical.Sum(sealed)
	cut := state.Object{Key: "doc/" + digest.String(), SHA256: digest}
	if _, err := c.view.Put(c.s.t.Context(), cut.Key, sealed); err != nil {
		return
	}
	if c.writeVault(state.KindMemberRemove, state.MemberRemove{Name: "mel", Metadata: meta, Cut: cut}) {
		c.s.cut = map[string]bool{}
		for id := range heads {
			c.s.cut[id.String()] = true
		}
		for _, name := range c.s.names {
			c.write(name, state.KindFence, state.Fence{})
		}
	}
}

// thief is who has stolen dana's identity, as of now.
func (s *siege) thief() *vaulttest.Forger {
	s.forger.Refresh(s.t.Context())
	return s.forger
}

func (s *siege) prefix(name string) string { return journalPrefix(s.nameKey, name) }

func (s *siege) story() string { return s.bad + "\n" + strings.Join(s.trace, "\n") }

package keyring

import (
	"errors"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/journal"
	"github.com/aivault/aivault/vault/state"
)

// kind returns the kind of the entry in a journal object, as alice reads it.
func (m *machine) kind(object []byte) string {
	plain, err := m.alice.Vault.OpenMetadata(m.ctx, object)
	if err != nil {
		return "?"
	}
	lines := strings.Split(strings.TrimSpace(string(plain)), "\n")
	e, err := entry.Parse([]byte(lines[len(lines)-1]))
	if err != nil {
		return "?"
	}
	return e.Kind + " "
}

// state folds the journal as alice.
func (m *machine) state() *state.Artefact {
	a, err := m.alice.Ledger.Fold(m.ctx)
	if err != nil && !errors.Is(err, journal.ErrEmpty) {
		m.violated("the journal does not verify: %v", err)
		return m.alice.Ledger.State()
	}
	return a
}

// look asks the oracles whenever something changed that they judge.
func (m *machine) look() {
	if !m.store.dirty || m.bad != "" {
		return
	}
	m.store.dirty = false
	a := m.state()
	for _, v := range a.Versions {
		if m.commits[v.VID] == 0 {
			m.commits[v.VID] = max(m.step, 1)
			m.list(a, v)
		}
		if v.State >= state.Dropped && len(v.Holds) > 0 {
			m.violated("(c) v%d was dropped while held", v.Number)
		}
	}
	m.opens(a)
	m.intact(a)
	m.destroyed(a)
}

// list notes which chunks a version needs, at the moment it commits.
func (m *machine) list(a *state.Artefact, v *state.CommittedVersion) {
	refs, err := m.alice.references(m.ctx, v)
	if err != nil {
		m.violated("(1) v%d committed without its references: %v", v.Number, err)
		return
	}
	var keys []string
	for _, o := range refs.Objects {
		keys = append(keys, o.Key(a.ID))
	}
	m.lists[v.VID] = keys
}

// opens is (b): every version that is not dropped opens, through the code that
// readers use.
func (m *machine) opens(a *state.Artefact) {
	for _, v := range a.Versions {
		if v.State > state.Executed {
			continue
		}
		if m.rogue {
			m.someKeyOpens(v)
			continue
		}
		reader := &Ring{Vault: m.alice.Vault, Ledger: m.alice.Ledger, Store: m.store, Keepers: m.world.AllKeepers(), Jobs: 1}
		if key, err := reader.OpenVersion(m.ctx, a, v); err != nil {
			m.violated("(b) v%d (%s) does not open: %v", v.Number, v.State, err)
		} else if key.Recipient() != v.Recipient {
			m.violated("(b) v%d opens with another identity", v.Number)
		}
	}
}

func (m *machine) keepers() map[string]custodytest.State {
	out := map[string]custodytest.State{}
	for id, k := range m.world.Keepers {
		out[id] = k.CurrentState()
	}
	return out
}

// someKeyOpens is (b) where somebody activates what does not carry every
// version: then some living key must open it still.
func (m *machine) someKeyOpens(v *state.CommittedVersion) {
	if m.adversary.Reach(m.store.history(), m.keepers())[v.Recipient] == nil {
		m.violated("(b, weak) nothing opens v%d any more", v.Number)
	}
}

// intact is (1): every object of an undestroyed version exists.
func (m *machine) intact(a *state.Artefact) {
	there := map[string]bool{}
	for _, key := range m.world.Store.Keys() {
		there[key] = true
	}
	for _, v := range a.Versions {
		if v.State >= state.Shredded {
			continue
		}
		for _, key := range append([]string{v.Manifest.Key, v.References.Key}, m.lists[v.VID]...) {
			if !there[key] {
				m.violated("(1) v%d (%s) lost %s", v.Number, v.State, short(key))
			}
		}
	}
}

// destroyed is (a): of a version that is called destroyed the adversary has nothing.
func (m *machine) destroyed(a *state.Artefact) {
	var dead []*state.CommittedVersion
	for _, v := range a.Versions {
		if v.State >= state.Shredded {
			dead = append(dead, v)
		}
	}
	if len(dead) == 0 {
		return
	}
	reach := m.adversary.Reach(m.store.history(), m.keepers())
	for _, v := range dead {
		if reach[v.Recipient] != nil {
			m.violated("(a) v%d is called destroyed, and the adversary opens it", v.Number)
		}
	}
	// What readers open, whoever holds more than they do must open.
	for _, v := range a.Versions {
		if v.State <= state.Executed && reach[v.Recipient] == nil && m.bad == "" {
			m.t.Errorf("the adversary does not find v%d, which is %s", v.Number, v.State)
		}
	}
}

// control gives the adversary every key that the keepers ever had: it must open
// every version then, or (a) would mean nothing.
func (m *machine) control(a *state.Artefact) {
	ever := map[string]custodytest.State{}
	for id, k := range m.world.Keepers {
		ever[id] = k.History()
	}
	reach := m.adversary.Reach(m.store.history(), ever)
	for _, v := range a.Versions {
		if reach[v.Recipient] == nil {
			m.t.Errorf("with all keys that ever were, the adversary does not open v%d, which is %s", v.Number, v.State)
		}
	}
}

// left is (2): what storage holds under a purged version is what others list,
// or came late.
func (m *machine) left(a *state.Artefact) {
	needed := map[string]bool{}
	for _, v := range a.Versions {
		if v.State < state.Shredded {
			for _, key := range m.lists[v.VID] {
				needed[key] = true
			}
		}
	}
	for _, v := range a.Versions {
		if v.State != state.Erased {
			continue
		}
		for _, key := range m.world.Store.Keys() {
			if strings.HasPrefix(key, m.alice.VersionPrefix(v.VID)) && !needed[key] && m.store.puts[key] <= m.commits[v.VID] {
				m.violated("(2) v%d is purged, and %s is left", v.Number, short(key))
			}
		}
	}
}

// clean is (2) after gc: nothing is left that nothing needs.
func (m *machine) clean(a *state.Artefact) {
	needed := map[string]bool{}
	for _, v := range a.Versions {
		if v.State >= state.Erased {
			continue
		}
		for _, key := range []string{v.Manifest.Key, v.References.Key, m.alice.VersionPrefix(v.VID) + "s", m.alice.rowKey(v.VID, v.EID)} {
			needed[key] = true
		}
		if v.State < state.Shredded {
			for _, key := range m.lists[v.VID] {
				needed[key] = true
			}
		}
	}
	for _, key := range m.world.Store.Keys() {
		rest := strings.TrimPrefix(key, m.alice.prefix())
		if strings.HasPrefix(rest, "v/") && !needed[key] {
			m.violated("(2) gc leaves %s", short(key))
		}
		if id, ok := strings.CutPrefix(rest, "e/"); ok {
			eid, _ := canonical.ParseID(id[:32])
			if ep := a.Epoch(eid); ep != nil && ep.KeysDestroyed {
				m.violated("(2) gc leaves %s of a destroyed epoch", short(key))
			}
		}
	}
}

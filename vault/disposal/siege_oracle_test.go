package disposal

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/vaulttest"
)

// look asks the oracles whenever something changed that they judge:
//
//	(a) of a version that is called destroyed the adversary reaches neither the
//	    identity, nor the push secret, nor the salt, nor the identity of any chunk
//	    whose plaintext no living version has;
//	(b) every version that is not dropped opens, and so does all that it consists of;
//	(c) a certificate, and a verified entry, are about nothing that can be reached;
//	(d) nobody meets with damage, and one runner alone completes what was begun;
//	(e) nothing confirms a guess of what was destroyed;
//	(f) who reads no longer opens nothing, with the keepers' help, once a reader
//	    has rotated.
func (s *siege) look() {
	if !s.store.dirty || s.bad != "" {
		return
	}
	s.store.dirty = false
	known := s.adversary.Know(s.store.history(), s.keepers())
	requests := s.requests()
	for _, aid := range s.artefacts {
		a := s.state(aid)
		seen := fmt.Sprint(a.ActivatedAt.Seq, len(a.Versions))
		changed := s.store.erased || s.store.destroyed || s.seen[aid] != seen
		s.seen[aid] = seen
		for _, v := range a.Versions {
			switch {
			case v.State >= state.Shredded:
				s.unreachable("(a) "+v.Ref(a.Name)+" is called destroyed", known, v.VID)
				if !s.confirmed[v.VID] && s.bad == "" {
					s.confirmed[v.VID] = true
					s.unconfirmed(known, a, v)
				}
			case v.State <= state.Executed && changed:
				s.opens(a, v, s.store.erased)
			}
		}
		for _, r := range requests {
			if at := a.Attacked(r.ID); at != nil && at.Result == keyring.ResultVerified {
				for _, v := range a.Versions {
					if v.Disposal == r.ID {
						s.unreachable("(c) the attack on "+v.Ref(a.Name)+" is called verified", known, v.VID)
					}
				}
			}
		}
	}
	s.store.erased, s.store.destroyed = false, false
	s.certified(known)
}

// unreachable is (a).
func (s *siege) unreachable(what string, known *vaulttest.Knowledge, vid canonical.ID) {
	at := s.attempts[vid]
	secret, salt := at.secret.Reveal(), at.salt.Reveal()
	switch {
	case s.bad != "":
	case known.Key(at.recipient) != nil:
		s.violated("%s, and the adversary reaches its identity", what)
	case known.Spells(secret[:]):
		s.violated("%s, and the adversary reaches its push secret", what)
	case known.Spells(salt[:]):
		s.violated("%s, and the adversary reaches its salt", what)
	}
	for i, c := range at.chunks {
		seed := c.Seed.Reveal()
		if known.Spells(seed[:]) && !s.elsewhere(known)(at.files[i]) {
			s.violated("%s, and the adversary opens %s of it", what, at.files[i].Path)
		}
	}
	for _, r := range at.parts {
		if known.Key(r) != nil {
			s.violated("%s, and the adversary opens a part of its manifest", what)
		}
	}
}

// elsewhere tells which files storage holds without any destroyed version: in
// one that lives, or stored anew under its identity, or under that of a push that
// has not committed and that the adversary reaches.
func (s *siege) elsewhere(known *vaulttest.Knowledge) func(vaulttest.File) bool {
	there := map[string]bool{}
	committed := map[canonical.ID]bool{}
	for _, aid := range s.artefacts {
		for _, v := range s.state(aid).Versions {
			committed[v.VID] = true
			if v.State < state.Shredded {
				for _, f := range s.attempts[v.VID].files {
					there[f.Path] = true
				}
				for path := range s.attempts[v.VID].sent { // a push that was resumed may have given up files
					there[path] = true
				}
			}
		}
	}
	for vid, at := range s.attempts {
		if !committed[vid] && known.Key(at.recipient) != nil {
			for path := range at.sent {
				there[path] = true
			}
		}
	}
	return func(f vaulttest.File) bool { return there[f.Path] }
}

// unconfirmed is (e).
func (s *siege) unconfirmed(known *vaulttest.Knowledge, a *state.Artefact, v *state.CommittedVersion) {
	if what := known.Confirms(s.attempts[v.VID].files, s.elsewhere(known)); what != "" {
		s.violated("(e) %s is destroyed, and %s confirms a guess", v.Ref(a.Name), what)
	}
}

// opens is (b): the identity, and if all is set every chunk, through the code
// that readers use as far as it is not the data plane's.
func (s *siege) opens(a *state.Artefact, v *state.CommittedVersion, all bool) {
	if s.bad != "" {
		return
	}
	ring := &keyring.Ring{Vault: s.view.Vault, Ledger: s.view.ring(a.ID).Ledger, Store: s.store, Keepers: s.world.AllKeepers(), Jobs: 1}
	key, err := ring.OpenVersion(s.ctx, a, v)
	if err == nil && key.Recipient() != v.Recipient {
		err = fmt.Errorf("it has another identity")
	}
	if err == nil && all {
		err = s.pulls(a.ID, v, key.Open)
	}
	if err != nil {
		s.violated("(b) %s, which is %s, does not open: %v", v.Ref(a.Name), v.State, err)
	}
}

// pulls reads a version from its root to its last chunk.
func (s *siege) pulls(aid canonical.Digest, v *state.CommittedVersion, open func([]byte) ([]byte, error)) error {
	read := func(key string, open func([]byte) ([]byte, error)) ([]byte, error) {
		b, err := ledger.ReadObject(s.ctx, s.store, key, 0)
		if err != nil {
			return nil, err
		}
		return open(b)
	}
	chunk := func(c *manifest.Chunk) ([]byte, error) {
		seed := c.Seed.Reveal()
		key, err := s.world.Cipher.FromSeed(seed[:])
		if err != nil {
			return nil, err
		}
		return read(c.Key(aid), key.Open)
	}
	plain, err := read(v.Manifest.Key, open)
	if err != nil {
		return err
	}
	root, err := manifest.DecodeRoot(plain)
	if err != nil {
		return err
	}
	for i := range root.Parts {
		plain, err := chunk(&root.Parts[i].Chunk)
		if err != nil {
			return err
		}
		part, err := manifest.DecodePart(root.Parts[i].First, root.Parts[i].At, plain)
		if err != nil {
			return err
		}
		for _, e := range part.Entries {
			got, err := chunk(&part.Chunks[e.Extents[0].Chunk])
			if err == nil && !bytes.Equal(got, fileOf(e.Path).Plain) {
				err = fmt.Errorf("%s holds something else", e.Path)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// certified is (c).
func (s *siege) certified(known *vaulttest.Knowledge) {
	for _, key := range s.world.Store.Keys() {
		if !strings.HasPrefix(key, CertificatePrefix) || s.bad != "" {
			continue
		}
		c, err := s.certificate(key)
		if err != nil {
			s.violated("(c) a certificate does not verify: %v", err)
			return
		}
		for _, part := range c.Details.Artefacts {
			for _, v := range part.Versions {
				s.unreachable(fmt.Sprintf("(c) %s@v%d has a certificate", part.Name, v.Number), known, v.VID)
			}
		}
	}
}

// certificate reads a certificate, once.
func (s *siege) certificate(key string) (*Certificate, error) {
	if c := s.certificates[key]; c != nil {
		return c, nil
	}
	id, err := canonical.ParseID(strings.TrimPrefix(key, CertificatePrefix))
	if err != nil {
		return nil, err
	}
	c, err := s.view.Certificate(s.ctx, id)
	s.certificates[key] = c
	return c, err
}

// closed is (f). At the end whoever was revoked is so once more, for a grant may
// have died since before anybody had it on record; a reader rotates, and what the
// keepers destroy is destroyed.
func (s *siege) closed() {
	if len(s.revoked) == 0 {
		return
	}
	for _, aid := range s.artefacts {
		for _, name := range slices.Sorted(maps.Keys(s.revoked)) {
			a := s.state(aid)
			if a.Ended || a.Generation() == nil || s.bad != "" {
				continue
			}
			readers, err := s.view.ring(aid).Readers(s.ctx, a)
			must(s.t, err)
			if !slices.Contains(readers, s.reader(name)) {
				s.clerk("olaf").revoke(aid, name)
				_ = s.finish(s.clerk("olaf")) // judged below
			}
		}
	}
	by := s.clerk("olaf")
	if s.wrong.unsealed {
		by = s.clerk("run")
	}
	for range 2 {
		for _, aid := range s.artefacts {
			if !s.state(aid).Ended {
				by.rotate(aid)
				_ = s.finish(by) // what it leaves is judged below
				s.clerk("run").destroy(aid)
				_ = s.finish(s.clerk("run"))
			}
		}
		s.world.Clock.Advance(2 * time.Hour)
	}
	for _, name := range slices.Sorted(maps.Keys(s.revoked)) {
		known := vaulttest.NewAdversaryOf(s.world, name).Know(s.store.history(), s.keepers())
		for _, aid := range s.artefacts {
			a := s.state(aid)
			if a.Ended || s.bad != "" {
				continue
			}
			readers, err := s.view.ring(aid).Readers(s.ctx, a)
			must(s.t, err)
			if slices.Contains(readers, s.reader(name)) {
				continue
			}
			if n := len(a.ResealPending()); n > 0 && !s.wrong.unsealed {
				s.violated("(f) a reader has rotated, and %d versions wait for one", n)
			}
			for _, v := range a.LiveSet() {
				if known.Key(v.Recipient) != nil {
					s.violated("(f) %s, who does not read %s, opens it", name, v.Ref(a.Name))
				}
			}
		}
	}
}

// control gives the adversary every key that the keepers ever had: then they
// must reach and confirm every version, or (a) and (e) would mean nothing.
func (s *siege) control() {
	ever := map[string]custodytest.State{}
	for id, k := range s.world.Keepers {
		ever[id] = k.History()
	}
	known := s.adversary.Know(s.store.history(), ever)
	nowhere := func(vaulttest.File) bool { return false }
	for _, aid := range s.artefacts {
		for _, v := range s.state(aid).Versions {
			at := s.attempts[v.VID]
			secret, salt := at.secret.Reveal(), at.salt.Reveal()
			seed := at.chunks[0].Seed.Reveal()
			if known.Key(at.recipient) == nil || !known.Spells(secret[:]) || !known.Spells(salt[:]) || !known.Spells(seed[:]) || known.Key(at.parts[0]) == nil {
				s.t.Errorf("with all keys that ever were, the adversary does not reach all of v%d, which is %s", v.Number, v.State)
			}
			if known.Confirms(at.files, nowhere) == "" {
				s.t.Errorf("with all keys that ever were, the adversary does not confirm v%d, which is %s", v.Number, v.State)
			}
		}
	}
}

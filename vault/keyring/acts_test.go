package keyring

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/state"
)

// What actors do.

func (ac *actor) register() {
	ac.start("register", func(ctx context.Context, r *Ring) error {
		return r.Register(ctx, artefact, readers(ac.m.world, "alice"), canonical.NewID())
	})
}

func (ac *actor) rotate() {
	ac.start("rotate", func(ctx context.Context, r *Ring) error {
		_, err := r.Rotate(ctx, canonical.NewID())
		return err
	})
}

func (ac *actor) drop() {
	ac.start("drop", func(ctx context.Context, r *Ring) error { return r.Drop(ctx, canonical.NewID()) })
}

func (ac *actor) destroy() {
	ac.start("destroy", func(ctx context.Context, r *Ring) error {
		_, err := r.Destroy(ctx, canonical.NewID())
		return err
	})
}

func (ac *actor) purge() {
	ac.start("purge", func(ctx context.Context, r *Ring) error {
		_, err := r.Purge(ctx, canonical.NewID())
		return err
	})
}

func (ac *actor) reap() {
	ac.start("reap", func(ctx context.Context, r *Ring) error {
		_, err := r.ReapIntents(ctx)
		return err
	})
}

// gc takes whatever is not committed for old: time only chooses.
func (ac *actor) gc() {
	ac.start("gc", func(ctx context.Context, r *Ring) error {
		_, err := r.GC(ctx, ac.m.world.Clock.Now().Add(time.Hour), canonical.NewID())
		return err
	})
}

// push stores a version of some items. Each becomes a chunk, or is borrowed
// from a live version that has it if borrow is set. With resume it goes on with
// what a crash cut off.
func (ac *actor) push(items string, borrow, resume bool) {
	p := Push{Op: canonical.NewID()}
	if resume && ac.broken != nil {
		p.Resume = ac.broken
	}
	ac.start(fmt.Sprintf("push %s (borrow %v, resume %v)", items, borrow, p.Resume != nil), func(ctx context.Context, r *Ring) error {
		p.Upload = func(ctx context.Context, at Attempt) (state.Version, error) {
			ac.broken = &Resume{VID: at.VID, Key: at.Key}
			return ac.upload(ctx, r, at, items, borrow)
		}
		_, err := r.Push(ctx, p)
		if err == nil {
			ac.broken = nil
		}
		return err
	})
}

// upload stands in for the data plane.
func (ac *actor) upload(ctx context.Context, r *Ring, at Attempt, items string, borrow bool) (state.Version, error) {
	m := ac.m
	v := state.Version{Kind: "model", Classification: "internal", Secret: canonical.Sum(at.VID[:]), Digest: canonical.Sum([]byte(items))}
	refs := &manifest.References{Artefact: r.Ledger.ID, Version: at.VID, Root: "m-" + canonical.NewID().String(), RootSize: 4096}
	prefix := r.VersionPrefix(at.VID)
	if err := at.Begin(ctx); err != nil {
		return v, err
	}
	if err := r.put(ctx, prefix+"s", []byte("s of "+at.VID.String())); err != nil {
		return v, err
	}
	for _, item := range []byte(items) {
		ref, through := ac.borrowable(at.Artefact, item)
		if !borrow || through == nil {
			sum := canonical.Sum(append(at.VID[:], item))
			ref = manifest.Reference{Creator: at.VID, Name: sum.String() + "-" + hex.EncodeToString(sum[:8]), Size: 4096}
			if err := r.put(ctx, ref.Key(r.Ledger.ID), []byte(ref.Name)); err != nil {
				return v, err
			}
			m.content[ref.Key(r.Ledger.ID)] = item
		} else if !slices.Contains(v.Borrowed, through.VID) {
			v.Borrowed = append(v.Borrowed, through.VID)
		}
		refs.Objects = append(refs.Objects, ref)
	}
	root, err := r.cipher().Seal([]byte("root of "+at.VID.String()), at.Key.Recipient())
	if err != nil {
		return v, err
	}
	v.Manifest = state.Object{Key: prefix + refs.Root, SHA256: canonical.Sum(root)}
	plain, err := refs.Encode()
	if err != nil {
		return v, err
	}
	sealed, err := r.Vault.SealMetadata(plain)
	if err != nil {
		return v, err
	}
	v.References = state.Object{Key: prefix + "r-" + canonical.NewID().String(), SHA256: canonical.Sum(sealed)}
	return v, errors.Join(r.put(ctx, v.Manifest.Key, root), r.put(ctx, v.References.Key, sealed))
}

// borrowable finds a chunk with an item in the newest live version that has one.
func (ac *actor) borrowable(a *state.Artefact, item byte) (manifest.Reference, *state.CommittedVersion) {
	for _, v := range slices.Backward(a.Versions) {
		if v.State != state.Live {
			continue
		}
		refs, err := ac.m.alice.references(ac.m.ctx, v)
		if err != nil {
			continue
		}
		for _, o := range refs.Objects {
			if ac.m.content[o.Key(a.ID)] == item {
				return o, v
			}
		}
	}
	return manifest.Reference{}, nil
}

// What others do, at once.

// act notes what happens, and asks the oracles.
func (m *machine) act(what string, do func() error) bool {
	m.step++
	m.world.Clock.Advance(time.Second)
	err := do()
	m.log("%s (%v)", what, err)
	m.store.dirty = true
	m.look()
	return err == nil
}

func (m *machine) append(r *Ring, kind string, body any) error {
	if _, err := r.refresh(m.ctx); err != nil {
		return err
	}
	return r.Ledger.Append(m.ctx, kind, body, canonical.NewID())
}

// execute disposes of versions, or of the whole artefact if none is named.
func (m *machine) execute(vids ...canonical.ID) (id canonical.ID) {
	m.act(fmt.Sprintf("execute %d versions", len(vids)), func() (err error) {
		if id, err = m.world.Dispose(m.ctx, m.alice.Vault, m.bob.Vault, m.alice.Ledger.ID, vids...); err != nil {
			return err
		}
		return m.append(m.alice, state.KindExecute, state.Execute{Disposal: id, Versions: vids, Whole: len(vids) == 0})
	})
	return id
}

func (m *machine) cancel(disposal canonical.ID) bool {
	return m.act("cancel", func() error { return m.append(m.alice, state.KindCancel, state.Disposal{Disposal: disposal}) })
}

func (m *machine) hold(vids ...canonical.ID) (id canonical.ID) {
	id = canonical.NewID()
	m.act("hold", func() error {
		return m.append(m.alice, state.KindHold, state.Hold{ID: id, Versions: vids, Reason: "test"})
	})
	return id
}

func (m *machine) release(hold canonical.ID) bool {
	return m.act("release", func() error { return m.append(m.bob, state.KindRelease, state.Release{ID: hold, Reason: "test"}) })
}

// pass lets time go by.
func (m *machine) pass(d time.Duration) {
	m.act("time passes", func() error { m.world.Clock.Advance(d); return nil })
}

// revive has the keepers' owner cancel what destructions are pending.
func (m *machine) revive() {
	m.act("the keepers' owner cancels", func() error {
		for _, k := range m.world.Keepers {
			for ref := range k.CurrentState() {
				_ = k.Cancel(ref) // refused unless it is pending
			}
		}
		return nil
	})
}

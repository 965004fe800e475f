package disposal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/keyring"
	"github.com/aivault/aivault/vault/receipt"
	"github.com/aivault/aivault/vault/state"
)

// What clerks do besides pushing.

// request plans, decides whatever interlocks ask for, and requests.
func (c *clerk) request(scopes ...state.DisposalScope) {
	draft := Draft{Scope: scopes, Reason: "end of life", Decisions: map[string]string{}}
	if c.s.wrong.planHash {
		draft.Reason = "end of life of " + c.s.anyHash(scopes)
	}
	c.start("request", func(ctx context.Context, d *Desk) error {
		p, err := d.Plan(ctx, draft)
		var open *UndecidedError
		if errors.As(err, &open) {
			for _, u := range open.Open {
				draft.Decisions[u.Rule+":"+u.Name] = u.Decisions[0]
			}
			p, err = d.Plan(ctx, draft)
		}
		if err == nil {
			_, err = d.Request(ctx, p)
		}
		return err
	})
}

func (c *clerk) approve(r *state.Request) {
	c.start("approve "+r.ID.String(), func(ctx context.Context, d *Desk) error { return d.Approve(ctx, r.ID, r.Plan.SHA256) })
}

func (c *clerk) cancel(r *state.Request) {
	c.start("cancel "+r.ID.String(), func(ctx context.Context, d *Desk) error {
		_, err := d.Cancel(ctx, r.ID, "no longer")
		return err
	})
}

func (c *clerk) accept(r *state.Request) {
	c.start("accept "+r.ID.String(), func(ctx context.Context, d *Desk) error { return d.Accept(ctx, r.ID, "seen") })
}

func (c *clerk) run(r *state.Request) {
	tool := "aivault test"
	if c.s.wrong.certificateHash {
		tool += " " + c.s.anyHash(r.Scope)
	}
	c.start("run "+r.ID.String(), func(ctx context.Context, d *Desk) error {
		d.Tool = tool
		_, err := d.Run(ctx, r.ID)
		return err
	})
}

func (c *clerk) verify(r *state.Request) {
	c.start("verify "+r.ID.String(), func(ctx context.Context, d *Desk) error {
		_, err := d.Verify(ctx, r.ID)
		return err
	})
}

func (c *clerk) rotate(aid canonical.Digest) {
	if c.s.wrong.forgotten {
		c.spare(aid)
		return
	}
	c.start("rotate", func(ctx context.Context, d *Desk) error {
		_, err := d.ring(aid).Rotate(ctx, canonical.NewID())
		return err
	})
}

func (c *clerk) destroy(aid canonical.Digest) {
	c.start("destroy superseded keys", func(ctx context.Context, d *Desk) error {
		if err := d.Vault.Refresh(ctx); err != nil {
			return err
		}
		_, err := d.ring(aid).Destroy(ctx, canonical.NewID())
		return err
	})
}

func (c *clerk) purge(aid canonical.Digest) {
	if c.s.wrong.eagerPurge {
		c.erase(aid)
		return
	}
	c.start("purge", func(ctx context.Context, d *Desk) error {
		_, err := d.ring(aid).Purge(ctx, canonical.NewID())
		return err
	})
}

// gc takes whatever is not committed for old: time only chooses.
func (c *clerk) gc(aid canonical.Digest) {
	c.start("gc", func(ctx context.Context, d *Desk) error {
		_, err := d.ring(aid).GC(ctx, c.s.world.Clock.Now().Add(time.Hour), canonical.NewID())
		return err
	})
}

// append writes an entry of an artefact's journal, as the head has it.
func (c *clerk) append(what string, aid canonical.Digest, kind string, body func(*state.Artefact) any) {
	c.start(what, func(ctx context.Context, d *Desk) error {
		if err := d.Vault.Refresh(ctx); err != nil {
			return err
		}
		a, err := d.fold(ctx, aid)
		if err != nil {
			return err
		}
		return d.ring(aid).Ledger.Append(ctx, kind, body(a), canonical.NewID())
	})
}

func (c *clerk) move(aid canonical.Digest, to canonical.ID) {
	reason := ""
	if c.s.wrong.reasonHash {
		reason = "checked: " + hashOf(c.s.attempts[to])
	}
	c.append("move a channel", aid, state.KindChannel, func(a *state.Artefact) any {
		return state.Channel{Channel: "prod", From: a.Channel("prod"), To: to, Reason: reason}
	})
}

func (c *clerk) hold(aid canonical.Digest, vid canonical.ID) {
	c.append("hold", aid, state.KindHold, func(*state.Artefact) any {
		return state.Hold{ID: canonical.NewID(), Versions: []canonical.ID{vid}, Reason: "litigation"}
	})
}

func (c *clerk) release(aid canonical.Digest, hold canonical.ID) {
	c.append("release", aid, state.KindRelease, func(*state.Artefact) any { return state.Release{ID: hold, Reason: "settled"} })
}

// reader is a member as a reader.
func (s *siege) reader(name string) keyring.Reader {
	return keyring.Reader{Name: name, Recipient: s.world.Members[name].Key.Recipient()}
}

func (c *clerk) grant(aid canonical.Digest, to string) {
	c.start("grant "+to, func(ctx context.Context, d *Desk) error {
		_, err := d.ring(aid).Grant(ctx, []keyring.Reader{c.s.reader(to)}, canonical.NewID())
		return err
	})
}

func (c *clerk) revoke(aid canonical.Digest, from string) {
	c.s.revoked[from] = true
	c.start("revoke "+from, func(ctx context.Context, d *Desk) error {
		stay := func(have []keyring.Reader) ([]keyring.Reader, error) {
			return slices.DeleteFunc(slices.Clone(have), func(r keyring.Reader) bool { return r.Name == from }), nil
		}
		if err := d.Vault.Refresh(ctx); err != nil {
			return err
		}
		_, err := d.ring(aid).Replace(ctx, stay, canonical.NewID())
		return err
	})
}

// pull leaves a receipt.
func (c *clerk) pull(aid canonical.Digest, v *state.CommittedVersion) {
	r := receipt.Receipt{ID: canonical.NewID(), Artefact: aid, Version: v.VID, Digest: v.Digest, By: c.vault.Author(),
		Time: entry.At(c.s.world.Clock.Now()), Host: "serving-1", Labels: map[string]string{"pod": "a"}}
	at := c.s.attempts[v.VID]
	if c.s.wrong.receiptHash {
		r.Labels["sha256"] = hashOf(at)
	}
	if c.s.wrong.receiptSalt {
		r.Labels["salt"] = canonical.Digest(at.salt.Reveal()).String()
	}
	c.start(fmt.Sprintf("receipt of v%d", v.Number), func(ctx context.Context, d *Desk) error {
		sealed, err := receipt.Seal(ctx, r, c.s.world.Members[c.Name].Identity.Signing(), d.Vault.SealMetadata)
		if err != nil {
			return err
		}
		return d.ring(aid).PutOnce(ctx, r.Key(), sealed)
	})
}

// scopeOf draws what of an artefact to dispose of: a version or two that live,
// or all of it.
func (s *siege) scopeOf(aid canonical.Digest, whole bool) (state.DisposalScope, bool) {
	live := s.in(aid, state.Live)
	if whole {
		return scope(aid), len(live) > 0
	}
	if len(live) == 0 {
		return state.DisposalScope{}, false
	}
	n := s.rng.IntN(len(live))
	return scope(aid, live[n:min(len(live), n+1+s.rng.IntN(2))]...), true
}

// in returns the versions of an artefact in some state.
func (s *siege) in(aid canonical.Digest, in state.VersionState) []*state.CommittedVersion {
	var out []*state.CommittedVersion
	for _, v := range s.state(aid).Versions {
		if v.State == in {
			out = append(out, v)
		}
	}
	return out
}

// held returns the holds in force on an artefact.
func (s *siege) held(aid canonical.Digest) []canonical.ID {
	var out []canonical.ID
	for _, v := range s.state(aid).Versions {
		for _, h := range v.Holds {
			out = append(out, h.ID)
		}
	}
	return out
}

// revive has the keepers' owner cancel what destructions are pending.
func (s *siege) revive() {
	for _, k := range s.world.Keepers {
		for ref := range k.CurrentState() {
			_ = k.Cancel(ref) // refused unless it is pending
		}
	}
	s.store.dirty = true
	s.log("the keepers' owner cancels")
	s.look()
}

// ended reports whether an artefact is to take no more.
func (s *siege) ended(aid canonical.Digest) bool {
	a := s.state(aid)
	return a.Whole || a.Ended
}

// approvable reports whether a request waits for approval.
func approvable(r *state.Request) bool { ok, _ := r.Approved(); return !ok && !r.Cancelled }

// Package custodytest holds a keeper to its contract: an importable table of
// named rules, which run in a test, through the plugin wire, and from a command
// on anybody's keeper. It also has the doubles that tests of a keeper's users
// need: [Mem], a keeper in memory that shows its state, [Faulty], one that fails
// as told, and [Alternating], several openings of one keeper.
package custodytest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/aivault/aivault/crypto/custody"
)

// Check is one rule of the contract and the way to find it broken. Run makes
// its own keys, under labels that begin with "custodytest-" and a random part,
// and destroys them at the end. It may be run on a keeper in use, which then
// remembers those labels for ever. A keeper whose destructions stay pending
// passes too.
type Check struct {
	Name string
	Rule string // the sentence of the contract that a failure breaks
	Run  func(ctx context.Context, k custody.Keeper) error
}

// Checks returns every rule that one open keeper can be held to.
func Checks() []Check {
	return slices.Concat(createChecks(), wrapChecks(), destroyChecks(), lookChecks(), sharedChecks())
}

// Run holds the keeper that open returns to every rule, and to what must hold
// when the same keeper is opened again by reopen, as another process would.
func Run(t *testing.T, open func(t *testing.T) (k custody.Keeper, reopen func() (custody.Keeper, error))) {
	k, reopen := open(t)
	for _, c := range Checks() {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Run(t.Context(), k); err != nil {
				t.Errorf("%v\nrule: %s", err, c.Rule)
			}
		})
	}
	t.Run("reopen", func(t *testing.T) {
		if err := CheckReopened(t.Context(), k, reopen); err != nil {
			t.Errorf("%v\nrule: %s", err, ReopenRule)
		}
	})
}

// ReopenRule is the rule that CheckReopened holds a keeper to.
const ReopenRule = "what a keeper said holds for whoever opens it later: one instance for ever, living keys open what they wrapped, dead ones stay dead"

// CheckReopened holds a keeper to ReopenRule.
func CheckReopened(ctx context.Context, k custody.Keeper, reopen func() (custody.Keeper, error)) error {
	return on(ctx, k, func(b *bench) error {
		alive, err := b.create("alive")
		if err != nil {
			return err
		}
		dead, err := b.create("dead")
		if err != nil {
			return err
		}
		context, secret := random32(), randomSecret(32)
		wrapped, err := b.wrap(alive, context, secret)
		if err != nil {
			return err
		}
		if _, err := b.destroy(dead); err != nil {
			return err
		}
		before, err := k.Profile(ctx)
		if err != nil {
			return fmt.Errorf("profile: %w", err)
		}
		again, err := reopen()
		if err != nil {
			return fmt.Errorf("reopen: %w", err)
		}
		after, err := again.Profile(ctx)
		if err != nil {
			return fmt.Errorf("profile of the reopened keeper: %w", err)
		}
		if after.Instance != before.Instance || after.Kind != before.Kind {
			return fmt.Errorf("instance was %s %q, is %s %q when opened again", before.Kind, before.Instance, after.Kind, after.Instance)
		}
		r := &bench{ctx: ctx, k: again, run: b.run}
		if err := r.opens(alive, context, wrapped, secret); err != nil {
			return fmt.Errorf("reopened: %w", err)
		}
		if ref, err := again.Create(ctx, b.label("alive")); err != nil || ref != alive {
			return fmt.Errorf("reopened: creating the same label gives %q, %v; it was %q", ref, err, alive)
		}
		if err := r.isDead(dead, "dead"); err != nil {
			return fmt.Errorf("reopened: %w", err)
		}
		return nil
	})
}

// bench is what one run of one check works with.
type bench struct {
	ctx  context.Context
	k    custody.Keeper
	run  string // random part of every label
	made []custody.KeyRef
}

// on runs a check and then destroys the keys that it made.
func on(ctx context.Context, k custody.Keeper, check func(*bench) error) error {
	b := &bench{ctx: ctx, k: k, run: randomHex()[:16]}
	err := check(b)
	for _, ref := range b.made {
		if _, derr := k.Destroy(ctx, ref); derr != nil && err == nil {
			err = fmt.Errorf("destroy %s at the end of the check: %w", ref, derr)
		}
	}
	return err
}

func check(name, rule string, f func(*bench) error) Check {
	return Check{Name: name, Rule: rule, Run: func(ctx context.Context, k custody.Keeper) error { return on(ctx, k, f) }}
}

func (b *bench) label(name string) string { return "custodytest-" + b.run + "-" + name }

func (b *bench) create(name string) (custody.KeyRef, error) {
	ref, err := b.k.Create(b.ctx, b.label(name))
	if err != nil {
		return "", fmt.Errorf("create %s: %w", name, err)
	}
	b.made = append(b.made, ref)
	return ref, nil
}

func (b *bench) wrap(ref custody.KeyRef, context [32]byte, secret []byte) ([]byte, error) {
	w, err := b.k.Wrap(b.ctx, ref, context, secret)
	if err != nil {
		return nil, fmt.Errorf("wrap %d bytes under %s: %w", len(secret), ref, err)
	}
	return w, nil
}

// sample returns a key with a wrapping of a random secret.
func (b *bench) sample(name string) (ref custody.KeyRef, context [32]byte, wrapped, secret []byte, err error) {
	if ref, err = b.create(name); err != nil {
		return
	}
	context, secret = random32(), randomSecret(32)
	wrapped, err = b.wrap(ref, context, secret)
	return
}

// opens checks that a wrapping opens to secret.
func (b *bench) opens(ref custody.KeyRef, context [32]byte, wrapped, secret []byte) error {
	got, err := b.k.Unwrap(b.ctx, ref, context, wrapped)
	if err != nil {
		return fmt.Errorf("unwrap %d bytes under %s: %w", len(secret), ref, err)
	}
	if !bytes.Equal(got, secret) {
		return fmt.Errorf("unwrapping gives %d other bytes than the %d that were wrapped", len(got), len(secret))
	}
	return nil
}

// refuses checks that a wrapping does not open, and for the right reason.
func (b *bench) refuses(what string, ref custody.KeyRef, context [32]byte, wrapped []byte, kind error) error {
	_, err := b.k.Unwrap(b.ctx, ref, context, wrapped)
	return want(what, err, kind)
}

func (b *bench) destroy(ref custody.KeyRef) (custody.Destruction, error) {
	d, err := b.k.Destroy(b.ctx, ref)
	if err != nil {
		return d, fmt.Errorf("destroy %s: %w", ref, err)
	}
	if d.State != custody.Destroyed && d.State != custody.Pending {
		return d, fmt.Errorf("destroy %s is acknowledged with state %d, neither Destroyed nor Pending", ref, d.State)
	}
	return d, nil
}

// isDead checks that a destroyed key serves nobody.
func (b *bench) isDead(ref custody.KeyRef, name string) error {
	if _, err := b.k.Wrap(b.ctx, ref, [32]byte{}, []byte{1}); !errors.Is(err, custody.ErrDestroyed) {
		return want("wrap under a destroyed key", err, custody.ErrDestroyed)
	}
	if err := b.refuses("unwrap under a destroyed key", ref, [32]byte{}, []byte("any bytes"), custody.ErrDestroyed); err != nil {
		return err
	}
	if _, err := b.k.Create(b.ctx, b.label(name)); !errors.Is(err, custody.ErrDestroyed) {
		return want("create with the label of a destroyed key", err, custody.ErrDestroyed)
	}
	s, err := b.k.Status(b.ctx, ref)
	if err != nil {
		return fmt.Errorf("status of a destroyed key: %w", err)
	}
	if s.State != custody.Destroyed && s.State != custody.Pending {
		return fmt.Errorf("status of a destroyed key: state %d", s.State)
	}
	return nil
}

// want says what was expected where err is of another kind.
func want(what string, err, kind error) error {
	if errors.Is(err, kind) {
		return nil
	}
	if err == nil {
		return fmt.Errorf("%s: succeeded, want %q", what, kind)
	}
	return fmt.Errorf("%s: want %q, got: %w", what, kind, err)
}

func random32() (b [32]byte) {
	rand.Read(b[:])
	return b
}

func randomSecret(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

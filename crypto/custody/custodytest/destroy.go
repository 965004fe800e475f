package custodytest

import (
	"bytes"
	"fmt"

	"github.com/aivault/aivault/crypto/custody"
)

func destroyChecks() []Check {
	return []Check{
		check("destroy", "a destroyed key neither wraps nor unwraps nor comes back under its label: ErrDestroyed", func(b *bench) error {
			ref, context, wrapped, _, err := b.sample("a")
			if err != nil {
				return err
			}
			if _, err := b.destroy(ref); err != nil {
				return err
			}
			if err := b.refuses("unwrap under a destroyed key", ref, context, wrapped, custody.ErrDestroyed); err != nil {
				return err
			}
			return b.isDead(ref, "a")
		}),
		check("destroy-unused", "a key that never wrapped anything is destroyed like any other", func(b *bench) error {
			ref, err := b.create("a")
			if err != nil {
				return err
			}
			if _, err := b.destroy(ref); err != nil {
				return err
			}
			return b.isDead(ref, "a")
		}),
		check("destroy-acknowledged", "a destruction names its key, its time and its state, with at most 4 KiB of evidence and no secret in it", func(b *bench) error {
			ref, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			d, err := b.destroy(ref)
			if err != nil {
				return err
			}
			switch {
			case d.Ref != ref:
				return fmt.Errorf("destruction of %q names %q", ref, d.Ref)
			case d.At.IsZero():
				return fmt.Errorf("destruction has no time")
			case d.State == custody.Destroyed && !d.Until.IsZero():
				return fmt.Errorf("destroyed, yet pending until %v", d.Until)
			case d.State == custody.Pending && d.Until.IsZero() && len(d.Evidence) == 0:
				return fmt.Errorf("pending, and says neither until when nor for what")
			case len(d.Evidence) > custody.MaxEvidence:
				return fmt.Errorf("evidence has %d bytes, the limit is %d", len(d.Evidence), custody.MaxEvidence)
			case bytes.Contains(d.Evidence, secret), bytes.Contains(d.Evidence, wrapped), bytes.Contains(d.Evidence, []byte("SECRET-KEY")):
				return fmt.Errorf("evidence contains a secret")
			}
			s, err := b.k.Status(b.ctx, ref)
			if err != nil {
				return fmt.Errorf("status: %w", err)
			}
			if d.State == custody.Destroyed && s.State != custody.Destroyed {
				return fmt.Errorf("acknowledged as destroyed, then state %d", s.State)
			}
			if s.State == custody.Destroyed && s.Since.IsZero() {
				return fmt.Errorf("status Destroyed has no time")
			}
			return b.refuses("unwrap", ref, context, wrapped, custody.ErrDestroyed)
		}),
		check("destroy-again", "repeating Destroy is no error and acknowledges the same", func(b *bench) error {
			ref, err := b.create("a")
			if err != nil {
				return err
			}
			one, err := b.destroy(ref)
			if err != nil {
				return err
			}
			for range 3 {
				two, err := b.destroy(ref)
				if err != nil {
					return fmt.Errorf("again: %w", err)
				}
				if two.Ref != one.Ref || two.State < one.State {
					return fmt.Errorf("first acknowledged %q with state %d, then %q with state %d", one.Ref, one.State, two.Ref, two.State)
				}
				if one.State == custody.Pending && two.State == custody.Pending && two.Until.Before(one.Until) {
					return fmt.Errorf("pending until %v, then until %v: it was to live longer", one.Until, two.Until)
				}
			}
			return b.isDead(ref, "a")
		}),
		check("destroy-one", "destroying a key affects no other", func(b *bench) error {
			ref, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			for _, name := range []string{"a-", "a0", "b"} {
				other, err := b.create(name)
				if err != nil {
					return err
				}
				if _, err := b.destroy(other); err != nil {
					return err
				}
				if err := b.opens(ref, context, wrapped, secret); err != nil {
					return fmt.Errorf("after destroying %s beside it: %w", name, err)
				}
			}
			if again, err := b.create("a"); err != nil || again != ref {
				return fmt.Errorf("its label now gives %q, %v; it was %q", again, err, ref)
			}
			s, err := b.k.Status(b.ctx, ref)
			if err != nil {
				return fmt.Errorf("status: %w", err)
			}
			if s.State != custody.Alive {
				return fmt.Errorf("state is %d, want Alive", s.State)
			}
			return nil
		}),
	}
}

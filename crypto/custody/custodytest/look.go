package custodytest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/aivault/aivault/crypto/custody"
)

// minStrength is the weakest wrapping that is fit to keep a vault, in bits.
const minStrength = 128

func lookChecks() []Check {
	return []Check{
		check("status-alive", "a created key is Alive, under its ref and label, since a time", func(b *bench) error {
			ref, err := b.create("a")
			if err != nil {
				return err
			}
			s, err := b.k.Status(b.ctx, ref)
			if err != nil {
				return fmt.Errorf("status: %w", err)
			}
			if s.Ref != ref || s.Label != b.label("a") || s.State != custody.Alive || s.Since.IsZero() || !s.Until.IsZero() {
				return fmt.Errorf("status of %q, label %q, is %+v", ref, b.label("a"), s)
			}
			return nil
		}),
		check("list", "List yields every key once whose label starts with the prefix, destroyed ones included", func(b *bench) error {
			refs := map[string]custody.KeyRef{}
			for _, name := range []string{"x", "x-1", "x-2", "y-1"} {
				ref, err := b.create(name)
				if err != nil {
					return err
				}
				refs[name] = ref
			}
			if _, err := b.destroy(refs["x-2"]); err != nil {
				return err
			}
			for prefix, names := range map[string][]string{
				b.label(""):    {"x", "x-1", "x-2", "y-1"},
				b.label("x"):   {"x", "x-1", "x-2"},
				b.label("x-"):  {"x-1", "x-2"},
				b.label("x-1"): {"x-1"},
				b.label("z"):   {},
			} {
				got, err := b.list(prefix)
				if err != nil {
					return err
				}
				for _, name := range names {
					if got[refs[name]] != 1 {
						return fmt.Errorf("list %q yields the key of %s %d times, want once", prefix, name, got[refs[name]])
					}
				}
				if len(got) != len(names) {
					return fmt.Errorf("list %q yields %d keys, want %d", prefix, len(got), len(names))
				}
			}
			all, err := b.list("")
			if err != nil {
				return err
			}
			for name, ref := range refs {
				if all[ref] != 1 {
					return fmt.Errorf("list of all yields the key of %s %d times, want once", name, all[ref])
				}
			}
			return nil
		}),
		check("list-stops", "List stops when its caller does, and refuses what no label starts with", func(b *bench) error {
			for _, name := range []string{"a", "b"} {
				if _, err := b.create(name); err != nil {
					return err
				}
			}
			n := 0
			for _, err := range b.k.List(b.ctx, b.label("")) {
				if err != nil {
					return fmt.Errorf("list: %w", err)
				}
				n++
				break
			}
			if n != 1 {
				return fmt.Errorf("list yields %d keys where there are two", n)
			}
			for _, bad := range []string{"A", "a/", ".", "../", strings.Repeat("x", custody.MaxLabel+1)} {
				_, err := b.list(bad)
				if err := want(fmt.Sprintf("list prefix %q", bad), err, custody.ErrInvalid); err != nil {
					return err
				}
			}
			return nil
		}),
		check("cancelled", "a call whose context is done returns its error and has no effect", func(b *bench) error {
			ref, sealed, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			ctx, cancel := context.WithCancel(b.ctx)
			cancel()
			calls := map[string]func() error{
				"create":  func() error { _, err := b.k.Create(ctx, b.label("b")); return err },
				"wrap":    func() error { _, err := b.k.Wrap(ctx, ref, sealed, secret); return err },
				"unwrap":  func() error { _, err := b.k.Unwrap(ctx, ref, sealed, wrapped); return err },
				"destroy": func() error { _, err := b.k.Destroy(ctx, ref); return err },
				"status":  func() error { _, err := b.k.Status(ctx, ref); return err },
				"profile": func() error { _, err := b.k.Profile(ctx); return err },
				"list": func() error {
					for _, err := range b.k.List(ctx, b.label("")) {
						if err != nil {
							return err
						}
					}
					return nil
				},
			}
			for name, call := range calls {
				if err := want(name+" with a cancelled context", call(), context.Canceled); err != nil {
					return err
				}
			}
			if err := b.opens(ref, sealed, wrapped, secret); err != nil {
				return fmt.Errorf("after a cancelled destroy: %w", err)
			}
			got, err := b.list(b.label("b"))
			if err == nil && len(got) != 0 {
				return errors.New("a cancelled create made a key")
			}
			return err
		}),
		check("profile", "a profile is stable, says who and what the keeper is, and its wrapping is symmetric with at least 128 bits or hybrid", func(b *bench) error {
			p, err := b.k.Profile(b.ctx)
			if err != nil {
				return fmt.Errorf("profile: %w", err)
			}
			again, err := b.k.Profile(b.ctx)
			if err != nil {
				return fmt.Errorf("profile: %w", err)
			}
			if !reflect.DeepEqual(p, again) {
				return fmt.Errorf("profile was %+v, is %+v", p, again)
			}
			if err := custody.CheckRef(custody.KeyRef(p.Instance)); err != nil {
				return fmt.Errorf("instance %q is not of the form of a ref: %w", p.Instance, err)
			}
			switch {
			case custody.CheckLabel(p.Kind) != nil:
				return fmt.Errorf("kind %q is not of the form of a label", p.Kind)
			case p.Algorithm == "":
				return errors.New("no algorithm")
			case p.Strength < minStrength:
				return fmt.Errorf("strength of %d bits", p.Strength)
			case !p.PostQuantum:
				return errors.New("wrapping is neither symmetric nor hybrid")
			case p.BackupRetention == "":
				return errors.New("does not say how long a copy of a destroyed key may live on, not even \"unknown\"")
			case p.DeletionDelay < 0:
				return fmt.Errorf("deletion delay of %v", p.DeletionDelay)
			}
			for _, s := range append(append([]string{}, p.Notes...), p.Certificates...) {
				if s == "" || strings.ContainsAny(s, "\n\r\x00") {
					return fmt.Errorf("note or certificate %q is not a line of text", s)
				}
			}
			return nil
		}),
	}
}

// list counts the refs under a prefix and checks that each has a status.
func (b *bench) list(prefix string) (map[custody.KeyRef]int, error) {
	got := map[custody.KeyRef]int{}
	for ref, err := range b.k.List(b.ctx, prefix) {
		if err != nil {
			return got, fmt.Errorf("list %q: %w", prefix, err)
		}
		got[ref]++
	}
	return got, nil
}

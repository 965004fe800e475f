package custodytest

import (
	"fmt"
	"strings"
	"sync"

	"github.com/aivault/aivault/crypto/custody"
)

func createChecks() []Check {
	return []Check{
		check("create-idempotent", "the same label gives the same key", func(b *bench) error {
			ref, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			again, err := b.create("a")
			if err != nil {
				return err
			}
			if again != ref {
				return fmt.Errorf("one label gives refs %q and %q", ref, again)
			}
			return b.opens(again, context, wrapped, secret)
		}),
		check("create-racing", "the same label gives the same key, also from racing callers", func(b *bench) error {
			const callers = 32
			var refs [callers]custody.KeyRef
			var errs [callers]error
			var wg sync.WaitGroup
			for i := range callers {
				wg.Go(func() { refs[i], errs[i] = b.k.Create(b.ctx, b.label("race")) })
			}
			wg.Wait()
			for i := range callers {
				if errs[i] != nil {
					return fmt.Errorf("caller %d of %d: %w", i, callers, errs[i])
				}
				if refs[i] != refs[0] {
					return fmt.Errorf("%d callers of one label got refs %q and %q", callers, refs[0], refs[i])
				}
			}
			b.made = append(b.made, refs[0])
			context, secret := random32(), randomSecret(32)
			wrapped, err := b.wrap(refs[0], context, secret)
			if err != nil {
				return err
			}
			return b.opens(refs[callers-1], context, wrapped, secret)
		}),
		check("label-rules", "labels match [a-z0-9-]+, at most 100 bytes, else ErrInvalid", func(b *bench) error {
			long := b.label("")
			long += strings.Repeat("z", custody.MaxLabel-len(long))
			ref, err := b.k.Create(b.ctx, long)
			if err != nil {
				return fmt.Errorf("create with a label of %d bytes: %w", len(long), err)
			}
			b.made = append(b.made, ref)
			for _, bad := range []string{"", long + "z", "A", "a.b", "a/b", "../a", "a b", "a_b", "a\n", "a\x00", "é", "\xff"} {
				ref, err := b.k.Create(b.ctx, bad)
				if err == nil {
					b.made = append(b.made, ref)
				}
				if err := want(fmt.Sprintf("create with label %q", bad), err, custody.ErrInvalid); err != nil {
					return err
				}
			}
			return nil
		}),
		check("ref-form", "a ref is 1 to 200 printable ASCII bytes without spaces, else ErrInvalid", func(b *bench) error {
			ref, err := b.create("a")
			if err != nil {
				return err
			}
			if err := custody.CheckRef(ref); err != nil {
				return fmt.Errorf("issued ref: %w", err)
			}
			for _, bad := range []custody.KeyRef{"", "a b", ref + "\n", ref + " ", "\x00", "é", custody.KeyRef(strings.Repeat("x", custody.MaxRef+1))} {
				if err := b.refuses(fmt.Sprintf("unwrap under malformed ref %q", bad), bad, [32]byte{}, []byte{1}, custody.ErrInvalid); err != nil {
					return err
				}
				if _, err := b.k.Status(b.ctx, bad); want("", err, custody.ErrInvalid) != nil {
					return want(fmt.Sprintf("status of malformed ref %q", bad), err, custody.ErrInvalid)
				}
				if _, err := b.k.Destroy(b.ctx, bad); want("", err, custody.ErrInvalid) != nil {
					return want(fmt.Sprintf("destroy malformed ref %q", bad), err, custody.ErrInvalid)
				}
			}
			return nil
		}),
		check("distinct-labels", "distinct labels have distinct keys", func(b *bench) error {
			a, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			other, err := b.create("a-") // its prefix is another's label
			if err != nil {
				return err
			}
			if a == other {
				return fmt.Errorf("two labels have one ref %q", a)
			}
			if err := b.refuses("unwrap under another key", other, context, wrapped, custody.ErrMismatch); err != nil {
				return err
			}
			return b.opens(a, context, wrapped, secret)
		}),
		check("unknown-ref", "a ref never issued is ErrNotFound, and its status Unknown", func(b *bench) error {
			ref, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			last := "0"
			if strings.HasSuffix(string(ref), last) {
				last = "1"
			}
			for _, unknown := range []custody.KeyRef{
				custody.KeyRef("custodytest-never-" + b.run), ref[:len(ref)-1] + custody.KeyRef(last), ref + "0",
				"..", "../" + ref, "/etc/passwd", "k/" + ref, "*",
			} {
				if custody.CheckRef(unknown) != nil {
					continue // the issued ref is of full length
				}
				what := fmt.Sprintf("unknown ref %q: ", unknown)
				if err := b.refuses(what+"unwrap", unknown, context, wrapped, custody.ErrNotFound); err != nil {
					return err
				}
				_, err := b.k.Wrap(b.ctx, unknown, context, secret)
				if err := want(what+"wrap", err, custody.ErrNotFound); err != nil {
					return err
				}
				_, err = b.k.Destroy(b.ctx, unknown)
				if err := want(what+"destroy", err, custody.ErrNotFound); err != nil {
					return err
				}
				s, err := b.k.Status(b.ctx, unknown)
				if err != nil {
					return fmt.Errorf("%sstatus: %w", what, err)
				}
				if s.State != custody.Unknown {
					return fmt.Errorf("%sstatus: state %d, want Unknown", what, s.State)
				}
			}
			return b.opens(ref, context, wrapped, secret)
		}),
	}
}

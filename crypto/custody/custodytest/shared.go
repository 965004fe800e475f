package custodytest

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/aivault/aivault/crypto/custody"
)

func sharedChecks() []Check {
	return []Check{
		check("concurrent", "all methods are safe for concurrent use, and what starts after a Destroy returned sees a dead key", func(b *bench) error {
			ref, context, wrapped, secret, err := b.sample("a")
			if err != nil {
				return err
			}
			other, err := b.create("b")
			if err != nil {
				return err
			}
			var dead, over atomic.Bool
			// use calls one method and judges its answer by what was known before it.
			use := func(call func() error) (refused bool, err error) {
				was := dead.Load()
				switch err := call(); {
				case err == nil && was:
					return false, errors.New("succeeded after Destroy had returned")
				case err != nil && !errors.Is(err, custody.ErrDestroyed):
					return false, fmt.Errorf("beside a Destroy: %w", err)
				default:
					return err != nil, nil
				}
			}
			calls := []func() error{
				func() error {
					got, err := b.k.Unwrap(b.ctx, ref, context, wrapped)
					if err == nil && !bytes.Equal(got, secret) {
						return errors.New("unwraps to other bytes")
					}
					return err
				},
				func() error { _, err := b.k.Wrap(b.ctx, ref, context, secret); return err },
				func() error {
					got, err := b.k.Create(b.ctx, b.label("a"))
					if err == nil && got != ref {
						return fmt.Errorf("the label gives %q, it was %q", got, ref)
					}
					return err
				},
				func() error {
					s, err := b.k.Status(b.ctx, ref)
					if err == nil && s.State != custody.Alive {
						return custody.ErrDestroyed
					}
					return err
				},
			}
			const destroyers = 4
			errs := make([]error, len(calls)+destroyers+1)
			var started, workers sync.WaitGroup
			started.Add(len(calls))
			for i, call := range calls {
				workers.Go(func() {
					for n, gone := 0, false; ; n++ {
						last := over.Load()
						refused, err := use(call)
						if err == nil && gone && !refused {
							err = errors.New("succeeded after ErrDestroyed")
						}
						gone = refused
						if n == 0 {
							started.Done()
						}
						if errs[i] = err; err != nil || last {
							return
						}
					}
				})
			}
			for i := range destroyers {
				workers.Go(func() {
					started.Wait()
					_, err := b.destroy(ref)
					if errs[len(calls)+i] = err; err == nil {
						dead.Store(true)
					}
					over.Store(true)
				})
			}
			workers.Go(func() {
				started.Wait()
				for range 3 {
					w, err := b.wrap(other, context, secret)
					if err == nil {
						err = b.opens(other, context, w, secret)
					}
					if err != nil {
						errs[len(errs)-1] = fmt.Errorf("another key meanwhile: %w", err)
						return
					}
				}
			})
			workers.Wait()
			return errors.Join(errs...)
		}),
	}
}

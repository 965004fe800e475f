package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

// origin reads the flags of push that say where a version comes from.
func (c *call) origin(addressed string, o *vault.PushOptions) error {
	urls := c.flags.StringSlice("source-url")
	acquired, err := c.when("acquired")
	switch {
	case err != nil:
		return err
	case len(urls) > 0 && acquired.IsZero():
		return usage("--source-url needs --acquired: when it was got there")
	case len(urls) == 0 && !acquired.IsZero():
		return usage("--acquired needs --source-url: where it was got")
	}
	for _, text := range urls {
		url, err := naming.ParseSource(text)
		if err != nil {
			return usage("--source-url: %w", err)
		}
		o.Sources = append(o.Sources, state.Source{URL: url, Acquired: entry.At(acquired)})
	}
	for _, text := range c.flags.StringSlice("derived-from") {
		at, ref, role, err := naming.ParseRelation(text)
		if err != nil {
			return usage("--derived-from: %w", err)
		}
		if at != "" && at != addressed {
			return usage("--derived-from %q is in another vault", text)
		}
		o.DerivedFrom = append(o.DerivedFrom, vault.Derivation{Ref: ref, Role: role})
	}
	switch text := c.flags.String("lineage"); text {
	case "complete":
		o.Complete = true
	case "", "incomplete":
	default:
		return usage("--lineage %q: write complete or incomplete", text)
	}
	o.Justification = c.flags.String("justification")
	if o.Justification != "" {
		if _, err := os.Stat(o.Justification); errors.Is(err, fs.ErrNotExist) {
			return usage("--justification %s: there is no such file", o.Justification)
		}
	}
	return nil
}

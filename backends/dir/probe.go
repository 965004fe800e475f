package dir

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/backends"
)

// Probe implements [backends.Store]. A file system without hard links is
// Invalid. One that is shared over a network is noted: only its own server can
// make link(2) atomic between machines, and no probe from one of them shows it.
func (s *Store) Probe(ctx context.Context) (backends.Capabilities, error) {
	s.sweep()
	if err := s.probeLink(); err != nil {
		return backends.Capabilities{}, failure("probe", "", 0, err)
	}
	c, err := backends.ProbeStore(ctx, s, s.now)
	c.RefusesBadHash, c.RefusesAnonymous = true, true
	c.Notes = append(c.Notes, "snapshots and backups of the file system cannot be seen from here")
	f, oerr := s.root.Open(".")
	if oerr != nil {
		return c, err
	}
	defer f.Close()
	if note := describe(f); note != "" {
		c.Notes = append(c.Notes, note)
	}
	return c, err
}

// probeLink fails if the file system cannot make hard links.
func (s *Store) probeLink() error {
	f, name, err := s.temp()
	if err != nil {
		return err
	}
	defer s.root.Remove(name)
	if err := f.Close(); err != nil {
		return err
	}
	second := name + "-link"
	if err := s.link(name, second); err != nil {
		return fmt.Errorf("%w: this file system cannot make hard links, without which two writers could overwrite each other: %w", backends.Invalid, err)
	}
	return s.root.Remove(second)
}

package main

import (
	"context"
	"fmt"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
	"github.com/aivault/aivault/vault/manifest"
	"github.com/aivault/aivault/vault/transfer"
)

// setting is a way to push.
type setting struct {
	name string
	set  func(*transfer.Push)
}

// settings are those that a push is measured with, the default first.
func settings() []setting {
	return []setting{{pushFull, func(*transfer.Push) {}}, {pushPlain, func(p *transfer.Push) { p.Raw = true }}}
}

// setting by name, and whether there is one.
func settingOf(name string) (setting, bool) {
	for _, s := range settings() {
		if s.name == name {
			return s, true
		}
	}
	return setting{}, false
}

// checkSettings refuses to measure a push that encodes under the name of one that
// does not. encodes says whether the program has a flag for it.
func checkSettings(encodes bool) error {
	if _, ok := settingOf(pushFull); ok != encodes {
		return fmt.Errorf("the program encodes: %v, and the settings that the library is measured with: %v", encodes, ok)
	}
	return nil
}

// What the library is measured at.
const (
	pushFull  = "push, full"
	pushPlain = "push, encoding off"
	pullFull  = "pull"
)

// library is a version as it is without a vault around it: what entries and
// keepers would hold stands in memory.
type library struct {
	store    backends.Store
	artefact canonical.Digest
	metadata *seal.Identity
}

func newLibrary(store backends.Store) (*library, error) {
	id, err := seal.GenerateIdentity()
	return &library{store, canonical.Sum([]byte("bench")), id}, err
}

// push pushes a tree as a new version.
func (l *library) push(ctx context.Context, tree *transfer.Tree, s setting) (transfer.Source, error) {
	id, err := seal.GenerateIdentity()
	if err != nil {
		return transfer.Source{}, err
	}
	p := &transfer.Push{Store: l.store, Artefact: l.artefact, Version: canonical.NewID(), Recipient: id.Recipient(),
		Metadata: l.metadata.Recipient(), Secret: manifest.NewSecret()}
	s.set(p)
	done, err := p.Run(ctx, tree, nil)
	if err != nil {
		return transfer.Source{}, err
	}
	return transfer.Source{Store: l.store, Artefact: l.artefact, Version: p.Version, Manifest: done.Manifest, References: done.References,
		Digest: done.Digest, Identity: id, OpenMetadata: func(sealed []byte) ([]byte, error) { return seal.OpenShared(sealed, l.metadata) }}, nil
}

// discarding is a store that keeps nothing.
type discarding struct{ backends.Store }

func (discarding) Put(_ context.Context, key string, body []byte) (backends.Info, error) {
	return backends.Info{Ref: backends.Ref{Key: key}, Size: int64(len(body))}, nil
}

// stepPush measures pushes of a directory to a store that keeps nothing.
func stepPush(ctx context.Context, args []string) (map[string]spent, error) {
	l, err := newLibrary(discarding{mem.New(mem.Options{})})
	if err != nil {
		return nil, err
	}
	out := make(map[string]spent)
	for _, s := range settings() {
		tree, err := transfer.Scan(ctx, args[:1], transfer.ScanOptions{})
		if err != nil {
			return nil, err
		}
		file := args[1]
		if s.name != settings()[0].name {
			file = "" // one profile, of what is the default
		}
		if out[s.name], err = profiled(file, tree.Bytes, func() error { _, err := l.push(ctx, tree, s); return err }); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return out, nil
}

// stepPull measures a pull of a directory from memory, of what is not encoded.
func stepPull(ctx context.Context, args []string) (map[string]spent, error) {
	l, err := newLibrary(mem.New(mem.Options{}))
	if err != nil {
		return nil, err
	}
	tree, err := transfer.Scan(ctx, args[:1], transfer.ScanOptions{})
	if err != nil {
		return nil, err
	}
	plain, ok := settingOf(pushPlain)
	if !ok {
		return nil, fmt.Errorf("no setting %q", pushPlain)
	}
	source, err := l.push(ctx, tree, plain)
	if err != nil {
		return nil, err
	}
	took, err := profiled(args[2], tree.Bytes, func() error {
		v, err := transfer.Open(ctx, source)
		if err != nil {
			return err
		}
		_, err = v.Pull(ctx, args[1], transfer.PullOptions{})
		return err
	})
	return map[string]spent{pullFull: took}, err
}

package transfer

import (
	"context"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/aivault/aivault/vault/manifest"
)

// ErrNoTensor means that no tensor has a name that was asked for.
var ErrNoTensor = errors.New("no such tensor")

// Tensors returns the tensors whose names match a pattern, each once, in the order
// of names and files: those of the files that include (all, if it is empty) and
// exclude select. A pattern is a name, or what path.Match takes, where * stands
// for anything, slashes too. Of the manifest it reads the parts that can list
// such names. ErrNoTensor: a pattern matches none. ErrIntegrity: a part does not verify.
func (v *Version) Tensors(ctx context.Context, patterns, include, exclude []string) ([]manifest.Tensor, error) {
	names := make([]namePattern, len(patterns))
	for i, p := range patterns {
		names[i] = compileName(p)
	}
	in, err := compileGlobs(include)
	if err != nil {
		return nil, err
	}
	out, err := compileGlobs(exclude)
	if err != nil {
		return nil, err
	}
	may := func(ref, next *manifest.Ref) bool {
		return slices.ContainsFunc(names, func(n namePattern) bool { return n.mayMatch(ref, next) })
	}
	var found []manifest.Tensor
	matched := make([]bool, len(names))
	for l, err := range v.tensorParts(ctx, may) {
		if err == nil {
			err = l.err
		}
		if err != nil {
			return nil, err
		}
		for _, t := range l.tensors.Tensors {
			if len(include) > 0 && !in.match(t.File) || out.match(t.File) {
				continue
			}
			any := false
			for i := range names {
				if names[i].match(t.Name) {
					matched[i], any = true, true
				}
			}
			if !any {
				continue
			}
			if n := len(found); n > 0 && t.Compare(&found[n-1]) <= 0 {
				return nil, damaged(l.ref.Key(v.Artefact), fmt.Errorf("tensor %.100q after %.100q", t.Name, found[n-1].Name))
			}
			found = append(found, t)
		}
	}
	for i, ok := range matched {
		if !ok {
			return nil, fmt.Errorf("%q: %w", patterns[i], ErrNoTensor)
		}
	}
	return found, nil
}

// namePattern selects names of tensors.
type namePattern struct {
	text    string
	literal string // what every name it matches begins with
	glob    string // text without slashes, which are nothing special in a name; "": text is a name
}

func compileName(p string) namePattern {
	n := namePattern{text: p, literal: p}
	if i := strings.IndexAny(p, `*?[\`); i >= 0 {
		if _, err := path.Match(noSlash(p), ""); err == nil {
			n.literal, n.glob = p[:i], noSlash(p)
		}
	}
	return n
}

func noSlash(s string) string { return strings.ReplaceAll(s, "/", "\x00") }

func (n *namePattern) match(name string) bool {
	if name == n.text {
		return true
	}
	ok, _ := path.Match(n.glob, noSlash(name))
	return n.glob != "" && ok
}

// mayMatch reports whether n can match a name from ref on and before next.
func (n *namePattern) mayMatch(ref, next *manifest.Ref) bool {
	if next != nil && next.Before(n.literal, 1) {
		return false
	}
	return ref.First <= n.literal || n.glob != "" && strings.HasPrefix(ref.First, n.literal)
}

package transfer

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/aivault/aivault/vault/manifest"
)

// maxOdd bounds the names, and pairs of names, that are tried out before
// anything is written. What is beyond is refused when its turn comes.
const maxOdd = 256

// names collects what a destination may not be able to have: names that many
// systems refuse or change, and names that some take for one, because they differ
// only by case or by how Unicode spells them. Whether the destination can, it is
// asked. It holds the names of those directories alone that the last path is in.
type names struct {
	open  []siblings // outermost first
	pairs [][2]string
	odd   []string // segments
	tried map[string]bool
}

// siblings are the names in one directory.
type siblings struct {
	dir   string            // with a slash at the end; "": the top
	seen  map[string]string // folded, if that is another spelling, to the name
	plain map[string]bool   // folded to itself
}

// add adds a path; they come in bytewise order, so that what is in one directory
// comes together.
func (n *names) add(p string) error {
	if _, err := local(p); err != nil {
		return err
	}
	if n.open == nil {
		n.tried = make(map[string]bool)
		n.enter("")
	}
	for !strings.HasPrefix(p, n.open[len(n.open)-1].dir) {
		n.open = n.open[:len(n.open)-1]
	}
	for {
		in := &n.open[len(n.open)-1]
		name, _, deeper := strings.Cut(p[len(in.dir):], "/")
		n.name(in, name)
		if !deeper {
			return nil
		}
		n.enter(p[:len(in.dir)+len(name)+1])
	}
}

func (n *names) enter(dir string) {
	n.open = append(n.open, siblings{dir, make(map[string]string), make(map[string]bool)})
}

func (n *names) name(in *siblings, name string) {
	folded := fold(name)
	other, taken := in.seen[folded]
	if !taken && in.plain[folded] {
		other, taken = folded, true
	}
	switch {
	case taken && other != name && len(n.pairs) < maxOdd:
		n.pairs = append(n.pairs, [2]string{in.dir + other, in.dir + name})
	case folded == name:
		in.plain[name] = true
	default:
		in.seen[folded] = name
	}
	if isOdd(name) && len(n.odd) < maxOdd && !n.tried[name] {
		n.tried[name] = true
		n.odd = append(n.odd, name)
	}
}

// fold returns one spelling for all that a file system may take for one name:
// case folding in full, and canonical decomposition, as HFS+, APFS and ext4 do.
func fold(p string) string {
	if isASCII(p) {
		return strings.ToLower(p)
	}
	return norm.NFD.String(cases.Fold().String(norm.NFD.String(p)))
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= utf8.RuneSelf }) < 0
}

// isOdd reports whether some system cannot have the name as it is.
func isOdd(base string) bool {
	if !isASCII(base) || len(base) > 200 || strings.HasSuffix(base, ".") || strings.HasSuffix(base, " ") {
		return true
	}
	return strings.IndexFunc(base, func(r rune) bool { return r < ' ' || r == 0x7f || strings.ContainsRune(`<>:"\|?*`, r) }) >= 0
}

// check tries out the names, in what is staged. ErrName: one of them cannot be.
func (n *names) check(d *destination) error {
	if len(n.odd)+len(n.pairs) == 0 {
		return nil
	}
	dir := filepath.Join(d.staging, "names")
	if err := d.root.Mkdir(dir, 0o700); err != nil {
		return err
	}
	err := errors.Join(n.checkOdd(d, dir), n.checkPairs(d, dir))
	return errors.Join(err, d.root.RemoveAll(dir))
}

func (n *names) checkOdd(d *destination, dir string) error {
	for _, base := range n.odd {
		if err := try(d, dir, base); err != nil {
			return fmt.Errorf("%q: %w in %s: %w", base, ErrName, d.name, err)
		}
		there, err := d.names(dir)
		if err != nil {
			return err
		}
		if !slices.Contains(there, base) {
			return fmt.Errorf("%q: %w in %s: it becomes %q", base, ErrName, d.name, there)
		}
		if err := d.root.Remove(filepath.Join(dir, base)); err != nil {
			return err
		}
	}
	return nil
}

func (n *names) checkPairs(d *destination, dir string) error {
	for _, pair := range n.pairs {
		first, second := path.Base(pair[0]), path.Base(pair[1])
		if err := try(d, dir, first); err != nil {
			return err
		}
		_, err := d.root.Lstat(filepath.Join(dir, second))
		if err == nil {
			return fmt.Errorf("%q and %q: %w in %s: the file system takes them for one", pair[0], pair[1], ErrName, d.name)
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err := d.root.Remove(filepath.Join(dir, first)); err != nil {
			return err
		}
	}
	return nil
}

// try makes an empty file.
func try(d *destination, dir, base string) error {
	f, err := d.root.OpenFile(filepath.Join(dir, base), os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm(manifest.Regular))
	if err != nil {
		return err
	}
	return f.Close()
}

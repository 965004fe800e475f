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
// asked.
type names struct {
	seen  map[string]string // folded, if that is another spelling, to the path
	plain map[string]bool   // folded to itself
	above string            // directory of the last path
	pairs [][2]string
	odd   []string // segments
	tried map[string]bool
}

// add adds a path; they come in order.
func (n *names) add(p string) error {
	if _, err := local(p); err != nil {
		return err
	}
	if n.seen == nil {
		n.seen, n.plain, n.tried = make(map[string]string), make(map[string]bool), make(map[string]bool)
	}
	dir := path.Dir(p)
	if dir != n.above {
		for d := dir; d != "." && d != n.above && !strings.HasPrefix(n.above, d+"/"); d = path.Dir(d) {
			n.name(d)
		}
		n.above = dir
	}
	n.name(p)
	return nil
}

func (n *names) name(p string) {
	folded := fold(p)
	other, taken := n.seen[folded]
	if !taken && n.plain[folded] {
		other, taken = folded, true
	}
	switch {
	case taken && other != p && path.Base(other) != path.Base(p) && len(n.pairs) < maxOdd:
		n.pairs = append(n.pairs, [2]string{other, p})
	case folded == p:
		n.plain[p] = true
	default:
		n.seen[folded] = p
	}
	if base := path.Base(p); isOdd(base) && len(n.odd) < maxOdd && !n.tried[base] {
		n.tried[base] = true
		n.odd = append(n.odd, base)
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

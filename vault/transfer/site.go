package transfer

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
)

// Beside a destination stand, under names that begin so and go on with a key of
// the destination's name: the record, a new tree that is not complete or an old
// one that is being removed, the trees that a link leads to, and links and
// records that do not have their names yet.
const (
	recordPrefix = ".aivault-record-"
	nextPrefix   = ".aivault-next-"
	treePrefix   = ".aivault-tree-"
	tempPrefix   = ".aivault-temp-"
)

// site is the place of a destination: the directory above it.
type site struct {
	name   string   // of the destination, as the caller gave it
	parent *os.Root // nil: it cannot be used
	abs    string   // where the destination is
	base   string   // its name in parent
	key    string
	link   bool   // the destination is a link to a tree beside it, or becomes one
	tree   string // that tree; "" if there is none
	target string // what it is a link to; "": it is no link, or not there
	theirs bool   // the link is none that a pull has made
	record *record
}

// openSite finds out what stands at a destination, and cleans up what interrupted
// pulls left beside it. ErrNotLink: it cannot become a link.
func openSite(name string, link bool) (*site, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return nil, err
	}
	s := &site{name: name, link: link}
	fi, err := os.Lstat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if link {
			err = os.MkdirAll(filepath.Dir(abs), 0o777)
		} else {
			err = os.MkdirAll(abs, 0o777)
		}
	case err != nil:
	case fi.Mode().Type() == fs.ModeSymlink:
		abs, err = s.follow(abs)
	case link:
		err = fmt.Errorf("%s: %w", name, ErrNotLink)
	}
	if err != nil {
		return nil, err
	}
	s.abs, s.base, s.key = abs, filepath.Base(abs), siteKey(filepath.Base(abs))
	if filepath.Dir(abs) == abs {
		return s, nil // the root of all
	}
	s.parent, err = os.OpenRoot(filepath.Dir(abs))
	if errors.Is(err, fs.ErrPermission) && !s.link {
		return s, nil
	}
	if err != nil {
		return nil, err
	}
	s.clean()
	s.record, err = readRecord(s.parent, recordPrefix+s.key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reading the record of what was pulled into %s: %w", name, err), s.close())
	}
	return s, nil
}

// siteKey stands for a name in others that must not be too long.
func siteKey(base string) string {
	sum := sha256.Sum256([]byte(base))
	return hex.EncodeToString(sum[:8])
}

// follow looks at a destination that is a link: one that a pull made, or one that
// leads to the real destination.
func (s *site) follow(abs string) (string, error) {
	target, err := os.Readlink(abs)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(target, treePrefix+siteKey(filepath.Base(abs))+"-") && filepath.Base(target) == target {
		s.link, s.target = true, target
		fi, err := os.Lstat(filepath.Join(filepath.Dir(abs), target))
		if err == nil && fi.IsDir() {
			s.tree = target
		}
		return abs, nil
	}
	if s.link {
		s.target, s.theirs = target, true
		return abs, nil
	}
	if err := os.MkdirAll(abs, 0o777); err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(abs)
}

func (s *site) close() error {
	if s.parent == nil {
		return nil
	}
	return s.parent.Close()
}

// clean removes what interrupted pulls left beside the destination. What is in
// use is locked; what cannot be removed is left.
func (s *site) clean() {
	if !canLock {
		return
	}
	d, err := s.parent.Open(".")
	if err != nil {
		return
	}
	defer d.Close()
	for {
		names, err := d.Readdirnames(1024)
		for _, name := range names {
			for _, prefix := range []string{nextPrefix, treePrefix, tempPrefix} {
				if strings.HasPrefix(name, prefix+s.key+"-") && name != s.tree {
					removeAbandoned(s.parent, name)
				}
			}
		}
		if err != nil || len(names) == 0 {
			return
		}
	}
}

// removeAbandoned removes what nobody holds the lock of.
func removeAbandoned(parent *os.Root, name string) {
	fi, err := parent.Lstat(name)
	if err != nil {
		return
	}
	if fi.IsDir() || fi.Mode().IsRegular() {
		f, err := parent.OpenFile(name, os.O_RDONLY|noWait, 0)
		if err != nil {
			return
		}
		defer f.Close()
		if free, err := lock(f); !free || err != nil {
			return
		}
	}
	_ = parent.RemoveAll(name) // the next pull tries again
}

// temporary returns a new name beside the destination.
func (s *site) temporary(prefix string) string {
	return prefix + s.key + "-" + canonical.NewID().String()
}

// writeRecord notes what pulls put into the destination. Where nothing may be
// written beside it there is no record.
func (s *site) writeRecord(r *record) error {
	if s.parent == nil {
		return nil
	}
	err := r.write(s.parent, recordPrefix+s.key, s.temporary(tempPrefix))
	if errors.Is(err, fs.ErrPermission) || isReadOnly(err) {
		return nil
	}
	return err
}

// dropRecord forgets what pulls put into the destination.
func (s *site) dropRecord() error {
	if s.parent == nil || s.record == nil {
		return nil
	}
	s.record = nil
	return s.parent.Remove(recordPrefix + s.key)
}

package manifest

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/seal"
)

const referencesFormat = "aivault-references/1"

// Reference names one stored object: a chunk, or a part or node of a manifest.
type Reference struct {
	Creator canonical.ID
	Name    string // see [ChunkName]
	Size    int64  // of the object, in bytes
}

// Key returns the object's key in a store.
func (r Reference) Key(aid canonical.Digest) string {
	return VersionPrefix(aid, r.Creator) + "c/" + r.Name
}

// Compare orders references by creator and name.
func (r Reference) Compare(s Reference) int {
	return cmp.Or(bytes.Compare(r.Creator[:], s.Creator[:]), strings.Compare(r.Name, s.Name))
}

// References names every object that a version needs, without secrets: what
// purge, gc and mirrors work from.
type References struct {
	Artefact canonical.Digest
	Version  canonical.ID
	Root     string // name of the manifest root below the version's prefix: "m-" and 32 hex digits
	RootSize int64
	Objects  []Reference // sorted, each once
}

// Encode returns the plaintext. Objects need not be sorted, and may be listed
// more than once with the same size; Encode sorts them in place. ErrTooLarge:
// the result cannot be sealed into one object.
func (r *References) Encode() ([]byte, error) {
	slices.SortFunc(r.Objects, Reference.Compare)
	r.Objects = slices.Compact(r.Objects)
	b := fmt.Appendf(nil, "%s\nartefact %s\nversion %s\nmanifest %s %d\n", referencesFormat, r.Artefact, r.Version, r.Root, r.RootSize)
	for i, o := range r.Objects {
		if i == 0 || o.Creator != r.Objects[i-1].Creator {
			b = fmt.Appendf(b, "creator %s\n", o.Creator)
		}
		b = append(b, o.Name...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, o.Size, 10)
		b = append(b, '\n')
	}
	if seal.SealedSize(int64(len(b)), 1) > seal.MaxSize {
		return nil, fmt.Errorf("%w: references to %d objects are %d bytes long", ErrTooLarge, len(r.Objects), len(b))
	}
	return b, nil
}

// DecodeReferences decodes and checks references, which may be padded. Errors
// wrap ErrMalformed or entry.ErrUpgrade.
func DecodeReferences(b []byte) (*References, error) {
	b, err := unpad(b)
	if err != nil {
		return nil, err
	}
	if err := checkFormat(string(b[:min(len(b), 64)]), "", referencesFormat, "\n"); err != nil {
		return nil, err
	}
	d := lines{rest: string(b)}
	r := new(References)
	d.next() // the format
	r.Artefact = parsed(&d, d.field("artefact "), canonical.ParseDigest)
	r.Version = parsed(&d, d.field("version "), canonical.ParseID)
	r.Root, r.RootSize = d.object(d.field("manifest "))
	if rnd, ok := strings.CutPrefix(r.Root, "m-"); d.err == nil {
		if _, err := canonical.ParseID(rnd); err != nil || !ok {
			return nil, malformed("references to a manifest %q", r.Root)
		}
	}
	var creator canonical.ID
	empty := true // nothing is listed for creator yet
	for d.err == nil && d.rest != "" {
		line := d.next()
		if id, ok := strings.CutPrefix(line, "creator "); ok {
			last := creator
			creator = parsed(&d, id, canonical.ParseID)
			if bytes.Compare(creator[:], last[:]) <= 0 || empty && !last.IsZero() {
				return nil, malformed("references: creator %s after %s", creator, last)
			}
			empty = true
			continue
		}
		ref := Reference{Creator: creator}
		ref.Name, ref.Size = d.object(line)
		n := len(r.Objects)
		if d.err == nil && (creator.IsZero() || !validChunkName(ref.Name) || !empty && ref.Name <= r.Objects[n-1].Name) {
			return nil, malformed("references: line %q", line)
		}
		r.Objects, empty = append(r.Objects, ref), false
	}
	if d.err != nil {
		return nil, malformed("references: %w", d.err)
	}
	if empty && !creator.IsZero() {
		return nil, malformed("references: creator %s without objects", creator)
	}
	return r, nil
}

// lines reads a text line by line until the first error.
type lines struct {
	rest string
	err  error
}

func (d *lines) fail(format string, args ...any) {
	if d.err == nil {
		d.err = fmt.Errorf(format, args...)
	}
}

func (d *lines) next() string {
	line, rest, ok := strings.Cut(d.rest, "\n")
	if !ok {
		d.fail("the last line has no end")
	}
	d.rest = rest
	return line
}

// field returns what follows name on the next line.
func (d *lines) field(name string) string {
	line := d.next()
	value, ok := strings.CutPrefix(line, name)
	if !ok {
		d.fail("%.80q where %q belongs", line, name)
	}
	return value
}

// object splits a name from a size.
func (d *lines) object(line string) (name string, size int64) {
	name, number, _ := strings.Cut(line, " ")
	size, err := strconv.ParseInt(number, 10, 64)
	if err != nil || strconv.FormatInt(size, 10) != number || size < seal.SealedSize(0, 1) || size > seal.MaxSize {
		d.fail("%.200q is not a name and a size", line)
	}
	return name, size
}

func parsed[T any](d *lines, s string, parse func(string) (T, error)) T {
	v, err := parse(s)
	if err != nil {
		d.fail("%w", err)
	}
	return v
}

package keyfile

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aivault/aivault/crypto/custody"
)

// A record is a title line and lines "name: value", each with one spelling. It
// holds no secret.
const (
	instanceTitle        = "aivault keeper 1\n"
	pointerTitle         = "aivault keeper pointer 1\n"
	tombstoneTitle       = "aivault keeper tombstone 1\n"
	acknowledgementTitle = "aivault keeper acknowledgement 1\n"
	pendingTitle         = "aivault keeper destruction pending 1\n"
)

// NewInstance draws the id of a keeper of a kind, such as "local".
func NewInstance(kind string) string { return kind + "-" + RandomHex() }

// RandomHex returns 128 random bits in hex.
func RandomHex() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// EncodeInstance returns the record that names a keeper.
func EncodeInstance(id string) []byte { return []byte(instanceTitle + "instance: " + id + "\n") }

// ParseInstance reads the record that names a keeper of this kind.
func ParseInstance(b []byte, kind string) (id string, err error) {
	id, err = single(b, instanceTitle, "instance: ")
	if err != nil {
		return "", fmt.Errorf("keeper instance: %w", err)
	}
	random, ok := strings.CutPrefix(id, kind+"-")
	if raw, err := hex.DecodeString(random); !ok || err != nil || len(raw) != 16 || strings.ToLower(random) != random {
		return "", fmt.Errorf("keeper instance %q, not of a keeper of kind %s: %w", id, kind, ErrFormat)
	}
	return id, nil
}

// EncodePointer returns the record that says which key a label has.
func EncodePointer(ref custody.KeyRef) []byte {
	return []byte(pointerTitle + "ref: " + string(ref) + "\n")
}

// ParsePointer is the inverse of EncodePointer.
func ParsePointer(b []byte) (custody.KeyRef, error) { return refRecord(b, pointerTitle) }

// EncodeTombstone returns the record that says that a key is dead and its label
// with it. All who destroy one key write the same bytes.
func EncodeTombstone(ref custody.KeyRef) []byte {
	return []byte(tombstoneTitle + "ref: " + string(ref) + "\n")
}

// ParseTombstone is the inverse of EncodeTombstone.
func ParseTombstone(b []byte) (custody.KeyRef, error) { return refRecord(b, tombstoneTitle) }

func refRecord(b []byte, title string) (custody.KeyRef, error) {
	s, err := single(b, title, "ref: ")
	ref := custody.KeyRef(s)
	if _, ok := Label(ref); err != nil || !ok {
		return "", fmt.Errorf("%s: %w", strings.TrimSuffix(title, "\n"), ErrFormat)
	}
	return ref, nil
}

// single reads a record of one line.
func single(b []byte, title, name string) (string, error) {
	if len(b) > MaxFile {
		return "", ErrFormat
	}
	rest, ok := strings.CutPrefix(string(b), title+name)
	value, end, terminated := strings.Cut(rest, "\n")
	if !ok || !terminated || end != "" {
		return "", ErrFormat
	}
	return value, nil
}

// Acknowledgement says that nothing is left of a key in this keeper.
type Acknowledgement struct {
	Instance string
	Ref      custody.KeyRef
	At       time.Time // by the keeper's host; zero where storage dates the record itself
	Notes    []string  // what was found on the way, a line each
}

// Encode returns the record. Notes are cut to what MaxFile leaves and their
// control characters replaced.
func (a Acknowledgement) Encode() []byte { return a.encode(acknowledgementTitle) }

// EncodePending returns a text of the same form that says the contrary:
// something is left, and Notes say what. It is evidence, and stored nowhere.
func (a Acknowledgement) EncodePending() []byte { return a.encode(pendingTitle) }

func (a Acknowledgement) encode(title string) []byte {
	var b strings.Builder
	b.WriteString(title + "instance: " + a.Instance + "\nref: " + string(a.Ref) + "\n")
	if !a.At.IsZero() {
		b.WriteString("at: " + a.At.UTC().Format(time.RFC3339) + "\n")
	}
	for _, n := range a.Notes {
		line := "note: " + oneLine(n) + "\n"
		if b.Len()+len(line) > MaxFile {
			break
		}
		b.WriteString(line)
	}
	return []byte(b.String())
}

// ParseAcknowledgement reads a record in its one spelling.
func ParseAcknowledgement(b []byte) (Acknowledgement, error) {
	var a Acknowledgement
	bad := fmt.Errorf("acknowledgement: %w", ErrFormat)
	rest, ok := strings.CutPrefix(string(b), acknowledgementTitle)
	if !ok || len(b) > MaxFile {
		return a, bad
	}
	for line := range strings.Lines(rest) {
		name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch name {
		case "instance":
			a.Instance = value
		case "ref":
			a.Ref = custody.KeyRef(value)
		case "at":
			at, err := time.Parse(time.RFC3339, value)
			if err != nil || at.IsZero() {
				return a, bad
			}
			a.At = at
		case "note":
			a.Notes = append(a.Notes, value)
		}
	}
	if _, ok := Label(a.Ref); !ok || custody.CheckRef(custody.KeyRef(a.Instance)) != nil || string(a.Encode()) != string(b) {
		return a, bad
	}
	return a, nil
}

func oneLine(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}

package manifest

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func sampleReferences() *References {
	r := &References{Artefact: fixed(0, "aid"), Version: fixedID(9), Root: "m-" + fixedID(5).String(), RootSize: 2000}
	for i := range 10 {
		c := fixedChunk(i, int64(i+1))
		r.Objects = append(r.Objects, Reference{c.Creator, c.Name, c.SealedSize})
	}
	return r
}

func TestReferencesRoundTrip(t *testing.T) {
	want := sampleReferences()
	want.Objects = append(want.Objects, want.Objects[3]) // a chunk that two parts name
	plain, err := want.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if len(want.Objects) != 10 {
		t.Errorf("%d objects", len(want.Objects))
	}
	for _, b := range [][]byte{plain, Pad(slices.Clone(plain))} {
		got, err := DecodeReferences(b)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
	none := sampleReferences()
	none.Objects = nil
	if plain, err = none.Encode(); err != nil {
		t.Fatal(err)
	}
	if got, err := DecodeReferences(plain); err != nil || len(got.Objects) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestReferencesTooMany(t *testing.T) {
	r := sampleReferences()
	for i := range 400_000 {
		o := r.Objects[i%10]
		o.Name = strings.Replace(o.Name, o.Name[:8], string([]byte{
			'0' + byte(i%10), '0' + byte(i/10%10), '0' + byte(i/100%10), '0' + byte(i/1000%10), '0' + byte(i/10000%10), '0' + byte(i/100000%10), 'a', 'b'}), 1)
		r.Objects = append(r.Objects, o)
	}
	if _, err := r.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d objects: %v", len(r.Objects), err)
	}
}

func TestHostileReferences(t *testing.T) {
	plain, err := sampleReferences().Encode()
	if err != nil {
		t.Fatal(err)
	}
	text := string(plain)
	lines := strings.SplitAfter(text, "\n")
	swap := func(i, j int) string {
		l := slices.Clone(lines)
		l[i], l[j] = l[j], l[i]
		return strings.Join(l, "")
	}
	creator := lines[4]
	size := lines[5][strings.IndexByte(lines[5], ' '):]
	for name, bad := range map[string]string{
		"unfinished":        strings.TrimSuffix(text, "\n"),
		"names unsorted":    swap(5, 6),
		"creators unsorted": strings.Join(slices.Concat(lines[:4], lines[9:], lines[4:9]), ""),
		"object twice":      strings.Join(slices.Insert(slices.Clone(lines), 6, lines[5]), ""),
		"creator twice":     strings.Join(slices.Insert(slices.Clone(lines), 6, creator), ""),
		"empty creator":     strings.Join(slices.Insert(slices.Clone(lines), 4, "creator "+strings.Repeat("0", 31)+"1\n"), ""),
		"last creator":      text + "creator " + strings.Repeat("f", 32) + "\n",
		"zero creator":      strings.Join(slices.Insert(slices.Clone(lines), 4, "creator "+strings.Repeat("0", 32)+"\n"), ""),
		"no creator":        strings.Replace(text, creator, "", 1),
		"no artefact":       strings.Replace(text, lines[1], "", 1),
		"header order":      swap(1, 2),
		"root name":         strings.Replace(text, "manifest m-", "manifest n-", 1),
		"root path":         strings.Replace(text, "manifest m-", "manifest ../m-", 1),
		"leading zero":      strings.Replace(text, size, " 0"+size[1:], 1),
		"sign":              strings.Replace(text, size, " +"+size[1:], 1),
		"tiny":              strings.Replace(text, size, " 1\n", 1),
		"huge":              strings.Replace(text, size, " 33554433\n", 1),
		"no size":           strings.Replace(text, size, "\n", 1),
		"carriage return":   strings.Replace(text, "\n", "\r\n", -1),
		"blank line":        text + "\n",
		"chunk name":        strings.Replace(text, "-0000000000000001 ", "-000000000000000G ", 1),
		"padding":           text + "\x00",
		"nothing":           "",
	} {
		if bad == text {
			t.Fatalf("%s: nothing was changed", name)
		}
		if _, err := DecodeReferences([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

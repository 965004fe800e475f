package manifest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/vault/entry"
)

func readTensors(parts []Encoded) ([]Tensor, error) {
	var out []Tensor
	for _, p := range parts {
		t, err := DecodeTensors(p.First, p.Plain)
		if err != nil {
			return nil, err
		}
		out = append(out, t.Tensors...)
	}
	return out, nil
}

func TestTensorPartsRoundTrip(t *testing.T) {
	key, want := NewSecret(), someTensors(20_000)
	parts := collect(t, TensorParts(key, want))
	if len(parts) < 10 || len(parts) > 40 {
		t.Errorf("%d parts for 20,000 tensors", len(parts))
	}
	got, err := readTensors(parts)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.EqualFunc(got, want, func(a, b Tensor) bool {
		return a.Compare(&b) == 0 && a.DType == b.DType && slices.Equal(a.Shape, b.Shape) && (a.Shape == nil) == (b.Shape == nil) && a.At == b.At && a.Size == b.Size
	}) {
		t.Error("tensors differ")
	}
	// One more changes the part it stands in, and the one after if it moved an end.
	old := map[string]bool{}
	for _, p := range parts {
		old[string(p.Plain)] = true
	}
	fresh := 0
	more := slices.Insert(slices.Clone(want), 7000, Tensor{Name: want[6999].Name + "+", DType: "f32", File: "m0"})
	for _, p := range collect(t, TensorParts(key, more)) {
		if !old[string(p.Plain)] {
			fresh++
		}
	}
	if fresh > 4 {
		t.Errorf("a tensor changed %d parts", fresh)
	}
}

func TestTensorsWithLongNamesFillParts(t *testing.T) {
	var tensors []Tensor
	for i := range 1000 {
		tensors = append(tensors, Tensor{Name: fmt.Sprintf("%04d", i) + strings.Repeat("\x01", MaxName-4), DType: "u8", File: "f"})
	}
	parts := collect(t, TensorParts(NewSecret(), tensors))
	if got, err := readTensors(parts); err != nil || len(got) != 1000 {
		t.Errorf("%d tensors, %v", len(got), err)
	}
}

func TestHostileTensors(t *testing.T) {
	for name, change := range map[string]func([]Tensor){
		"unsorted":           func(l []Tensor) { l[1], l[2] = l[2], l[1] },
		"twice":              func(l []Tensor) { l[2] = l[1] },
		"name too long":      func(l []Tensor) { l[2].Name = strings.Repeat("x", MaxName+1) },
		"no type":            func(l []Tensor) { l[1].DType = "" },
		"type":               func(l []Tensor) { l[1].DType = "BF16" },
		"long type":          func(l []Tensor) { l[1].DType = strings.Repeat("x", 33) },
		"traversal":          func(l []Tensor) { l[1].File = "../x" },
		"no file":            func(l []Tensor) { l[1].File = "" },
		"negative place":     func(l []Tensor) { l[1].At = -1 },
		"negative size":      func(l []Tensor) { l[1].Size = -1 },
		"overflow":           func(l []Tensor) { l[1].At, l[1].Size = MaxBytes, 1 },
		"negative dimension": func(l []Tensor) { l[1].Shape = []int64{-1} },
		"huge dimension":     func(l []Tensor) { l[1].Shape = []int64{MaxBytes + 1} },
		"many dimensions":    func(l []Tensor) { l[1].Shape = make([]int64, 65) },
	} {
		list := someTensors(3)
		change(list)
		p := collect(t, TensorParts(NewSecret(), list))[0]
		if _, err := DecodeTensors(p.First, p.Plain); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good := collect(t, TensorParts(NewSecret(), someTensors(3)))[0]
	for name, plain := range map[string]string{
		"none":            `{"format":"aivault-manifest-tensors/1","tensors":[]}`,
		"null":            `{"format":"aivault-manifest-tensors/1","tensors":null}`,
		"null shape":      strings.Replace(string(good.Plain), `"shape":[1,2]`, `"shape":null`, 1),
		"no place":        strings.Replace(string(good.Plain), `"at":4,`, "", 1),
		"lone surrogate":  strings.Replace(string(good.Plain), `layer.000001`, `\ud800`, 1),
		"another's":       strings.Replace(string(good.Plain), "tensors/1", "part/1", 1),
		"white space":     string(good.Plain) + " ",
		"other beginning": strings.Replace(string(good.Plain), "layer.000000", "layer", 1),
	} {
		if _, err := DecodeTensors(good.First, []byte(plain)); plain == string(good.Plain) || !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := DecodeTensors(good.First, []byte(strings.Replace(string(good.Plain), "/1", "/2", 1))); !errors.Is(err, entry.ErrUpgrade) {
		t.Errorf("newer: %v", err)
	}
}

// Tensors must stand in files of the manifest, wherever their part is.
func TestSequenceFindsTheFilesOfTensors(t *testing.T) {
	files := []File{largeFile("a", 3), {Path: "b", Mode: Directory, SHA256: nothing}, largeFile("m", 5000)}
	parts := build(t, NewSecret(), files)
	check := func(tensors ...Tensor) error {
		root := rootOf(files, refs(parts))
		seq := NewSequence(root)
		for i, x := range tensors {
			at := int64(0)
			if i > 0 && tensors[i-1].Name == x.Name {
				at = 1
			}
			if err := seq.AddTensors(at, &TensorPart{[]Tensor{x}}); err != nil {
				return err
			}
		}
		for _, enc := range parts {
			p, err := DecodePart(enc.First, enc.At, enc.Plain)
			if err != nil {
				t.Fatal(err)
			}
			if err := seq.Add(p); err != nil {
				return err
			}
		}
		_, err := seq.Finish(root)
		return err
	}
	if err := check(Tensor{Name: "x", File: "a", Size: 3000}, Tensor{Name: "x", File: "m", At: 4_999_999, Size: 1}, Tensor{Name: "y", File: "m", At: 5_000_000}); err != nil {
		t.Error(err)
	}
	for name, bad := range map[string][]Tensor{
		"beyond the end": {{Name: "x", File: "a", At: 1, Size: 3000}},
		"no such file":   {{Name: "x", File: "c"}},
		"a directory":    {{Name: "x", File: "b"}},
		"out of order":   {{Name: "y", File: "a"}, {Name: "x", File: "a"}},
		"files of one":   {{Name: "x", File: "m"}, {Name: "x", File: "a"}},
		"twice":          {{Name: "x", File: "a"}, {Name: "x", File: "a"}},
	} {
		if err := check(bad...); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Many files may have a tensor of one name: references say how many come before.
func TestTensorsOfOneName(t *testing.T) {
	var tensors []Tensor
	for i := range 2 * MaxTensors {
		tensors = append(tensors, Tensor{Name: "w", DType: "u8", File: fmt.Sprintf("%05d", i)})
	}
	tensors = append(tensors, Tensor{Name: "x", DType: "u8", File: "0"})
	read := func(key Secret, change func([]Encoded)) error {
		parts := collect(t, TensorParts(key, tensors))
		change(parts)
		seq := NewSequence(rootOf(nil, nil))
		for _, p := range parts {
			decoded, err := DecodeTensors(p.First, p.Plain)
			if err != nil {
				t.Fatal(err)
			}
			if err := seq.AddTensors(p.At, decoded); err != nil {
				return err
			}
		}
		return nil
	}
	key := SecretFrom(fixed(3, "key"))
	if parts := collect(t, TensorParts(key, tensors)); len(parts) < 3 || len(parts) > 30 || parts[1].At == 0 {
		t.Fatalf("%d parts", len(parts))
	}
	if err := read(key, func([]Encoded) {}); err != nil {
		t.Error(err)
	}
	for i := range 3 {
		if err := read(key, func(p []Encoded) { p[i].At++ }); !errors.Is(err, ErrMalformed) {
			t.Errorf("part %d: %v", i, err)
		}
	}
}

// References to parts say where in a file they begin, and rise by it.
func TestReferencesIntoAFile(t *testing.T) {
	parts := build(t, NewSecret(), []File{largeFile("x", 9000)})
	if len(parts) != 3 || parts[1].At != MaxExtents*1000 || parts[2].At != 2*MaxExtents*1000 {
		t.Fatalf("%d parts", len(parts))
	}
	if _, err := DecodePart("x", 1, parts[1].Plain); !errors.Is(err, ErrMalformed) {
		t.Errorf("another beginning: %v", err)
	}
	of := func(of Of, list ...Ref) error {
		node := collect(t, Nodes(SecretFrom(fixed(0, "x")), list))[0]
		_, err := DecodeNode(of, node.First, node.At, node.Plain)
		return err
	}
	list := refs(parts)
	if err := of(Files, list...); err != nil {
		t.Error(err)
	}
	if err := of(Tensors, refs([]Encoded{{First: "", Plain: []byte("1")}, {First: "", At: 9, Plain: []byte("2")}})...); err != nil {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"twice":               of(Files, list[0], list[0]),
		"falling":             of(Files, list[1], list[0]),
		"negative":            of(Files, Ref{First: "x", At: -1, Chunk: list[0].Chunk}),
		"huge":                of(Files, Ref{First: "x", At: MaxBytes + 1, Chunk: list[0].Chunk}),
		"of tensors":          of(Tensors, list[1], list[1]),
		"tensors that fall":   of(Tensors, Ref{First: "b", Chunk: list[0].Chunk}, Ref{First: "a", Chunk: list[1].Chunk}),
		"names that are none": of(Tensors, Ref{First: "\xff", Chunk: list[0].Chunk}),
	} {
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

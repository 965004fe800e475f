package modelfile

import (
	"cmp"
	"slices"
	"strconv"
	"unicode/utf8"
)

// builder gathers the tensors of a file of the given size, in pieces: one slice
// that grows would leave several times its size as garbage.
type builder struct {
	size  int64
	count int
	full  [][]Tensor
	last  []Tensor
}

const (
	leastPiece = 64 // tensors
	mostPiece  = 16 << 10
)

// add checks a tensor as far as it can be checked alone.
func (b *builder) add(t Tensor) error {
	if err := checkName(t.Name); err != nil {
		return err
	}
	if err := checkPlace(t, b.size); err != nil {
		return err
	}
	return b.put(t)
}

// put adds a tensor unchecked.
func (b *builder) put(t Tensor) error {
	if b.count == MaxTensors {
		return malformed("more than %d tensors", MaxTensors)
	}
	b.count++
	if len(b.last) == cap(b.last) {
		b.full = append(b.full, b.last)
		b.last = make([]Tensor, 0, min(max(2*cap(b.last), leastPiece), mostPiece))
	}
	b.last = append(b.last, t)
	return nil
}

// take returns the tensors in the order of their places. Empty ones come first
// of those that start at one place, so that they overlap nothing.
func (b *builder) take() []Tensor {
	all := slices.Concat(append(b.full, b.last)...)
	slices.SortFunc(all, func(x, y Tensor) int {
		return cmp.Or(cmp.Compare(x.Offset, y.Offset), cmp.Compare(x.Size, y.Size), cmp.Compare(x.Name, y.Name))
	})
	*b = builder{size: b.size}
	return all
}

func checkPlace(t Tensor, size int64) error {
	if t.Offset < 0 || t.Size < 0 || t.Offset > size || t.Size > size-t.Offset {
		return malformed("tensor %.100q: %d bytes at byte %d are not inside of the file", t.Name, t.Size, t.Offset)
	}
	return nil
}

func checkName(name string) error {
	if len(name) > MaxName {
		return malformed("a name of %d bytes: at most %d are possible", len(name), MaxName)
	}
	if !utf8.ValidString(name) {
		return malformed("name %.100q is not UTF-8", name)
	}
	return nil
}

// byName returns the numbers of the tensors in the order of their names.
func byName(tensors []Tensor) []int32 {
	order := make([]int32, len(tensors))
	for i := range order {
		order[i] = int32(i)
	}
	slices.SortFunc(order, func(x, y int32) int { return cmp.Compare(tensors[x].Name, tensors[y].Name) })
	return order
}

// distinguish gives tensors without a name, and those whose name another has,
// one by their place.
func distinguish(tensors []Tensor) error {
	order := byName(tensors)
	for len(order) > 0 {
		name, n := tensors[order[0]].Name, 1
		for n < len(order) && tensors[order[n]].Name == name {
			n++
		}
		if n > 1 || name == "" {
			for _, i := range order[:n] {
				tensors[i].Name = name + "@" + strconv.FormatInt(tensors[i].Offset, 10)
				if err := checkName(tensors[i].Name); err != nil {
					return err
				}
			}
		}
		order = order[n:]
	}
	return nil
}

// layout checks what holds between tensors that are in order, and returns them.
func layout(format string, data int64, tensors []Tensor) (*Layout, error) {
	end := data
	for i := range tensors {
		t := &tensors[i]
		if t.Offset < end {
			return nil, malformed("tensor %.100q starts at byte %d, inside of what ends at %d", t.Name, t.Offset, end)
		}
		end = t.Offset + t.Size
	}
	order := byName(tensors)
	for i := range order {
		if name := tensors[order[i]].Name; i > 0 && name == tensors[order[i-1]].Name {
			return nil, malformed("two tensors are called %.100q", name)
		}
	}
	return &Layout{Format: format, Data: data, Tensors: tensors}, nil
}

// first returns where the first tensor stands, and the size of the file if there
// is none: the end of what stands before tensors where no header says so.
func first(tensors []Tensor, size int64) int64 {
	if len(tensors) == 0 {
		return size
	}
	return tensors[0].Offset
}

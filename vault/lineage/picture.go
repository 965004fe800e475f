package lineage

import (
	"cmp"
	"slices"
)

// Picture is a graph to be drawn.
type Picture struct {
	Title string
	Boxes []Box
	Lines []Line
}

// Box stands for a version.
type Box struct {
	Name  string   // "team/fraud@v3"
	Notes []string // a line each
	Style Style
}

// Line leads from a version to one that came of it.
type Line struct {
	From, To int // of Boxes
	Label    string
}

// Style is how a box looks.
type Style uint8

// The styles.
const (
	Plain Style = iota
	Bad         // a source, or in quarantine
	Doubtful
	Lesser // it is affected, but not doubtful itself
	Gone   // destroyed
)

// layers puts every box right of all that it came of, as far as lines do not go
// in circles; of those, lines back are passed over. Within a layer, boxes stand
// near what they came of.
func (p *Picture) layers() [][]int {
	in := make([][]int, len(p.Boxes))
	out := make([][]int, len(p.Boxes))
	for _, l := range p.Lines {
		if l.From != l.To {
			out[l.From] = append(out[l.From], l.To)
			in[l.To] = append(in[l.To], l.From)
		}
	}
	depth := p.depths(in, out)
	var rows [][]int
	for i, d := range depth {
		for len(rows) <= d {
			rows = append(rows, nil)
		}
		rows[d] = append(rows[d], i)
	}
	place := make([]float64, len(p.Boxes))
	for d, row := range rows {
		want := make(map[int]float64, len(row))
		for n, i := range row {
			sum, count := 0.0, 0
			for _, from := range in[i] {
				if depth[from] < d {
					sum, count = sum+place[from], count+1
				}
			}
			if want[i] = float64(n); count > 0 {
				want[i] = sum / float64(count)
			}
		}
		slices.SortStableFunc(row, func(a, b int) int { return cmp.Compare(want[a], want[b]) })
		for n, i := range row {
			place[i] = float64(n)
		}
	}
	return rows
}

// depths returns how many steps each box is away from one that came of nothing.
// Boxes that stand in a circle, or behind one, are taken one by one when nothing
// else is left, in their order.
func (p *Picture) depths(in, out [][]int) []int {
	depth := make([]int, len(p.Boxes))
	waits := make([]int, len(p.Boxes))
	done := make([]bool, len(p.Boxes))
	var ready []int
	for i := range p.Boxes {
		if waits[i] = len(in[i]); waits[i] == 0 {
			ready = append(ready, i)
		}
	}
	for next, left := 0, len(p.Boxes); left > 0; {
		if len(ready) == 0 {
			for done[next] {
				next++
			}
			ready = append(ready, next)
		}
		i := ready[0]
		ready = ready[1:]
		if done[i] {
			continue
		}
		done[i] = true
		left--
		for _, to := range out[i] {
			if done[to] {
				continue
			}
			depth[to] = max(depth[to], depth[i]+1)
			if waits[to]--; waits[to] == 0 {
				ready = append(ready, to)
			}
		}
	}
	return depth
}

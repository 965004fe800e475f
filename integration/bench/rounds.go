package main

import (
	"fmt"
	"os"
)

// run is one measured run of a tool, with the SHA unit of its round.
type run struct {
	usage
	unit float64 // bytes of SHA-256 per processor second, see kernels
}

// row is all runs of a tool in one direction.
type row struct {
	tool, op string // op: push or pull
	limit    bool
	hashes   bool // it only reads the files; its op is push
	set      *dataset
	runs     []run
	stored   int64 // bytes, after a push; 0: nothing is
}

// Directions of a row, and what profiles are taken of.
const (
	pushing = "push"
	pulling = "pull"
	toDisk  = "pull-to-disk"
	coding  = "coder"
)

// rows prepares the rows of all tools for a data set.
func rows(tools []tool, set *dataset) map[string]*[2]row {
	out := make(map[string]*[2]row)
	for _, t := range tools {
		out[t.id] = &[2]row{{tool: t.name, op: pushing, limit: t.limit, hashes: t.pull == nil, set: set}, {tool: t.name, op: pulling, limit: t.limit, set: set}}
	}
	return out
}

// compare lets every tool push and pull a data set, round after round, each time
// from cold and into an empty place, and compares what came back with what went
// in, byte for byte.
func (l *lab) compare(tools []tool, set *dataset, rounds int, unit func() (float64, error)) ([]row, error) {
	all := rows(tools, set)
	for n := range rounds {
		u, err := unit()
		if err != nil {
			return nil, err
		}
		for i := range tools {
			if err := l.once(&tools[i], set, n, u, all[tools[i].id]); err != nil {
				return nil, fmt.Errorf("%s, %s, round %d: %w", tools[i].name, set.name, n+1, err)
			}
		}
	}
	var out []row
	for _, t := range tools {
		out = append(out, all[t.id][0])
		if t.pull != nil {
			out = append(out, all[t.id][1])
		}
	}
	return out, nil
}

// once is one round of one tool.
func (l *lab) once(t *tool, set *dataset, n int, unit float64, into *[2]row) (err error) {
	try := try{id: fmt.Sprintf("%s-%s-%d", t.id, set.id(), n), set: set}
	try.dest = l.path("dest-" + try.id)
	defer func() {
		for _, dir := range []string{try.dest, l.path("home-" + try.id), l.path(try.id), l.bucket(try)} {
			if gone := os.RemoveAll(dir); err == nil {
				err = gone
			}
		}
	}()
	for _, dir := range []string{try.dest, l.path("home-" + try.id)} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return err
		}
	}
	if t.prepare != nil {
		if err := t.prepare(try); err != nil {
			return err
		}
	}
	u, err := measure(l.ctx, t.push(try))
	if err != nil {
		return err
	}
	l.note(&into[0], run{u, unit})
	if t.place != nil {
		if into[0].stored, err = treeSize(t.place(try)); err != nil {
			return err
		}
	}
	if t.pull == nil {
		return nil
	}
	if u, err = measure(l.ctx, t.pull(try)); err != nil {
		return err
	}
	l.note(&into[1], run{u, unit})
	return same(set.dir, try.dest)
}

// note keeps a run and says how it went.
func (l *lab) note(r *row, x run) {
	r.runs = append(r.runs, x)
	l.t.Logf("%-8s %-24s %s %6.0f MB/s", r.set.name, r.tool, r.op, float64(r.set.bytes)/x.Wall.Seconds()/1e6)
}

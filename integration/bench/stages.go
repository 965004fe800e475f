package main

import (
	"os"
	"strconv"
)

// round is the library in one round: every stage alone, and the whole.
type round struct {
	kernels map[string]spent // each stage alone, on one core
	push    map[string]spent // to a store that keeps nothing, by setting
	pull    spent            // memory to memory
	disk    spent            // memory to disk
	direct  spent            // writing to that disk past the page cache; zero: it cannot be
}

// unit is the SHA unit: bytes that SHA-256 takes in a processor second.
func (r *round) unit() float64 { return r.kernels[stageSHA].perCPU() }

// stages measures the library once on a data set. disk is a directory on a disk,
// profiles one for processor profiles, or "".
func (l *lab) stages(set *dataset, disk, profiles string) (r *round, err error) {
	r = new(round)
	if r.kernels, err = l.step("kernels", set.dir); err != nil {
		return nil, err
	}
	profile := func(name string) string {
		if profiles == "" {
			return ""
		}
		return profilePath(profiles, name)
	}
	if profiles != "" {
		if _, err = l.step("coder", set.dir, profile(coding)); err != nil {
			return nil, err
		}
	}
	if r.push, err = l.step("push", set.dir, profile(pushing)); err != nil {
		return nil, err
	}
	if r.pull, err = l.pullInto(set, l.dir, profile(pulling)); err != nil {
		return nil, err
	}
	if r.disk, err = l.pullInto(set, disk, profile(toDisk)); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(disk, "aivault-direct-")
	if err != nil {
		return nil, err
	}
	file.Close()
	direct, err := l.step("direct", file.Name(), strconv.FormatInt(set.bytes, 10))
	if err != nil {
		l.t.Logf("writing past the page cache is not measured: %v", err)
		return r, os.RemoveAll(file.Name())
	}
	r.direct = direct["direct"]
	return r, nil
}

// pullInto pulls from memory into a directory below parent, and compares.
func (l *lab) pullInto(set *dataset, parent, profile string) (_ spent, err error) {
	dest, err := os.MkdirTemp(parent, "aivault-pull-")
	if err != nil {
		return spent{}, err
	}
	defer func() {
		if gone := os.RemoveAll(dest); err == nil {
			err = gone
		}
	}()
	out, err := l.step("pull", set.dir, dest, profile)
	if err != nil {
		return spent{}, err
	}
	return out[pullFull], same(set.dir, dest)
}

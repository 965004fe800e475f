package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// profilePath is where a profile is.
func profilePath(dir, op string) string { return filepath.Join(dir, op+".pprof") }

// profileLines is how many entries of a profile are printed.
const profileLines = 15

// explain returns the functions that a profile saw most.
func (l *lab) explain(dir, op string) (string, error) {
	cmd := exec.CommandContext(l.ctx, "go", "tool", "pprof", "-top", l.self, profilePath(dir, op))
	text, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", cmd, err)
	}
	return topOf(string(text), profileLines), nil
}

// topOf keeps the heading and the first entries of what "pprof -top" prints, and
// none that only called others.
func topOf(text string, most int) string {
	i := strings.Index(text, "      flat  flat%")
	if i < 0 {
		return ""
	}
	lines := strings.Split(strings.TrimRight(text[i:], "\n"), "\n")
	lines = slices.DeleteFunc(lines, func(line string) bool { return strings.HasPrefix(strings.TrimLeft(line, " "), "0 ") })
	return strings.Join(lines[:min(len(lines), most+1)], "\n") + "\n"
}

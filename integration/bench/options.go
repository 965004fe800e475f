package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxSize bounds a data set, in bytes.
const maxSize = 1 << 40

// options is what the command line says.
type options struct {
	size     int64
	rounds   int
	data     []string
	tools    []string // ids; none: all
	out      string
	chart    string
	profiles string
	disk     string
}

// parseOptions reads the command line. Errors have been printed to w.
func parseOptions(args []string, w io.Writer) (*options, error) {
	o := &options{size: 1 << 30, data: []string{"bf16", "f32", "random"}}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(w)
	f.Func("size", "of a data set: bytes, or a number and MiB or GiB (default 1GiB)", func(s string) (err error) { o.size, err = parseSize(s); return err })
	f.IntVar(&o.rounds, "rounds", 5, "how often each tool has its turn")
	f.Func("data", "which data, in order, the targets are judged on the first: bf16, f32, random (default all)", list(&o.data))
	f.Func("tools", "only these, of "+strings.Join(toolIDs(), ", ")+" (default all)", list(&o.tools))
	f.StringVar(&o.out, "out", "", "write the document here, instead of to standard output")
	f.StringVar(&o.chart, "chart", "", "write the chart here, as SVG")
	f.StringVar(&o.profiles, "profile", "", "write processor profiles of push and pull to this directory, and the top of them for what misses its target")
	f.StringVar(&o.disk, "disk", os.TempDir(), "a directory on the disk that a pull to disk is measured on")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	err := o.check(f.Args())
	if err != nil {
		fmt.Fprintln(w, err)
	}
	return o, err
}

func (o *options) check(rest []string) error {
	if len(rest) > 0 {
		return fmt.Errorf("unexpected argument %q", rest[0])
	}
	if o.rounds < 1 {
		return errors.New("at least one round is needed")
	}
	for _, id := range o.tools {
		if !slices.Contains(toolIDs(), id) {
			return fmt.Errorf("there is no tool %q", id)
		}
	}
	for _, name := range o.data {
		if !isKind(name) {
			return fmt.Errorf("there is no data %q", name)
		}
	}
	return nil
}

// uses says whether a tool takes part.
func (o *options) uses(tool string) bool { return len(o.tools) == 0 || slices.Contains(o.tools, tool) }

// list returns a function that sets a flag to a list of words between commas.
func list(to *[]string) func(string) error {
	return func(s string) error {
		*to = strings.Split(s, ",")
		return nil
	}
}

// parseSize reads a size: bytes, or a number and its unit.
func parseSize(s string) (int64, error) {
	number, factor := s, int64(1)
	for unit, n := range map[string]int64{"MiB": 1 << 20, "GiB": 1 << 30} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			number, factor = rest, n
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 1 || n > maxSize/factor {
		return 0, fmt.Errorf("%q is no size that can be measured", s)
	}
	return n * factor, nil
}

// chartFrom returns how the document refers to the chart.
func (o *options) chartFrom() string {
	if o.chart == "" {
		return "performance.svg"
	}
	rel, err := filepath.Rel(filepath.Dir(o.out), o.chart)
	if err != nil {
		return o.chart
	}
	return filepath.ToSlash(rel)
}

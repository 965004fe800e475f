// Package argv puts a command line into one order: flags of the whole program,
// the command's words, the command's own flags, "--", arguments.
//
// urfave/cli v2 takes flags only before arguments and silently passes on those
// that stand behind them, so that "pull x --force" would not force anything.
// People and scripts write flags anywhere. This package knows from the command
// tree which flags take a value, moves them to where the parser sees them, and
// refuses what still looks like a flag: a misspelt flag never becomes an
// argument, nor a forgotten value the next flag.
//
// Any order of the flags and arguments of one command gives the same result,
// as long as the arguments among themselves, and the values of a flag that may
// be repeated, keep theirs.
package argv

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// ErrUsage marks a command line that cannot be understood. Errors that are it
// consist of one sentence for a person.
var ErrUsage = errors.New("command line not understood")

type usageError string

func (e usageError) Error() string        { return string(e) }
func (e usageError) Is(target error) bool { return target == ErrUsage }

// Flag is what must be known of a flag to find its value.
type Flag struct {
	Name   string // without dashes
	Bool   bool   // takes no value, or one behind '='
	Repeat bool   // may be given more than once
}

// Command is a node of the command tree. The root is the program itself; its
// flags are known everywhere.
type Command struct {
	Name  string
	Flags []Flag
	Sub   []Command
	Runs  bool // also without one of Sub: then what is the name of none is an argument
}

// Line is a command line in order.
type Line struct {
	Path   []string // the command's words, e.g. "identity", "new"
	Global []string // flags of the root, each one token, sorted by name
	Flags  []string // flags of the command, likewise
	Args   []string
	Help   bool // -h or --help stood somewhere
}

// Tokens returns the line for a parser that wants flags first.
func (l Line) Tokens() []string {
	out := slices.Concat(l.Global, l.Path, l.Flags)
	if len(l.Args) > 0 {
		out = append(append(out, "--"), l.Args...)
	}
	return out
}

// Normalise orders args, which do not include the program's name. Every error
// is [ErrUsage].
func Normalise(root Command, args []string) (Line, error) {
	n := &normaliser{root: root, at: root, seen: map[string]bool{}}
	for i := 0; i < len(args); i++ {
		arg := args[i]
		switch {
		case arg == "--":
			for _, rest := range args[i+1:] {
				n.word(rest)
			}
			i = len(args)
		case len(arg) > 1 && arg[0] == '-':
			used, err := n.flag(arg, args[i+1:])
			if err != nil {
				return Line{}, err
			}
			i += used
		default:
			n.word(arg)
		}
	}
	if n.unknown != "" {
		return Line{}, n.unknownCommand()
	}
	return n.line(), nil
}

type token struct{ name, text string }

type normaliser struct {
	root, at      Command // at: the command that the words so far name
	path, args    []string
	global, flags []token
	seen          map[string]bool
	help          bool
	unknown       string // a word where a command's name should stand
}

// word takes a command's name or an argument.
func (n *normaliser) word(s string) {
	if len(n.at.Sub) == 0 || len(n.args) > 0 {
		n.args = append(n.args, s)
		return
	}
	if n.unknown != "" {
		return
	}
	for _, c := range n.at.Sub {
		if c.Name == s {
			n.at, n.path = c, append(n.path, s)
			return
		}
	}
	if n.at.Runs {
		n.args = append(n.args, s)
		return
	}
	n.unknown = s
}

// flag takes one flag and returns how many of the tokens behind it are its
// value: 0 or 1.
func (n *normaliser) flag(arg string, rest []string) (int, error) {
	name, value, hasValue := strings.Cut(arg, "=")
	if arg == "-h" || name == "--help" && !hasValue {
		n.help = true
		return 0, nil
	}
	if n.unknown != "" {
		return 0, n.unknownCommand()
	}
	long, isLong := strings.CutPrefix(name, "--")
	if !isLong {
		if n.known(name[1:]) {
			return 0, usage("%s: write -%s", arg, name)
		}
		return 0, n.unknownFlag(name)
	}
	f, global, ok := n.lookup(long)
	if !ok {
		return 0, n.unknownFlag(name)
	}
	if n.seen[f.Name] && !f.Repeat {
		return 0, usage("%s is given twice", name)
	}
	n.seen[f.Name] = true
	used := 0
	switch {
	case f.Bool && !hasValue:
		value = "true"
	case f.Bool:
		b, err := strconv.ParseBool(value)
		if err != nil {
			return 0, usage("%s is either given or not: %q is neither true nor false", name, value)
		}
		value = strconv.FormatBool(b)
	case !hasValue:
		if len(rest) == 0 {
			return 0, usage("%s needs a value", name)
		}
		if value = rest[0]; len(value) > 1 && value[0] == '-' {
			return 0, usage("%s needs a value; if %q is meant to be it, write %s=%s", name, value, name, value)
		}
		used = 1
	}
	t := token{f.Name, "--" + f.Name + "=" + value}
	if global {
		n.global = append(n.global, t)
	} else {
		n.flags = append(n.flags, t)
	}
	return used, nil
}

func (n *normaliser) lookup(name string) (f Flag, global, ok bool) {
	if i := slices.IndexFunc(n.root.Flags, func(f Flag) bool { return f.Name == name }); i >= 0 {
		return n.root.Flags[i], true, true
	}
	if i := slices.IndexFunc(n.at.Flags, func(f Flag) bool { return f.Name == name }); i >= 0 {
		return n.at.Flags[i], false, true
	}
	return Flag{}, false, false
}

func (n *normaliser) known(name string) bool {
	_, _, ok := n.lookup(name)
	return ok
}

func (n *normaliser) unknownFlag(name string) error {
	bare := strings.TrimLeft(name, "-")
	var names []string
	for _, f := range slices.Concat(n.at.Flags, n.root.Flags) {
		names = append(names, f.Name)
	}
	if near := Nearest(bare, append(names, "help")); near != "" {
		return usage("%s has no flag %s; did you mean --%s?", n.title(), name, near)
	}
	if len(n.at.Sub) > 0 && len(n.path) == 0 {
		return usage("%s has no flag %s; a command's own flags stand after its name", n.title(), name)
	}
	return usage("%s has no flag %s", n.title(), name)
}

func (n *normaliser) unknownCommand() error {
	var names []string
	for _, c := range n.at.Sub {
		names = append(names, c.Name)
	}
	what := "there is no command " + strconv.Quote(n.unknown)
	if len(n.path) > 0 {
		what = fmt.Sprintf("%s has no command %q", n.title(), n.unknown)
	}
	if near := Nearest(n.unknown, names); near != "" {
		return usage("%s; did you mean %q?", what, near)
	}
	return usage("%s", what)
}

func (n *normaliser) title() string {
	return strings.Join(append([]string{n.root.Name}, n.path...), " ")
}

func (n *normaliser) line() Line {
	return Line{Path: n.path, Global: texts(n.global), Flags: texts(n.flags), Args: n.args, Help: n.help}
}

func texts(ts []token) []string {
	slices.SortStableFunc(ts, func(a, b token) int { return strings.Compare(a.name, b.name) })
	var out []string
	for _, t := range ts {
		out = append(out, t.text)
	}
	return out
}

func usage(format string, a ...any) error {
	return usageError(fmt.Sprintf(format, a...))
}

package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/aivault/aivault/cmd/aivault/cli/argv"
)

// command is one command, or a group of commands.
type command struct {
	name    string
	args    string // as in help: "ARTEFACT PATH…", optional ones in brackets
	usage   string // one line, lower case, no full stop
	about   string // more, where it is needed; paragraphs
	example string // one or more lines to paste
	flags   []cli.Flag
	json    any // what --json prints: a value of the type of an object, or of a line; nil where it changes nothing
	sub     []*command
	run     func(context.Context, *call) error // nil for a group
}

// call is one call of a command: its arguments, its flags, and all else.
type call struct {
	*run
	args  []string
	flags *cli.Context
	path  []string // the command's words
}

// arg returns an optional argument, "" if it was not given.
func (c *call) arg(i int) string {
	if i < len(c.args) {
		return c.args[i]
	}
	return ""
}

// program is the root of the command tree.
func program() *command {
	return &command{
		name:    "aivault",
		usage:   "keep AI model artefacts in storage that nobody has to trust",
		about:   "Artefacts are sealed before they leave this machine and verified before they are used. A vault is a bucket or a directory, and a keeper of keys: there is no server.",
		example: "aivault demo\naivault init s3://models/vault --custody object:s3://keys/vault\naivault push fraud-detector ./model\naivault pull fraud-detector ./serving",
		flags:   globalFlags(),
		sub:     commands(),
	}
}

// app is the command tree as urfave/cli runs it.
func (c *command) app(r *run) *cli.App {
	return &cli.App{
		Name: c.name, HelpName: c.name, Usage: c.usage,
		Flags: c.flags, Commands: c.children(r, nil), Action: c.action(r, nil),
		Writer: r.out, ErrWriter: r.sys.stderr,
		HideHelp: true, HideVersion: true, DisableSliceFlagSeparator: true,
		OnUsageError:   usageFromParser,
		ExitErrHandler: func(*cli.Context, error) {}, // errors become exit codes in report, after cleaning up
	}
}

func (c *command) children(r *run, path []string) []*cli.Command {
	var out []*cli.Command
	for _, s := range c.sub {
		at := append(slices.Clone(path), s.name)
		out = append(out, &cli.Command{
			Name: s.name, Usage: s.usage, Flags: s.flags, Subcommands: s.children(r, at), Action: s.action(r, at),
			HideHelp: true, OnUsageError: usageFromParser,
		})
	}
	return out
}

func (c *command) action(r *run, path []string) cli.ActionFunc {
	return func(ctx *cli.Context) error {
		if c.run == nil {
			return c.incomplete(path)
		}
		k := &call{run: r, args: ctx.Args().Slice(), flags: ctx, path: path}
		if err := c.checkArgs(path, k.args); err != nil {
			return err
		}
		bounded, err := r.start(ctx.Context, ctx, path)
		if err != nil {
			return err
		}
		return c.run(bounded, k)
	}
}

// usageFromParser marks what the parser refuses, e.g. a number that is none.
func usageFromParser(_ *cli.Context, err error, _ bool) error { return usage("%w", err) }

// incomplete says which commands a group has.
func (c *command) incomplete(path []string) error {
	if len(path) == 0 {
		return hint(usage("no command is given"), "run aivault --help for all of them, or aivault demo to see what aivault does")
	}
	var names []string
	for _, s := range c.sub {
		names = append(names, s.name)
	}
	return usage("aivault %s needs one of: %s", strings.Join(path, " "), strings.Join(names, ", "))
}

// checkArgs holds the number of arguments against how they are declared.
func (c *command) checkArgs(path, args []string) error {
	least, most := c.arity()
	title := "aivault " + strings.Join(path, " ")
	switch {
	case len(args) < least:
		return usage("%s needs %s", title, c.args)
	case most >= 0 && len(args) > most && most == 0:
		return usage("%s takes no arguments: %q", title, args[0])
	case most >= 0 && len(args) > most:
		return usage("%s takes %s and nothing more: %q", title, c.args, args[most])
	}
	for i, a := range args {
		if a == "" {
			return usage("%s: argument %d is empty", title, i+1)
		}
	}
	return nil
}

// arity is how many arguments the command takes at least and at most; most is
// −1 where there is no limit.
func (c *command) arity() (least, most int) {
	for word := range strings.FieldsSeq(c.args) {
		many := strings.HasSuffix(strings.TrimSuffix(word, "]"), "…")
		if !strings.HasPrefix(word, "[") {
			least++
		}
		if most++; many {
			return least, -1
		}
	}
	return least, most
}

// tree is the command tree as argv needs it.
func (c *command) tree() argv.Command {
	out := argv.Command{Name: c.name, Runs: c.run != nil}
	for _, f := range c.flags {
		_, isBool := f.(*cli.BoolFlag)
		_, isSlice := f.(*cli.StringSliceFlag)
		out.Flags = append(out.Flags, argv.Flag{Name: f.Names()[0], Bool: isBool, Repeat: isSlice})
	}
	for _, s := range c.sub {
		out.Sub = append(out.Sub, s.tree())
	}
	return out
}

// find returns the command that words name.
func (c *command) find(words []string) (*command, error) {
	at := c
	for i, w := range words {
		j := slices.IndexFunc(at.sub, func(s *command) bool { return s.name == w })
		if j < 0 {
			return nil, usage("there is no command %q", strings.Join(words[:i+1], " "))
		}
		at = at.sub[j]
	}
	return at, nil
}

// Flags of commands. The usage of one that takes a value begins with what
// stands for the value, in backquotes.

func textFlag(name, value, usage string) cli.Flag {
	return &cli.StringFlag{Name: name, Usage: "`" + value + "` " + usage}
}

func boolFlag(name, usage string) cli.Flag { return &cli.BoolFlag{Name: name, Usage: usage} }

func listFlag(name, value, usage string) cli.Flag {
	return &cli.StringSliceFlag{Name: name, Usage: "`" + value + "` " + usage, KeepSpace: true}
}

func flagList(flags ...cli.Flag) []cli.Flag { return flags }

// describeFlag returns a flag's usage and what stands for its value, "" for a
// flag without one.
func describeFlag(f cli.Flag) (value, usage string) {
	usage = f.(cli.DocGenerationFlag).GetUsage()
	if rest, ok := strings.CutPrefix(usage, "`"); ok {
		value, usage, _ = strings.Cut(rest, "` ")
	}
	return value, usage
}

func helpHint(path []string) string {
	return fmt.Sprintf("run aivault %s for its usage", strings.Join(append(slices.Clone(path), "--help"), " "))
}

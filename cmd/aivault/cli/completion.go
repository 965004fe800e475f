package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

func completionCommand() *command {
	return &command{
		name: "completion", args: "bash|zsh|fish|powershell", usage: "print a script that completes commands and flags in your shell",
		about:   "The script is complete in itself: nothing runs when you press the tab key.",
		example: "source <(aivault completion bash)\naivault completion zsh > \"${fpath[1]}/_aivault\"\naivault completion fish > ~/.config/fish/completions/aivault.fish\naivault completion powershell | Out-String | Invoke-Expression",
		run:     completion,
	}
}

func completion(_ context.Context, c *call) error {
	scripts := map[string]func(completions) string{
		"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion, "powershell": powershellCompletion,
	}
	script, ok := scripts[c.args[0]]
	if !ok {
		return usage("there is no completion for %q: it is one of bash, zsh, fish and powershell", c.args[0])
	}
	_, err := c.out.Write([]byte(script(gather(program()))))
	return err
}

// completions is the command tree, flat, as the scripts need it.
type completions struct {
	nodes  []completionNode
	global []completionFlag
}

// completionNode is a command; at is "" for the program and else its words,
// each after a space.
type completionNode struct {
	at    string
	words []completionWord
	flags []completionFlag
}

type completionWord struct{ name, usage string }

type completionFlag struct {
	name, usage string
	value       bool
	choices     []string // of the value, where it is one of few words
}

func gather(root *command) completions {
	out := completions{global: completionFlags(root.flags)}
	var walk func(c *command, at string)
	walk = func(c *command, at string) {
		n := completionNode{at: at, flags: completionFlags(c.flags)}
		if c == root {
			n.flags = nil
		}
		for _, s := range c.sub {
			n.words = append(n.words, completionWord{s.name, s.usage})
		}
		if choices := choicesOf(c.args); choices != nil && c.sub == nil {
			for _, w := range choices {
				n.words = append(n.words, completionWord{w, ""})
			}
		}
		out.nodes = append(out.nodes, n)
		for _, s := range c.sub {
			walk(s, at+" "+s.name)
		}
	}
	walk(root, "")
	return out
}

func completionFlags(flags []cli.Flag) []completionFlag {
	var out []completionFlag
	for _, f := range flags {
		value, usage := describeFlag(f)
		out = append(out, completionFlag{name: f.Names()[0], usage: firstSentence(usage), value: value != "", choices: choicesOf(value)})
	}
	return out
}

// choicesOf returns the words of a placeholder such as "auto|plain": those in
// lower case, which stand for themselves.
func choicesOf(placeholder string) []string {
	words := strings.Split(placeholder, "|")
	if len(words) < 2 || strings.ToLower(placeholder) != placeholder {
		return nil
	}
	return words
}

func firstSentence(s string) string {
	s, _, _ = strings.Cut(s, ";")
	s, _, _ = strings.Cut(s, " (default")
	s, _, _ = strings.Cut(s, " [$")
	return s
}

// valueFlags returns all flags that take a value, "--" before them.
func (c completions) valueFlags() []string {
	var out []string
	add := func(flags []completionFlag) {
		for _, f := range flags {
			if f.value {
				out = append(out, "--"+f.name)
			}
		}
	}
	add(c.global)
	for _, n := range c.nodes {
		add(n.flags)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// choices returns the words that each flag with a choice takes.
func (c completions) choices() []completionFlag {
	all := slices.Clone(c.global)
	for _, n := range c.nodes {
		all = append(all, n.flags...)
	}
	slices.SortStableFunc(all, func(a, b completionFlag) int { return strings.Compare(a.name, b.name) })
	all = slices.CompactFunc(all, func(a, b completionFlag) bool { return a.name == b.name })
	return slices.DeleteFunc(all, func(f completionFlag) bool { return f.choices == nil })
}

// paths returns where the words of commands lead: " identity", " identity new", …
func (c completions) paths() []string {
	var out []string
	for _, n := range c.nodes[1:] {
		out = append(out, n.at)
	}
	return out
}

// quoteAll quotes each word for a shell and joins them.
func quoteAll(words []string, quote func(string) string, sep string) string {
	var out []string
	for _, w := range words {
		out = append(out, quote(w))
	}
	return strings.Join(out, sep)
}

// posixQuote quotes s for bash and zsh.
func posixQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (n completionNode) flagNames(global []completionFlag) []string {
	var out []string
	for _, f := range slices.Concat(n.flags, global) {
		out = append(out, "--"+f.name)
	}
	return append(out, "--help")
}

func (n completionNode) wordNames() []string {
	var out []string
	for _, w := range n.words {
		out = append(out, w.name)
	}
	return out
}

func bashCompletion(c completions) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# bash completion for aivault
_aivault() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="${COMP_WORDS[COMP_CWORD-1]}" at="" words="" flags="" word i
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        case "$word" in
            %s) ((i++)); continue ;;
        esac
        case "$at $word" in
            %s) at="$at $word" ;;
        esac
    done
    COMPREPLY=()
    case "$prev" in
`, strings.Join(c.valueFlags(), "|"), quoteAll(c.paths(), posixQuote, "|"))
	for _, f := range c.choices() {
		fmt.Fprintf(&b, "        --%s) COMPREPLY=($(compgen -W %s -- \"$cur\")); return ;;\n", f.name, posixQuote(strings.Join(f.choices, " ")))
	}
	fmt.Fprintf(&b, "        %s) return ;;\n    esac\n    case \"$at\" in\n", strings.Join(c.valueFlags(), "|"))
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "        %s) words=%s flags=%s ;;\n", posixQuote(n.at), posixQuote(strings.Join(n.wordNames(), " ")), posixQuote(strings.Join(n.flagNames(c.global), " ")))
	}
	b.WriteString(`    esac
    case "$cur" in
        -*) COMPREPLY=($(compgen -W "$flags" -- "$cur")) ;;
        *) COMPREPLY=($(compgen -W "$words" -- "$cur")) ;;
    esac
}
complete -o default -F _aivault aivault
`)
	return b.String()
}

func zshCompletion(c completions) string {
	var b strings.Builder
	fmt.Fprintf(&b, `#compdef aivault
# zsh completion for aivault
_aivault() {
    local at="" word i=2
    local -a commands flags
    while (( i < CURRENT )); do
        word="${words[i]}"
        case "$word" in
            (%s) (( i += 2 )); continue ;;
        esac
        case "$at $word" in
            (%s) at="$at $word" ;;
        esac
        (( i++ ))
    done
    case "${words[CURRENT-1]}" in
`, strings.Join(c.valueFlags(), "|"), quoteAll(c.paths(), posixQuote, "|"))
	for _, f := range c.choices() {
		fmt.Fprintf(&b, "        (--%s) compadd -- %s; return ;;\n", f.name, strings.Join(f.choices, " "))
	}
	fmt.Fprintf(&b, "        (%s) _files; return ;;\n    esac\n    case \"$at\" in\n", strings.Join(c.valueFlags(), "|"))
	for _, n := range c.nodes {
		var words []string
		for _, w := range n.words {
			words = append(words, strings.TrimSuffix(strings.ReplaceAll(w.name, ":", `\:`)+":"+w.usage, ":"))
		}
		fmt.Fprintf(&b, "        (%s) commands=(%s) flags=(%s) ;;\n", posixQuote(n.at), quoteAll(words, posixQuote, " "), strings.Join(n.flagNames(c.global), " "))
	}
	b.WriteString(`    esac
    if [[ "${words[CURRENT]}" == -* ]]; then
        compadd -- $flags
    elif (( $#commands )); then
        _describe command commands
    else
        _files
    fi
}
if [[ "$funcstack[1]" == _aivault ]]; then
    _aivault "$@"
else
    compdef _aivault aivault
fi
`)
	return b.String()
}

func fishCompletion(c completions) string {
	quote := func(s string) string {
		return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(s) + "'"
	}
	var b strings.Builder
	fmt.Fprintf(&b, `# fish completion for aivault
function __aivault_at
    set -l at ''
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch $word
            case %s
                set skip 1
                continue
        end
        switch "$at $word"
            case %s
                set at "$at $word"
        end
    end
    test "$at" = "$argv[1]"
end
complete -c aivault -l help -d 'show how a command is used'
`, strings.Join(c.valueFlags(), " "), quoteAll(c.paths(), quote, " "))
	flag := func(condition string, f completionFlag) {
		fmt.Fprintf(&b, "complete -c aivault %s-l %s -d %s", condition, f.name, quote(f.usage))
		switch {
		case f.choices != nil:
			fmt.Fprintf(&b, " -x -a %s", quote(strings.Join(f.choices, " ")))
		case f.value:
			b.WriteString(" -r")
		}
		b.WriteString("\n")
	}
	for _, f := range c.global {
		flag("", f)
	}
	for _, n := range c.nodes {
		condition := "-n " + quote("__aivault_at "+quote(n.at)) + " "
		for _, w := range n.words {
			fmt.Fprintf(&b, "complete -c aivault %s-f -a %s -d %s\n", condition, quote(w.name), quote(w.usage))
		}
		for _, f := range n.flags {
			flag(condition, f)
		}
	}
	return b.String()
}

func powershellCompletion(c completions) string {
	quote := func(s string) string { return "'" + strings.ReplaceAll(s, "'", "''") + "'" }
	var b strings.Builder
	b.WriteString("# PowerShell completion for aivault\nRegister-ArgumentCompleter -Native -CommandName aivault -ScriptBlock {\n    param($wordToComplete, $commandAst, $cursorPosition)\n    $words = @{\n")
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "        %s = @(%s)\n", quote(n.at), quoteAll(n.wordNames(), quote, ", "))
	}
	b.WriteString("    }\n    $flags = @{\n")
	for _, n := range c.nodes {
		fmt.Fprintf(&b, "        %s = @(%s)\n", quote(n.at), quoteAll(n.flagNames(c.global), quote, ", "))
	}
	b.WriteString("    }\n    $choices = @{\n")
	for _, f := range c.choices() {
		fmt.Fprintf(&b, "        %s = @(%s)\n", quote("--"+f.name), quoteAll(f.choices, quote, ", "))
	}
	fmt.Fprintf(&b, `    }
    $takesValue = @(%s)
    $at = ''
    $last = ''
    foreach ($element in $commandAst.CommandElements | Select-Object -Skip 1) {
        if ($element.Extent.EndOffset -ge $cursorPosition) { break }
        $word = $element.ToString()
        if ($takesValue -notcontains $last -and $words.ContainsKey("$at $word")) { $at = "$at $word" }
        $last = $word
    }
    if ($takesValue -contains $last) {
        $found = $choices[$last]
    } elseif ($wordToComplete.StartsWith('-')) {
        $found = $flags[$at]
    } else {
        $found = $words[$at]
    }
    $found | Where-Object { $_ -like "$wordToComplete*" } | ForEach-Object {
        [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
    }
}
`, quoteAll(c.valueFlags(), quote, ", "))
	return b.String()
}

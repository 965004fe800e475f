package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/aivault/aivault/cmd/aivault/cli/progress"
)

func demoCommand() *command {
	return &command{
		name: "demo", usage: "watch the life of a model, in a temporary folder",
		about:   "Real commands on a real vault: made, filled, read, attacked and examined. It touches nothing but a temporary folder, which it takes away again.",
		example: "aivault demo\naivault demo --keep",
		flags:   flagList(boolFlag("keep", "leave the folder, to look around in it")),
		json:    demoJSON{},
		run:     runDemo,
	}
}

// demoStep is a step of the demonstration: what is told, what is done to the
// files, and which command is run.
type demoStep struct {
	tell string
	do   func(*demo) error // before the command; nil: nothing
	args []string          // of the command; nil: what the storage sees is shown
	code int               // that it must exit with
}

// demo is one demonstration.
type demo struct {
	*call
	dir   string
	env   map[string]string
	spoil string // the object that was changed, and what it held
	held  []byte
}

func (d *demo) path(names ...string) string {
	return filepath.Join(append([]string{d.dir}, names...)...)
}

func (d *demo) steps() []demoStep {
	return []demoStep{
		{"An identity makes somebody a member: one key to read, one to sign.", nil,
			[]string{"identity", "new", d.path("identity")}, 0},
		{"A vault is storage that nobody has to trust, and a keeper of keys. Here both are directories.", nil,
			[]string{"init", d.path("vault"), "--member", "ada", "--person", "Ada Byron, data office"}, 0},
		{"A model: weights and a configuration. The first push registers its name.", (*demo).writeModel,
			[]string{"push", "fraud-detector", d.path("model"), "--label", "run=4711"}, 0},
		{"What the storage sees of it: names and bytes that tell it nothing.", nil, nil, 0},
		{"The configuration changes, the weights do not: they are not stored twice.", (*demo).changeModel,
			[]string{"push", "fraud-detector", d.path("model"), "--label", "run=4712"}, 0},
		{"A serving host takes what the channel main points to. Files appear only once they are verified.", nil,
			[]string{"pull", "fraud-detector", d.path("serving")}, 0},
		{"A second pull has nothing to do; with --exit-code it says so.", nil,
			[]string{"pull", "fraud-detector", d.path("serving"), "--exit-code"}, codeNothing},
		{"Every member sees what there is.", nil, []string{"list"}, 0},
		{"Somebody with access to the storage changes one bit of the weights. Nobody gets them.", (*demo).tamper,
			[]string{"pull", "fraud-detector", d.path("elsewhere")}, codeIntegrity},
		{"Verification names the object, and goes on to the end.", nil,
			[]string{"verify", "--full"}, codeIntegrity},
		{"The bit is put back.", (*demo).mend, []string{"verify", "--full"}, 0},
		{"The storage forgets the newest version, as if it had never been pushed. This machine has seen it.", (*demo).rollBack,
			[]string{"list"}, codeRolledBack},
		{"The storage is put right. What happened stays on record, signed and chained.", (*demo).rollForward,
			[]string{"history", "fraud-detector"}, 0},
	}
}

type demoJSON struct {
	Schema  string   `json:"schema"`
	Step    int      `json:"step"`
	Tell    string   `json:"tell"`
	Command []string `json:"command"`
	Code    int      `json:"exit_code"`
}

func runDemo(ctx context.Context, c *call) (err error) {
	dir, err := os.MkdirTemp("", "aivault-demo-")
	if err != nil {
		return fmt.Errorf("making a temporary folder: %w", err)
	}
	d := &demo{call: c, dir: dir}
	d.env = map[string]string{
		"AIVAULT_VAULT": d.path("vault"), "AIVAULT_IDENTITY": d.path("identity"), "AIVAULT_CUSTODY": "local:" + d.path("keeper"),
		"AIVAULT_STATE_DIR": d.path("state"), "AIVAULT_NO_INPUT": "true", "AIVAULT_PROGRESS": "none", "AIVAULT_LOG_LEVEL": "error",
	}
	if !c.flags.Bool("keep") {
		defer func() {
			if gone := os.RemoveAll(dir); err == nil {
				err = gone
			}
		}()
	}
	for i, s := range d.steps() {
		if err := d.play(ctx, i+1, s); err != nil {
			return fmt.Errorf("step %d of the demonstration: %w", i+1, err)
		}
	}
	if c.flags.Bool("keep") {
		fmt.Fprintf(c.sys.stderr, "All of it is in %s. To look around:\n", printable(dir))
		for _, name := range []string{"AIVAULT_VAULT", "AIVAULT_IDENTITY", "AIVAULT_CUSTODY", "AIVAULT_STATE_DIR"} {
			fmt.Fprintf(c.sys.stderr, "  export %s=%s\n", name, printable(d.env[name]))
		}
	}
	if c.set.quiet {
		fmt.Fprintln(c.out, "ok")
	}
	return nil
}

// play does one step, runs its command as the program itself would, and shows
// both.
func (d *demo) play(ctx context.Context, number int, s demoStep) error {
	if s.do != nil {
		if err := s.do(d); err != nil {
			return err
		}
	}
	var printed bytes.Buffer
	command, code := append([]string{"aivault"}, s.args...), 0
	if s.args == nil {
		command = []string{"find", d.path("vault"), "-type", "f"}
		if err := d.listObjects(&printed); err != nil {
			return err
		}
	} else {
		inner := &system{
			args: s.args, env: func(name string) (string, bool) { v, ok := d.env[name]; return v, ok }, unset: func(string) {},
			stdout: &printed, stderr: progress.NewScreen(&printed), errOut: d.sys.errOut, now: d.sys.now,
		}
		code = inner.main(ctx)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	switch {
	case d.set.json:
		if err := encode(d.out, demoJSON{d.out.schema(), number, s.tell, command, code}); err != nil {
			return err
		}
	case !d.set.quiet:
		fmt.Fprintf(d.out, "%d. %s\n\n   $ %s\n", number, s.tell, quoteAll(command, quoteWord, " "))
		for line := range strings.Lines(printed.String()) {
			fmt.Fprintf(d.out, "   %s\n", shorten(strings.TrimSuffix(line, "\n")))
		}
		if code != 0 {
			fmt.Fprintf(d.out, "   [exit code %d]\n", code)
		}
		fmt.Fprintln(d.out)
	}
	if code != s.code {
		return fmt.Errorf("%s ended with exit code %d instead of %d: %s", strings.Join(command, " "), code, s.code, printed.String())
	}
	return nil
}

// listObjects lists what stands in the storage.
func (d *demo) listObjects(w io.Writer) error {
	return fs.WalkDir(os.DirFS(d.path("vault")), ".", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			fmt.Fprintln(w, path)
		}
		return err
	})
}

// shorten cuts what would fill the screen, such as a member's line.
func shorten(line string) string {
	const most = 400
	if r := []rune(line); len(r) > most {
		return fmt.Sprintf("%s… (%d characters)", string(r[:60]), len(r))
	}
	return line
}

// quoteWord quotes a word where a shell needs it.
func quoteWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:@", r))
	}) {
		return s
	}
	return posixQuote(s)
}

func (d *demo) writeModel() error {
	if err := os.Mkdir(d.path("model"), 0o700); err != nil {
		return err
	}
	weights := make([]byte, 20<<20)
	for i := range weights {
		weights[i] = byte(i * (i >> 8)) // nothing that repeats
	}
	if err := os.WriteFile(d.path("model", "weights.bin"), weights, 0o600); err != nil {
		return err
	}
	return os.WriteFile(d.path("model", "config.json"), []byte(`{"threshold": 0.5}`+"\n"), 0o600)
}

// changeModel changes the configuration, and keeps a copy of the storage as it
// was before that is pushed.
func (d *demo) changeModel() error {
	if err := os.CopyFS(d.path("earlier"), os.DirFS(d.path("vault"))); err != nil {
		return err
	}
	return os.WriteFile(d.path("model", "config.json"), []byte(`{"threshold": 0.7}`+"\n"), 0o600)
}

// tamper changes a bit in the middle of the largest object.
func (d *demo) tamper() error {
	var largest int64
	err := filepath.WalkDir(d.path("vault"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil && info.Size() > largest {
			largest, d.spoil = info.Size(), path
		}
		return err
	})
	if err != nil {
		return err
	}
	if d.held, err = os.ReadFile(d.spoil); err != nil {
		return err
	}
	spoiled := bytes.Clone(d.held)
	spoiled[len(spoiled)/2] ^= 1
	return os.WriteFile(d.spoil, spoiled, 0o600)
}

func (d *demo) mend() error { return os.WriteFile(d.spoil, d.held, 0o600) }

func (d *demo) rollBack() error { return d.swap("now", "earlier") }

func (d *demo) rollForward() error { return d.swap("earlier", "now") }

// swap puts one state of the storage in place of another, which it keeps.
func (d *demo) swap(keep, put string) error {
	if err := os.Rename(d.path("vault"), d.path(keep)); err != nil {
		return err
	}
	return os.Rename(d.path(put), d.path("vault"))
}

package cli

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

func pushCommand() *command {
	return &command{
		name: "push", args: "ARTEFACT [PATH…]", usage: "store files as a new version",
		about:   "One directory: its contents. Several paths: each under its base name. What the newest version holds already is not sent again, if you may read it; if nothing differs, no version is made. A push that was broken off is gone on with, if you may read: run the same again. Links are refused, but for those of a Hugging Face cache and of a Kubernetes volume, unless --follow is given. What a file .aivaultignore names, in the words of gitignore(5), is left out of its directory and those below; the file itself is stored, and --exclude leaves out more. The channel main follows if you are an operator for the artefact.\n\nA system pins versions of other artefacts that run together, each as a --part: the model, its tokenizer, config and prompts. Pulled, promoted and fallen back to it is one thing. Its file system.json names the parts; PATHs may add files of its own. A part is no system itself.",
		example: "aivault push fraud-detector ./model\naivault push team/fraud-detector model.safetensors config.json --label run=4711 --op \"$CI_JOB_ID\" --json\naivault push chat-system --part model=team/chat@v7 --part prompt=team/chat-prompt:prod --part config=team/chat-config@v2",
		flags: flagList(
			textFlag("channel", "NAME", "move this channel to the version, instead of main"),
			textFlag("kind", "model|dataset|config|prompt|system|evaluation", "what it is (default model)"),
			listFlag("part", "NAME=REF", "a version that a system pins, and the directory that its files are pulled to; makes it of kind system; may be repeated, up to 16 times"),
			textFlag("classification", "public|internal|confidential", "how secret it is (default internal); confidential objects are padded, so that sizes tell less"),
			listFlag("source-url", "URL", "where material from outside was got; may be repeated"),
			textFlag("acquired", "TIME", "when that was: a date or a time; needed with --source-url"),
			listFlag("derived-from", "REF[:ROLE]", "an earlier version that this one is related to: "+strings.Join(state.LineageRoles(), ", ")+"; may be repeated. Without ROLE it follows from the kinds, where one is obvious: a model is trained-on a dataset, fine-tuned-from a model and evaluated-with an evaluation; a dataset is distilled-from a model and merged-from datasets; a config or prompt is that of a model"),
			textFlag("lineage", "complete|incomplete", "complete declares that --derived-from names all that it descends from (default incomplete: nobody can tell)"),
			textFlag("justification", "FILE", "why what comes from outside is used, with its risks; stored in ARTEFACT.evidence"),
			listFlag("label", "KEY=VALUE", "describe the version; may be repeated"),
			textFlag("encode", "auto|none", "auto makes weights and text smaller before they are sealed, where that gains; none stores everything as it is (default auto)"),
			textFlag("if-version", "vN", "only if N is the newest version; v0: only if there is none"),
			textFlag("op", "ID", "a name for this push: when it is run again under the same name, it returns the version that was made"),
			listFlag("exclude", "GLOB", "leave out what matches; ** stands for any number of directories; may be repeated"),
			boolFlag("follow", "store what links lead to in their place; links out of the PATHs, or back to a directory they are in, are refused all the same"),
		),
		json: pushJSON{},
		run:  runPush,
	}
}

type pushJSON struct {
	Schema    string `json:"schema"`
	Changed   bool   `json:"changed"`
	Freshness string `json:"freshness"`
	Artefact  string `json:"artefact"`
	Version   int    `json:"version"`
	Ref       string `json:"ref"`
	Digest    string `json:"digest"`
	Channel   string `json:"channel,omitempty"`
	Files     int64  `json:"files"`
	Bytes     int64  `json:"bytes"`
	Stored    int64  `json:"stored_bytes"`
	Uploaded  int64  `json:"uploaded_bytes"`
	Reused    int64  `json:"reused_bytes"`
	Saved     int64  `json:"saved_bytes"`
	Resumed   bool   `json:"resumed"`
	Head      string `json:"head"`
}

func runPush(ctx context.Context, c *call) error {
	addressed, o, err := c.pushOptions()
	if err != nil {
		return err
	}
	v, err := c.openShowing(ctx, addressed, "push "+o.Artefact)
	if err != nil {
		return err
	}
	res, err := v.Push(ctx, o)
	if err != nil {
		return err
	}
	object := pushJSON{c.out.schema(), res.Changed, res.Freshness, res.Artefact, res.Version, fmt.Sprintf("%s@v%d", res.Artefact, res.Version),
		"sha256:" + res.Digest.String(), res.Channel, res.Files, res.Bytes, res.Stored, res.Uploaded, res.Reused, res.Saved, res.Resumed, res.Head.String()}
	err = c.out.result(object, object.Ref, func(w io.Writer) {
		if !res.Changed {
			fmt.Fprintf(w, "%s  nothing changed\n", printable(object.Ref))
			return
		}
		fmt.Fprintf(w, "%s  %s\n", printable(object.Ref), object.Digest)
		fmt.Fprintf(w, "%s, %s, %s of them stored already; %s sent", plural(int(res.Files), "file"), bytesText(res.Bytes), bytesText(res.Reused), bytesText(res.Uploaded))
		if res.Saved > 0 {
			fmt.Fprintf(w, ", %s saved by encoding", bytesText(res.Saved))
		}
		fmt.Fprintln(w)
		if res.Resumed {
			fmt.Fprintln(w, "it went on with a push that was broken off")
		}
		if res.Channel != "" {
			fmt.Fprintf(w, "channel %s points to it\n", printable(res.Channel))
		}
	})
	if res.Changed {
		c.note("head %s (for --pin)", object.Head)
	}
	if err == nil && !res.Changed {
		err = c.unchanged()
	}
	return err
}

// pushOptions reads arguments and flags, and refuses what cannot be right
// before anything is opened.
func (c *call) pushOptions() (addressed string, o vault.PushOptions, err error) {
	if addressed, o.Artefact, err = naming.ParseArtefact(c.args[0]); err != nil {
		return "", o, err
	}
	o.Paths, o.Exclude, o.Channel = c.args[1:], c.flags.StringSlice("exclude"), c.flags.String("channel")
	o.Follow = c.flags.Bool("follow")
	o.Kind, o.Classification = c.flags.String("kind"), c.flags.String("classification")
	if o.Parts, err = parseParts(addressed, c.flags.StringSlice("part")); err != nil {
		return "", o, err
	}
	switch {
	case len(o.Parts) == 0 && len(o.Paths) == 0:
		return "", o, usage("aivault push needs ARTEFACT PATH…; a system of parts needs none")
	case len(o.Parts) > 0 && o.Kind == "":
		o.Kind = state.KindSystem
	case len(o.Parts) > 0 && o.Kind != state.KindSystem:
		return "", o, usage("--part makes a system, and --kind says %q", o.Kind)
	case len(o.Parts) > state.MaxParts:
		return "", o, usage("%d parts: a system has at most %d", len(o.Parts), state.MaxParts)
	}
	for _, p := range o.Paths {
		if _, err := os.Lstat(p); errors.Is(err, fs.ErrNotExist) {
			return "", o, usage("%s: there is no such file or directory", p)
		}
	}
	if o.Labels, err = parseLabels(c.flags.StringSlice("label")); err != nil {
		return "", o, err
	}
	if err := c.origin(addressed, &o); err != nil {
		return "", o, err
	}
	if o.Encode = c.flags.String("encode"); o.Encode != "" && o.Encode != "auto" && o.Encode != "none" {
		return "", o, usage("--encode %q: write auto or none", o.Encode)
	}
	if text := c.flags.String("if-version"); text != "" {
		number, ok := strings.CutPrefix(text, "v")
		n, err := strconv.Atoi(number)
		if !ok || err != nil || n < 0 {
			return "", o, usage("--if-version %q: write v and a number, e.g. v7", text)
		}
		o.IfVersion = &n
	}
	if text := c.flags.String("op"); text != "" {
		o.Op = operationID(text)
	}
	return addressed, o, nil
}

// parseParts reads the parts of a system, which are in the vault that is addressed.
func parseParts(addressed string, texts []string) ([]vault.Part, error) {
	var out []vault.Part
	for _, t := range texts {
		name, text, ok := strings.Cut(t, "=")
		if err := state.CheckShortName(name); err != nil || !ok || name == state.SystemFile {
			return nil, usage("--part %q: write NAME=REF, where NAME is lower case letters, digits, '-', '_' and '.', and not "+state.SystemFile, t)
		}
		if slices.ContainsFunc(out, func(p vault.Part) bool { return p.Name == name }) {
			return nil, usage("--part %q: there is another part of this name", t)
		}
		other, ref, err := naming.ParseRef(text)
		if err != nil {
			return nil, err
		}
		if other != "" && other != addressed {
			return nil, usage("--part %q: a system and its parts are in one vault", t)
		}
		out = append(out, vault.Part{Name: name, Ref: ref})
	}
	return out, nil
}

func parseLabels(texts []string) (map[string]string, error) {
	if len(texts) == 0 {
		return nil, nil
	}
	out := map[string]string{}
	for _, t := range texts {
		k, v, ok := strings.Cut(t, "=")
		if _, twice := out[k]; !ok || k == "" || twice {
			return nil, usage("--label %q: write KEY=VALUE, each KEY once", t)
		}
		out[k] = v
	}
	return out, nil
}

// operationID makes an operation's id of what people call it: an id as it is,
// anything else by its hash.
func operationID(text string) canonical.ID {
	if id, err := canonical.ParseID(text); err == nil {
		return id
	}
	sum := sha256.Sum256([]byte("aivault operation\x00" + text))
	return canonical.ID(sum[:16])
}

package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"github.com/aivault/aivault/vault/checkpoint"
)

func auditCosignCommand() *command {
	return &command{
		name: "cosign", args: "FILE", usage: "cosign a checkpoint, as a witness",
		about: "For a machine that need not have anything but FILE, which audit checkpoint wrote: no vault, no network, no member's identity. The witness's own key is made when it is first needed and stays, with what was cosigned last of each vault, in the state directory: keep that. A history that does not continue what was cosigned before is refused. FILE is replaced by one with the cosignature.\n\n" +
			"The first file of a vault is taken on trust; name the vault with --genesis.",
		example: "aivault audit cosign checkpoint.json --genesis 9f86… --name witness.example/1",
		flags: flagList(
			textFlag("name", "NAME", "of the witness, when its key is made (default aivault-witness)"),
			textFlag("out", "FILE", "leave FILE as it is, and write this one; - for standard output"),
		),
		json: cosignJSON{},
		run:  runCosign,
	}
}

const defaultWitness = "aivault-witness"

type cosignJSON struct {
	Schema   string    `json:"schema"`
	Changed  bool      `json:"changed"`
	Genesis  string    `json:"genesis"`
	Size     uint64    `json:"size"`
	Root     string    `json:"root"`
	Previous *uint64   `json:"previous,omitempty"` // size cosigned before; nothing: this is the first
	Journals int       `json:"journals"`
	Time     time.Time `json:"time"`
	Witness  string    `json:"witness"` // the verifier key
	File     string    `json:"file"`
}

func runCosign(_ context.Context, c *call) error {
	out := c.args[0]
	if c.flags.IsSet("out") {
		out = c.flags.String("out")
	}
	if out == "-" && c.out.json {
		return usage("standard output cannot take both the file and --json")
	}
	x, err := c.readExport(c.args[0])
	if err != nil {
		return err
	}
	shown, err := x.Verify()
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	if err := c.checkGenesis(shown.Checkpoint); err != nil {
		return err
	}
	if c.memory == nil {
		return usage("a witness needs a place for its key and memory; name one with --state-dir")
	}
	desk, err := c.memory.Witness()
	if err != nil {
		return err
	}
	defer desk.Close()
	seen, err := desk.Seen(shown.Checkpoint.Genesis)
	if err != nil {
		return err
	}
	if seen == nil && c.set.genesis.IsZero() && !c.mayAsk() {
		return hint(usage("this witness has cosigned nothing of the vault %s before", shown.Checkpoint.Genesis), "if that is the vault you mean, name it with --genesis")
	}
	name := c.flags.String("name")
	key, made, err := desk.Key(cmp.Or(name, defaultWitness))
	if err != nil {
		return usage("--name: %w", err)
	}
	if !made && name != "" && name != key.Witness().Name() {
		return conflict("the key of this witness is called %s, not %s", key.Witness().Name(), name)
	}
	signed, now, err := checkpoint.Cosign(seen, x, key, c.sys.now())
	if errors.Is(err, checkpoint.ErrGap) {
		last, _ := seen.Checkpoint()
		return hint(fmt.Errorf("%s: %w", c.args[0], err), fmt.Sprintf("export it with aivault audit checkpoint --out FILE --since %d", last.Size))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", c.args[0], err)
	}
	// A witness that forgets what it has signed could sign something else.
	if err := desk.Remember(shown.Checkpoint.Genesis, now); err != nil {
		return err
	}
	if err := c.writeExport(out, signed); err != nil {
		return err
	}
	if out == "-" {
		return nil
	}
	object := cosignJSON{Schema: c.out.schema(), Changed: true, Genesis: shown.Checkpoint.Genesis.String(), Size: shown.Checkpoint.Size, Root: shown.Checkpoint.Root.String(),
		Journals: len(shown.Heads.Heads), Time: c.sys.now().UTC().Truncate(time.Second), Witness: key.Witness().String(), File: out}
	if seen != nil {
		last, err := seen.Checkpoint()
		if err != nil {
			return err
		}
		object.Previous = &last.Size
	}
	return c.out.result(object, strconv.FormatUint(object.Size, 10), func(w io.Writer) {
		fmt.Fprintf(w, "cosigned: %d entries in %s of the vault %s\n", object.Size, plural(object.Journals, "journal"), object.Genesis)
		if object.Previous == nil {
			fmt.Fprintln(w, "the first of this vault: what it begins with is taken on trust")
		} else {
			fmt.Fprintf(w, "it continues the %d entries cosigned before\n", *object.Previous)
		}
		fmt.Fprintf(w, "take it back with: aivault audit checkpoint --merge %s --witness %s\n", printable(out), object.Witness)
	})
}

package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/aivault/aivault/vault/checkpoint"
)

func auditCommand() *command {
	return &command{
		name: "audit", usage: "the trail",
		example: "aivault audit verify\naivault audit log --since 24h\naivault audit checkpoint --out checkpoint.json",
		sub:     []*command{auditVerifyCommand(), auditLogCommand(), auditCheckpointCommand(), auditCosignCommand(), auditSkipCommand()},
	}
}

// cosignatureJSON is a witness's signature of a checkpoint.
type cosignatureJSON struct {
	Witness string    `json:"witness"` // the verifier key
	Time    time.Time `json:"time"`
}

func cosignaturesJSON(sigs []checkpoint.Cosignature) []cosignatureJSON {
	out := []cosignatureJSON{}
	for _, s := range sigs {
		out = append(out, cosignatureJSON{s.Witness.String(), s.Time.UTC()})
	}
	return out
}

func printCosignatures(w io.Writer, indent string, sigs []checkpoint.Cosignature) {
	for _, s := range sigs {
		fmt.Fprintf(w, "%scosigned by %s at %s\n", indent, printable(s.Witness.Name()), timeText(s.Time))
	}
}

// readExport reads a file that audit checkpoint has written, or audit cosign;
// "-" is standard input.
func (r *run) readExport(path string) (*checkpoint.Export, error) {
	in := r.sys.stdin
	if path == "-" {
		if err := r.takeStdin("the checkpoint"); err != nil {
			return nil, err
		}
	} else {
		f, err := os.Open(path)
		if err != nil {
			return nil, usage("reading the checkpoint: %w", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, checkpoint.MaxExport+1))
	if err != nil {
		return nil, fmt.Errorf("reading the checkpoint: %w", err)
	}
	x, err := checkpoint.ParseExport(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}

// writeExport gives a file the content of an export: wholly, or not at all. "-"
// is standard output.
func (r *run) writeExport(path string, x *checkpoint.Export) error {
	b, err := x.Marshal()
	if err != nil {
		return err
	}
	if path == "-" {
		_, err := r.out.Write(b)
		return err
	}
	aside := path + ".new"
	f, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return usage("writing the checkpoint: %w", err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(aside, path)
	}
	if err != nil {
		return fmt.Errorf("writing the checkpoint: %w", errors.Join(err, os.Remove(aside)))
	}
	return nil
}

// checkGenesis refuses an export of another vault than --genesis names.
func (r *run) checkGenesis(c checkpoint.Checkpoint) error {
	if g := r.set.genesis; !g.IsZero() && g != c.Genesis {
		return conflict("the file is of the vault %s, not of %s", c.Genesis, g)
	}
	return nil
}

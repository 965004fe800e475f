package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/aivault/aivault/vault"
)

// errHook marks a command of --exec-before or --exec-after that failed.
var errHook = errors.New("failed")

// hook returns what runs the command of a flag around a change of a pull's
// destination; nil if the flag was not given. What the command prints goes to
// stderr: stdout is for the result.
func (c *call) hook(flag string) func(context.Context, vault.PullSwap) error {
	command := c.flags.String(flag)
	if command == "" {
		return nil
	}
	return func(ctx context.Context, s vault.PullSwap) error {
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Stdout, cmd.Stderr = c.sys.errOut, c.sys.errOut
		cmd.Env = append(os.Environ(), "AIVAULT_REF="+s.Ref, "AIVAULT_DIGEST=sha256:"+s.Digest.String(),
			"AIVAULT_DEST="+s.Dest, "AIVAULT_OLD="+s.Old, "AIVAULT_NEW="+s.New)
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		cmd.WaitDelay = 5 * time.Second
		err := cmd.Run()
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case flag == "exec-before":
			return fmt.Errorf("the command of --%s %w, and nothing was changed: %w", flag, errHook, err)
		}
		return fmt.Errorf("the command of --%s %w; %s is the new version: %w", flag, errHook, s.Dest, err)
	}
}

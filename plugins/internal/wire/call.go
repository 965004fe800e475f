package wire

import (
	"context"
	"errors"
	"time"
)

// errStalled is the cause of a call that ended because the plugin was silent.
var errStalled = errors.New("the plugin does not answer")

// call is the context of one call to a plugin: it ends with the caller's, with
// end, or when the plugin was silent for too long.
type call struct {
	context.Context
	parent context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
	limit  time.Duration
}

// begin starts a call that is awaiting its plugin.
func begin(ctx context.Context, limit time.Duration) *call {
	c := &call{parent: ctx, limit: limit}
	c.Context, c.cancel = context.WithCancelCause(ctx)
	c.timer = time.AfterFunc(limit, func() { c.cancel(errStalled) })
	return c
}

// await says that from now on the plugin is to answer.
func (c *call) await() { c.timer.Reset(c.limit) }

// pause says that the caller is at work, not the plugin.
func (c *call) pause() { c.timer.Stop() }

func (c *call) end() {
	c.timer.Stop()
	c.cancel(nil)
}

// ended returns why the call is over although nobody answered: the caller's
// context, or silence; nil if neither is the reason.
func (c *call) ended() error {
	if err := c.parent.Err(); err != nil {
		return err
	}
	if errors.Is(context.Cause(c), errStalled) {
		return errStalled
	}
	return nil
}

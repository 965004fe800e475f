package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/cmd/aivault/cli/naming"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/scan/scantest"
)

func pluginTestCommand() *command {
	return &command{
		name: "test", args: "PATH|NAME [CONFIG]", usage: "hold a plugin to every rule of its contract",
		about:   "Runs the same checks that aivault's own stores and keepers pass, or those of scanners, and prints each rule. PATH has a slash and is any binary: it is run as you. NAME is one that the vault pins. CONFIG names storage or a keeper for tests, which is made if it is not there; storage is left clean, and a keeper remembers the labels of destroyed keys that begin with custodytest-.",
		example: "aivault plugin test ./aivault-plugin-hsm slot=7 --env HSM_PIN",
		flags:   flagList(listFlag("env", "NAME", "a variable that the plugin at PATH is given; may be repeated")),
		json:    ruleJSON{}, run: pluginTest,
	}
}

type ruleJSON struct {
	Schema string `json:"schema"`
	Name   string `json:"name"`
	Rule   string `json:"rule"`
	Result string `json:"result"` // "pass" or "fail"
	Detail string `json:"detail,omitempty"`
}

func pluginTest(ctx context.Context, c *call) error {
	o, err := c.testedPlugin(ctx)
	if err != nil {
		return err
	}
	about, err := host.Describe(ctx, o)
	if err != nil {
		return err
	}
	var results []ruleJSON
	failed := 0
	check := func(name, rule string, err error) {
		r := ruleJSON{c.out.schema(), name, rule, "pass", ""}
		if err != nil {
			r.Result, r.Detail = "fail", oneLine(err)
			failed++
		}
		results = append(results, r)
	}
	switch about.Contract {
	case host.StoreContract:
		err = testStore(ctx, o, check)
	case host.KeeperContract:
		err = testKeeper(ctx, o, check)
	case host.ScannerContract:
		err = testScanner(ctx, o, check)
	}
	if err != nil {
		return err
	}
	err = table(c.out, results, func(r ruleJSON) any { return r }, []string{"RESULT", "CHECK", "RULE"}, func(r ruleJSON) []string {
		row := []string{r.Result, r.Name, r.Rule}
		if r.Detail != "" {
			row[2] += " But: " + r.Detail
		}
		return row
	})
	if err == nil && failed > 0 {
		err = hint(fmt.Errorf("%s breaks %d of %s: it is %w", c.args[0], failed, plural(len(results), "rule"), vault.ErrUnfit), "each one that failed says what was seen")
	}
	return err
}

// testedPlugin says how to run the plugin that is to be tested.
func (c *call) testedPlugin(ctx context.Context) (host.Options, error) {
	env := c.flags.StringSlice("env")
	if strings.ContainsAny(c.args[0], `/\`) {
		if err := checkVariables(env); err != nil {
			return host.Options{}, err
		}
		digest, err := host.DigestOf(c.args[0])
		if err != nil {
			return host.Options{}, usage("%w", err)
		}
		name := strings.TrimPrefix(filepath.Base(c.args[0]), pluginPrefix)
		return c.pluginOptions(naming.Plugin{Name: name, Config: c.arg(1)}, c.args[0], digest, env, true), nil
	}
	if len(env) > 0 {
		return host.Options{}, usage("--env goes with a PATH; the vault's journal names the variables of a plugin")
	}
	v, err := c.open(ctx, "")
	if err != nil {
		return host.Options{}, err
	}
	pins, _, err := v.Plugins(ctx)
	if err != nil {
		return host.Options{}, err
	}
	return c.pinnedOptions(naming.Plugin{Name: c.args[0], Config: c.arg(1)}, pins, true)
}

func testStore(ctx context.Context, o host.Options, check func(name, rule string, err error)) error {
	s, err := host.OpenStore(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, t := range backendtest.Checks() {
		check(t.Name, t.Rule, t.Run(ctx, s))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}

func testKeeper(ctx context.Context, o host.Options, check func(name, rule string, err error)) error {
	k, err := host.OpenKeeper(ctx, o)
	if err != nil {
		return err
	}
	defer k.Close()
	for _, t := range custodytest.Checks() {
		check(t.Name, t.Rule, t.Run(ctx, k))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	o.Create = false
	again, err := host.OpenKeeper(ctx, o)
	if err != nil {
		return err
	}
	defer again.Close()
	check("reopen", custodytest.ReopenRule, custodytest.CheckReopened(ctx, k, func() (custody.Keeper, error) { return again, nil }))
	return nil
}

// scanCheckTime is how long one check of a scanner may take; its files are tiny.
const scanCheckTime = 5 * time.Minute

func testScanner(ctx context.Context, o host.Options, check func(name, rule string, err error)) error {
	s, err := host.OpenScanner(ctx, o)
	if err != nil {
		return err
	}
	defer s.Close()
	for _, t := range scantest.Checks() {
		dir, err := os.MkdirTemp("", "aivault-scantest-")
		if err != nil {
			return err
		}
		timed, cancel := context.WithTimeout(ctx, scanCheckTime)
		check(t.Name, t.Rule, t.Run(timed, s, dir))
		cancel()
		if err := errors.Join(os.RemoveAll(dir), ctx.Err()); err != nil {
			return err
		}
	}
	return nil
}

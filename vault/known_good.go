package vault

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/vault/ledger"
	"github.com/aivault/aivault/vault/state"
	"github.com/aivault/aivault/vault/transfer"
)

// Depth says how far the content of a version is read before anything falls back
// to it.
type Depth uint8

const (
	// DepthObjects reads the manifest, and the header of every object that it names.
	DepthObjects Depth = iota
	// DepthRoot opens the version and verifies the root of its manifest; that its
	// content verifies, a drill must have shown. It takes no more requests for a
	// large version than for a small one.
	DepthRoot
	// DepthFull reads and verifies every byte.
	DepthFull
)

// Judged is one version, and why it is known good or is not.
type Judged struct {
	Version int
	Digest  canonical.Digest
	Checks  []state.Check // none if Why says enough
	Good    bool
	Why     string // why it is not even looked at
}

// Reason says in a line why the version is passed over; "" if it is good.
func (j Judged) Reason() string {
	if j.Why != "" || j.Good {
		return j.Why
	}
	var out []string
	for _, c := range j.Checks {
		if c.Status == state.CheckFail || c.Status == state.CheckUnknown {
			out = append(out, fmt.Sprintf("%s %s: %s", c.Name, c.Status, c.Why))
		}
	}
	return strings.Join(out, "; ")
}

// ErrNoKnownGood says that no version passes every check that is required.
var ErrNoKnownGood = errors.New("no version is known good")

// judge looks at one version as journals tell, and if they have nothing against
// it at its content. without names a check that does not count.
func (v *Vault) judge(ctx context.Context, l *ledger.Artefact, a *state.Artefact, cv *state.CommittedVersion, channel string, depth Depth, without string) (Judged, error) {
	j := Judged{Version: cv.Number, Digest: cv.Digest}
	told, err := v.checks(ctx, a, cv, channel)
	if err != nil {
		return j, err
	}
	for _, c := range told {
		if c.Name == without && c.Status != state.CheckPass {
			c.Status = state.CheckNotRequired
		}
		j.Checks = append(j.Checks, c)
	}
	if !state.Passes(j.Checks) {
		return j, nil
	}
	key, content, err := v.checkContent(ctx, l, a, cv, depth)
	j.Checks = append([]state.Check{content, key}, j.Checks...)
	j.Good = state.Passes(j.Checks)
	return j, err
}

// checkContent opens a version, and the parts that it pins, and reads of them as
// far as depth says. Errors are those of a store that is out of reach.
func (v *Vault) checkContent(ctx context.Context, l *ledger.Artefact, a *state.Artefact, cv *state.CommittedVersion, depth Depth) (key, content state.Check, err error) {
	members, err := v.members(ctx, l, a, cv)
	if broken(err) {
		return state.Check{Name: "key", Status: state.CheckUnknown, Why: "not tried"}, state.Check{Name: "bytes", Status: state.CheckFail, Why: err.Error()}, nil
	}
	if err != nil {
		return key, content, err
	}
	drilled := cv.Drilled("", v.State(), v.session.Time())
	for _, m := range members {
		k, c, err := v.checkMember(ctx, m, depth, drilled)
		if err != nil {
			return key, content, err
		}
		key, content = with(key, k, m.name), with(content, c, m.name)
	}
	return key, content, nil
}

// with adds to a check that of a part: the worst of both counts.
func with(all, part state.Check, name string) state.Check {
	if name == "" {
		return part
	}
	worse := func(s string) int {
		return slices.Index([]string{state.CheckPass, state.CheckUnknown, state.CheckFail}, s)
	}
	why := name + ": " + part.Why
	switch {
	case worse(part.Status) > worse(all.Status):
		all.Status, all.Why = part.Status, why
	case worse(part.Status) == worse(all.Status):
		all.Why += "; " + why
	}
	return all
}

// checkMember is checkContent of one version. drilled is the last drill that read
// all of it.
func (v *Vault) checkMember(ctx context.Context, m member, depth Depth, drilled *state.Evidence) (key, content state.Check, err error) {
	key, content = state.Check{Name: "key", Status: state.CheckUnknown}, state.Check{Name: "bytes", Status: state.CheckUnknown, Why: "it could not be opened"}
	source, err := v.openSource(ctx, m.ledger, m.artefact, m.version, v.config.Store)
	switch {
	case errors.Is(err, ErrNotPermitted) || errors.Is(err, custody.ErrUnavailable) || errors.Is(err, custody.ErrDenied):
		key.Why = err.Error()
		return key, content, nil
	case err != nil && (broken(err) || errors.Is(err, custody.ErrDestroyed) || errors.Is(err, backends.NotExist)):
		key.Status, key.Why = state.CheckFail, err.Error()
		return key, content, nil
	case err != nil:
		return key, content, err
	}
	key.Status, key.Why = state.CheckPass, "the keeper and this reader opened it"
	if depth == DepthRoot {
		content, err = checkRoot(ctx, source, drilled)
		return key, content, err
	}
	report, err := transfer.Check(ctx, source, depth == DepthFull, v.config.Progress)
	switch {
	case err != nil:
		return key, content, err
	case len(report.Problems) > 0:
		content.Status = state.CheckFail
		content.Why = fmt.Sprintf("%d objects do not verify, the first is %s: %v", len(report.Problems), report.Problems[0].Key, report.Problems[0].Err)
	case depth == DepthFull:
		content.Status, content.Why = state.CheckPass, fmt.Sprintf("every byte was read and verified, %d of them", report.Bytes)
	default:
		content.Status, content.Why = state.CheckPass, fmt.Sprintf("all of its %d objects are there, as the signed manifest says", len(report.Keys))
	}
	return key, content, nil
}

// checkRoot verifies the root of the manifest alone, and relies for the rest on
// a drill.
func checkRoot(ctx context.Context, source transfer.Source, last *state.Evidence) (state.Check, error) {
	c := state.Check{Name: "bytes", Status: state.CheckUnknown}
	_, err := transfer.Open(ctx, source)
	switch {
	case err != nil && (broken(err) || errors.Is(err, backends.NotExist)):
		c.Status, c.Why = state.CheckFail, err.Error()
		return c, nil
	case err != nil:
		return c, err
	case last == nil || last.Result != state.Pass:
		c.Why = "the root of its manifest verifies; content was not read, and no drill has shown that it verifies"
	default:
		c.Status, c.Why = state.CheckPass, fmt.Sprintf("the root of its manifest verifies; every byte did in the drill by %s on %s", last.By, last.Time)
	}
	return c, nil
}

// survey judges the versions that a channel may fall back to, newest first, until
// one is good: that is the last of the result then. The others are passed over, and so
// are those to avoid.
func (v *Vault) survey(ctx context.Context, l *ledger.Artefact, a *state.Artefact, channel string, depth Depth, without string, avoid []canonical.ID) ([]Judged, *state.CommittedVersion, error) {
	now := a.Version(a.Channel(channel))
	if now == nil {
		return nil, nil, fmt.Errorf("%s:%s: there is no such channel: %w", a.Name, channel, ErrNotFound)
	}
	was := map[int]bool{}
	for _, cv := range a.Fallbacks(channel) {
		was[cv.Number] = true
	}
	if err := v.readKin(ctx, a, a.Versions...); err != nil {
		return nil, nil, err
	}
	out := []Judged{{Version: now.Number, Digest: now.Digest, Why: "the channel points to it"}}
	checks, err := v.checks(ctx, a, now, channel)
	if err != nil {
		return nil, nil, err
	}
	if !state.Passes(checks) {
		out[0].Checks, out[0].Why = checks, ""
	}
	for n := now.Number - 1; n > 0; n-- {
		cv := a.Versions[n-1]
		if slices.Contains(avoid, cv.VID) {
			out = append(out, Judged{Version: n, Digest: cv.Digest, Why: "it is being put in quarantine"})
			continue
		}
		if !was[n] {
			out = append(out, Judged{Version: n, Digest: cv.Digest, Why: "the channel never pointed to it"})
			continue
		}
		j, err := v.judge(ctx, l, a, cv, channel, depth, without)
		if err != nil {
			return out, nil, fmt.Errorf("looking at %s: %w", cv.Ref(a.Name), err)
		}
		if out = append(out, j); j.Good {
			return out, cv, nil
		}
	}
	return out, nil, nil
}

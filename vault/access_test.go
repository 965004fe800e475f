package vault_test

import (
	"context"
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// credential is a store that denies what a role's bucket policy does.
type credential struct {
	backends.Store
	access *vault.Access
}

func allows(patterns []string, key string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, strings.Join(strings.Split(key, "/")[:min(strings.Count(p, "/")+1, strings.Count(key, "/")+1)], "/"))
		return err == nil && ok
	})
}

func (c credential) Put(ctx context.Context, key string, body []byte) (backends.Info, error) {
	if !allows(c.access.Put, key) {
		return backends.Info{}, &backends.Error{Op: "put", Key: key, Kind: backends.Denied, Err: errors.New("by the policy of role " + c.access.Role)}
	}
	return c.Store.Put(ctx, key, body)
}

// under gives somebody the credentials of a role.
func (p *place) under(t testing.TB, role string) *place {
	t.Helper()
	a, err := vault.AccessOf(role)
	if err != nil {
		t.Fatal(err)
	}
	q := *p
	q.store = credential{p.store, a}
	return &q
}

// TestCredentialsSuffice: with the bucket credentials of their role, and no
// more, members do what the role is for.
func TestCredentialsSuffice(t *testing.T) {
	p := newPlace(t)
	p.init(t)
	admin := p.join(t, "eve", state.Admin).under(t, state.Admin)
	add := func(name string, roles ...string) *place {
		ok[*vault.Change](t)(admin.open(t).MemberAdd(t.Context(), p.spec(t, name, roles...)))
		role := ""
		if len(roles) > 0 {
			role = roles[0]
		}
		return p.as(t, name).under(t, role)
	}
	dev, pat, olga, host := add("dev", state.Developer), add("pat", state.Pusher), add("olga", state.Operator), add("host")
	run, cust := add("run", state.Runner), add("cust", state.Custodian)
	add("mal")
	ok[*vault.Change](t)(admin.open(t).GroupAdd(t.Context(), "g", []string{"eve", "host", "mal"}))
	ok[*vault.GrantResult](t)(dev.open(t).Grant(t.Context(), "m", []string{"@g"}))
	pat.push(t, "m", 1)
	dev.push(t, "m", 2)
	if err := host.reads(t, "m", 1); err != nil {
		t.Error(err)
	}
	ok[*vault.GrantResult](t)(olga.open(t).Grant(t.Context(), "team/*", []string{"host"}))
	ok[*vault.RegisterResult](t)(cust.open(t).Register(t.Context(), "team/x"))
	if _, _, err := admin.open(t).MemberRemove(t.Context(), "mal", ""); err != nil {
		t.Error(err)
	}
	ok[*vault.RotateResult](t)(dev.open(t).CustodyRotate(t.Context(), "m"))
	if r := ok[*vault.RotateResult](t)(run.open(t).CustodyRotate(t.Context(), "m")); len(r.Settlement.Waiting) > 0 {
		t.Errorf("%+v", r.Settlement)
	}
	if _, _, err := olga.open(t).MemberSuspend(t.Context(), "pat", ""); err != nil {
		t.Error(err)
	}
	if _, err := host.open(t).IdentityRotate(t.Context(), p.as(t, "host2").id, 0); backends.KindOf(err) != backends.Denied {
		t.Errorf("somebody without a role writes: %v", err)
	}
}

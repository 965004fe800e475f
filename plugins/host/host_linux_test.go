package host_test

import (
	"context"
	"os"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/backends/mem"
	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/custodytest"
	"github.com/aivault/aivault/crypto/custody/local"
	"github.com/aivault/aivault/plugins/host"
	"github.com/aivault/aivault/plugins/sdk"
	"go.uber.org/goleak"
)

// role is the variable that makes this test binary a plugin, or a host of one.
const role = "TEST_ROLE"

func TestMain(m *testing.M) {
	if play, ok := roles()[os.Getenv(role)]; ok {
		play()
		return
	}
	goleak.VerifyTestMain(m)
}

func serveMem() {
	sdk.ServeStore("1.2.3", func(context.Context, sdk.Config) (backends.Store, error) {
		return mem.New(mem.Options{Versioned: true}), nil
	})
}

func serveLocal() {
	sdk.ServeKeeper("1.2.3", func(_ context.Context, c sdk.Config) (custody.Keeper, error) {
		if c.Create {
			return local.Init(c.Text, time.Now)
		}
		return local.Open(c.Text, time.Now)
	})
}

// options are those of this binary in a role.
func options(t *testing.T, as string) host.Options {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	digest, err := host.DigestOf(path)
	if err != nil {
		t.Fatal(err)
	}
	return host.Options{Name: as, Path: path, Digests: []canonical.Digest{digest}, Env: []string{role + "=" + as}, Now: time.Now}
}

func openStore(t *testing.T, o host.Options) *host.Store {
	t.Helper()
	s, err := host.OpenStore(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStoreConformance(t *testing.T) {
	s := openStore(t, options(t, "mem"))
	if s.Version() != "1.2.3" {
		t.Errorf("version %q", s.Version())
	}
	backendtest.Run(t, func(*testing.T) backends.Store { return s })
}

func TestKeeperConformance(t *testing.T) {
	custodytest.Run(t, func(t *testing.T) (custody.Keeper, func() (custody.Keeper, error)) {
		o := options(t, "local")
		o.Config, o.Create = t.TempDir()+"/keys", true
		open := func() (custody.Keeper, error) {
			k, err := host.OpenKeeper(t.Context(), o)
			if err == nil {
				o.Create = false
				t.Cleanup(func() { k.Close() })
			}
			return k, err
		}
		k, err := open()
		if err != nil {
			t.Fatal(err)
		}
		return k, open
	})
}

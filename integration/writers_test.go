package integration_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/backends"
	"github.com/aivault/aivault/backends/backendtest"
	"github.com/aivault/aivault/crypto/custody"
	"github.com/aivault/aivault/crypto/custody/local"
	"github.com/aivault/aivault/crypto/identity"
	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/vault"
	"github.com/aivault/aivault/vault/state"
)

// TestHundredWriters pushes a hundred versions of one artefact at once, to a
// real S3 server: none is lost, and nobody waits for a lock.
func TestHundredWriters(t *testing.T) {
	const writers = 100
	server := servers.VersityGW(t, servers.Options{})
	server.MakeBucket(t, "vault", false, false)
	store := openS3(t, server, "vault", "")
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	keeper, err := local.Init(filepath.Join(t.TempDir(), "keeper"), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	config := func(s backends.Store) vault.Config {
		return vault.Config{Store: s, Identity: id, Now: time.Now, Jobs: 2, Stall: 2 * time.Minute,
			Keepers: func(context.Context, []state.Plugin) ([]custody.Keeper, error) { return []custody.Keeper{keeper}, nil }}
	}
	if _, err := vault.Init(t.Context(), config(store), vault.InitOptions{Member: "ada"}); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(t.Context(), config(store))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Register(t.Context(), "fraud-detector"); err != nil {
		t.Fatal(err)
	}
	dirs := make([]string, writers)
	for i := range writers {
		dirs[i] = t.TempDir()
		if err := os.WriteFile(filepath.Join(dirs[i], "weights.bin"), fmt.Appendf(nil, "weights by writer %d", i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stores := make([]*backendtest.Counting, writers)
	versions := make([]int, writers)
	var wg sync.WaitGroup
	for i := range writers {
		stores[i] = backendtest.NewCounting(store)
		wg.Go(func() {
			v, err := vault.Open(t.Context(), config(stores[i]))
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
				return
			}
			res, err := v.Push(t.Context(), vault.PushOptions{Artefact: "fraud-detector", Paths: []string{dirs[i]}})
			if err != nil {
				t.Errorf("writer %d: %v", i, err)
				return
			}
			versions[i] = res.Version
		})
	}
	wg.Wait()
	if t.Failed() {
		return
	}
	seen := map[int]bool{}
	for _, n := range versions {
		seen[n] = true
	}
	if len(seen) != writers {
		t.Errorf("%d writers made %d versions", writers, len(seen))
	}
	requests := 0
	for _, s := range stores {
		for _, r := range s.Requests() {
			if strings.HasPrefix(r.Key, "log/") || strings.Contains(r.Key, "/log/") {
				requests++
			}
		}
	}
	t.Logf("%.1f journal requests a writer", float64(requests)/writers)
	if requests > 30*writers {
		t.Errorf("%d journal requests by %d writers: more than 30 each", requests, writers)
	}
	report, err := vault.Verify(t.Context(), config(store), vault.VerifyOptions{Full: true})
	if err != nil || !report.OK || report.Versions != writers || len(report.Voids) > 0 {
		t.Errorf("verify: %+v, %v", report, err)
	}
}

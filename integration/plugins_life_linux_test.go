package integration_test

import (
	"cmp"
	"encoding/json"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/plugins/aivault-plugin-awskms/awskmstest"
	"github.com/aivault/aivault/plugins/aivault-plugin-transit/transittest"
)

// buildPlugin builds plugins of this repository, each once, and returns the
// directory that has them.
func buildPlugin(t *testing.T, names ...string) string {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(built, name)
		if _, err := os.Stat(path); err == nil {
			continue
		}
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../plugins/"+name).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return built
}

// place is where a vault can be.
type place struct {
	name      string
	plugin    string // that reaches it; "": none is needed
	location  func(vault string) string
	env       []string // of aivault
	variables []string // of the plugin
}

// places are a bucket on S3 with versions, and a container in Azure.
func places(t *testing.T) []place {
	t.Helper()
	s3, azure := servers.VersityGW(t, servers.Options{Versioning: true}), servers.Azurite(t)
	return []place{
		{name: "s3", env: s3.Environ(""), location: func(vault string) string {
			s3.MakeBucket(t, vault, true, false)
			return s3.URL(vault, "team")
		}},
		{name: "azure", plugin: "aivault-plugin-azblob", variables: []string{"AZURE_STORAGE_KEY=" + azure.Key}, location: func(vault string) string {
			return "plugin:azblob:" + azure.Endpoint + "/" + vault + "/team"
		}},
	}
}

// life is a vault by plugins, and whoever has every role in it.
type life struct {
	*home
	*testing.T
}

// newLife makes a vault. variables are what the keeper's plugin sees.
func newLife(t *testing.T, p place, plugin, custody string, variables ...string) *life {
	t.Helper()
	location := p.location(cmp.Or(strings.TrimPrefix(plugin, "aivault-plugin-"), "directory") + "-keys")
	dir := buildPlugin(t, strings.Fields(plugin+" "+p.plugin)...)
	variables = append(variables, p.variables...)
	h := newHome(t, slices.Concat([]string{"AIVAULT_PLUGIN_DIR=" + dir, "AIVAULT_VAULT=" + location, "AIVAULT_CUSTODY=" + custody}, p.env, variables)...)
	args := []string{"init", location, "--custody", custody, "--member", "ada", "--person", "Ada Byron, data office, Example Ltd"}
	for _, v := range variables {
		name, _, _ := strings.Cut(v, "=")
		args = append(args, "--plugin-env", name)
	}
	genesis := h.json(t, 0, args...)["genesis"].(string)
	h.env = append(h.env, "AIVAULT_GENESIS="+genesis)
	h.run(t, 0, "join", location, "--genesis", genesis)
	for i, text := range []string{"these are the weights", "these are others", "and again others"} {
		model := filepath.Join(h.dir, "model")
		if err := os.MkdirAll(model, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(model, "weights.bin"), []byte(strings.Repeat(text, 1000+i)), 0o644); err != nil {
			t.Fatal(err)
		}
		h.run(t, 0, "push", "fraud", model)
	}
	return &life{h, t}
}

// rollBack takes the channel from v3, which is bad, to v2.
func (l *life) rollBack() {
	l.Helper()
	l.run(l, 0, "quarantine", "fraud@v3", "--reason", "poisoned")
	if got := l.json(l, 0, "rollback", "fraud:main", "--reason", "poisoned"); got["to"] != 2.0 {
		l.Errorf("rolled back: %v", got)
	}
	l.run(l, 0, "pull", "fraud", filepath.Join(l.dir, "serving"))
}

// request asks for the end of v1 and approves it.
func (l *life) request() (id string) {
	l.Helper()
	r := l.json(l, 0, "decommission", "request", "fraud@v1", "--reason", "contract ended", "--decide", "known-good:fraud:main=accept")
	id = r["id"].(string)
	l.run(l, 0, "decommission", "approve", id, "--plan", r["plan_digest"].(string))
	return id
}

// certified checks the end: v1 is destroyed, the others are not, and a certificate
// says so, and what the keeper's profile says.
func (l *life) certified(id string, says ...string) {
	l.Helper()
	l.run(l, 14, "pull", "fraud@v1", filepath.Join(l.dir, "gone"))
	l.run(l, 0, "pull", "fraud@v2", filepath.Join(l.dir, "still"))
	l.run(l, 0, "decommission", "accept", id)
	bundle := filepath.Join(l.dir, "certificate.bundle")
	l.run(l, 0, "decommission", "certificate", id, "--format", "bundle", "--out", bundle)
	genesis, _ := strings.CutPrefix(l.env[len(l.env)-1], "AIVAULT_GENESIS=")
	newHome(l.T).run(l, 0, "certificate", "verify", bundle, "--genesis", genesis)
	text, _ := l.run(l, 0, "decommission", "certificate", id, "--format", "json")
	for _, s := range says {
		if !strings.Contains(text, s) {
			l.Errorf("the certificate does not say %q: %s", s, text)
		}
	}
	l.run(l, 0, "verify", "--full")
}

// TestLifeOfPlugins takes models through their lives on S3 (versitygw) and Azure
// (Azurite), with keys in a directory, in transit and in KMS (doubles).
func TestLifeOfPlugins(t *testing.T) {
	for _, p := range places(t) {
		t.Run(p.name, func(t *testing.T) {
			t.Run("directory", func(t *testing.T) { lifeWithDirectory(t, p) })
			t.Run("transit", func(t *testing.T) { lifeWithTransit(t, p) })
			t.Run("kms", func(t *testing.T) { lifeWithKMS(t, p) })
		})
	}
}

func lifeWithDirectory(t *testing.T, p place) {
	l := newLife(t, p, "", "local:"+filepath.Join(t.TempDir(), "keys"))
	l.rollBack()
	id := l.request()
	if ran := l.json(t, 0, "decommission", "run", id, "--yes"); ran["certificate"] != true || ran["retained_objects"] != 0.0 {
		t.Errorf("the run: %v", ran)
	}
	l.certified(id)
}

// lifeWithTransit has a limit on how often keys are used, too.
func lifeWithTransit(t *testing.T, p place) {
	engine := transittest.New(time.Now)
	engine.AddToken("all")
	server := httptest.NewServer(engine)
	defer server.Close()
	l := newLife(t, p, "aivault-plugin-transit", "plugin:transit:"+server.URL+"/"+transittest.Mount, "VAULT_TOKEN=all")
	if out, _ := l.run(t, 0, "doctor"); !strings.Contains(out, "rate limit quota") {
		t.Errorf("doctor does not say how reading is limited: %s", out)
	}
	engine.Limit(0, 30*time.Second)
	_, says := l.run(t, 19, "pull", "fraud", filepath.Join(l.dir, "limited"), "--json")
	var e struct {
		Kind       string
		RetryAfter int `json:"retry_after"`
	}
	if err := json.Unmarshal([]byte(says[strings.LastIndex(strings.TrimSpace(says), "\n")+1:]), &e); err != nil || e.Kind != "rate" || e.RetryAfter != 30 {
		t.Errorf("%v: %s", err, says)
	}
	engine.Limit(-1, 0)
	l.rollBack()
	id := l.request()
	if ran := l.json(t, 0, "decommission", "run", id, "--yes"); ran["certificate"] != true {
		t.Errorf("the run: %v", ran)
	}
	l.certified(id, "tested against a double of the server", "lives on in snapshots")
}

// lifeWithKMS has a destruction that is pending for a week, and a certificate that
// waits.
func lifeWithKMS(t *testing.T, p place) {
	var mu sync.Mutex
	ahead := -10 * 24 * time.Hour // of this machine's clock
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return time.Now().Add(ahead)
	}
	set := func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		ahead = d
	}
	server := httptest.NewServer(awskmstest.New(clock))
	defer server.Close()
	// Where the storage is of the same cloud, its credentials are those of the keys.
	credentials := slices.Clone(p.env)
	if len(credentials) == 0 {
		credentials = []string{"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test"}
	}
	l := newLife(t, p, "aivault-plugin-awskms",
		"plugin:awskms:eu-central-1/models?endpoint="+url.QueryEscape(server.URL),
		append(credentials, "AWS_EC2_METADATA_DISABLED=true")...)
	l.rollBack()
	id := l.request()
	set(0)
	for range 2 {
		out, says := l.run(t, 3, "decommission", "run", id, "--yes", "--json")
		var ran struct {
			State       string
			Until       time.Time `json:"pending_until"`
			Certificate bool
		}
		if err := json.Unmarshal([]byte(out), &ran); err != nil {
			t.Fatalf("%v: %s%s", err, out, says)
		}
		if days := time.Until(ran.Until).Hours() / 24; ran.State != "pending" || ran.Certificate || days < 6.9 || days > 7 {
			t.Errorf("the run: %+v", ran)
		}
	}
	l.run(t, 14, "pull", "fraud@v1", filepath.Join(l.dir, "gone"))
	set(7*24*time.Hour + time.Minute)
	if ran := l.json(t, 0, "decommission", "run", id, "--yes"); ran["certificate"] != true {
		t.Errorf("the run after a week: %v", ran)
	}
	l.certified(id, "tested against a double of KMS", `"deletion_delay":"168h0m0s"`)
}

// TestPluginTest holds the documented example to its contract as people do.
func TestPluginTest(t *testing.T) {
	t.Parallel()
	s := servers.OpenSSH(t)
	dir := buildPlugin(t, "aivault-plugin-sftp")
	h := newHome(t, "SFTP_KEY_FILE="+s.KeyFile, "SFTP_KNOWN_HOSTS="+s.KnownHosts)
	out, _ := h.run(t, 0, "plugin", "test", filepath.Join(dir, "aivault-plugin-sftp"), "sftp://vault@"+s.Addr+s.Dir, "--env", "SFTP_KEY_FILE", "--env", "SFTP_KNOWN_HOSTS", "--json")
	if n := strings.Count(out, `"result":"pass"`); n < 30 || strings.Contains(out, `"result":"fail"`) {
		t.Errorf("%d rules passed: %s", n, out)
	}
}

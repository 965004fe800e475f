package integration_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/aivault/aivault/integration/servers"
)

// hardware is where keys are kept, and how tools that are not ours look in.
type hardware struct {
	hsm *servers.HSM
	tpm *servers.TPM
	dir string // of the TPM's keys
	env []string
}

func newHardware(t *testing.T) *hardware {
	t.Helper()
	plugins := pluginDir(t)
	h := &hardware{hsm: servers.SoftHSM(t, "models"), tpm: servers.SWTPM(t), dir: filepath.Join(t.TempDir(), "keys")}
	h.env = append(h.hsm.Environ(), "TPM_AUTH=a password of the index", "AIVAULT_PLUGIN_DIR="+plugins)
	return h
}

func (h *hardware) inHSM() string { return "plugin:pkcs11:" + h.hsm.URI() }
func (h *hardware) inTPM() string {
	return "plugin:tpm:dir=" + h.dir + "&device=" + h.tpm.Socket + "&auth-source=env:TPM_AUTH"
}

// TestLifeInHardware takes a model through its life on S3 and on Azure, with keys in an HSM,
// in a TPM, and in both: pushed, pulled, rolled back, destroyed, certified. What
// is left in the hardware afterwards is read back by tools that are not ours, and
// agrees with the certificate.
func TestLifeInHardware(t *testing.T) {
	places := places(t)
	for name, custody := range map[string]func(*hardware) string{
		"hsm":    (*hardware).inHSM,
		"tpm":    (*hardware).inTPM,
		"any-of": func(h *hardware) string { return "any-of(" + h.inHSM() + "," + h.inTPM() + ")" },
		"all-of": func(h *hardware) string { return "all-of(" + h.inHSM() + "," + h.inTPM() + ")" },
	} {
		for _, at := range places {
			t.Run(name+"/"+at.name, func(t *testing.T) {
				h := newHardware(t)
				h.life(t, at, "models-"+name, custody(h))
			})
		}
	}
}

func (h *hardware) life(t *testing.T, at place, vault, custody string) {
	location := at.location(vault)
	if at.plugin != "" {
		buildPlugin(t, at.plugin)
	}
	usesHSM, usesTPM := strings.Contains(custody, "plugin:pkcs11"), strings.Contains(custody, "plugin:tpm")
	p := newHome(t, slices.Concat(at.env, at.variables, h.env, []string{"AIVAULT_VAULT=" + location})...)
	args := []string{"init", location, "--custody", custody, "--member", "ada", "--plugin-env", "HSM_PIN", "--plugin-env", "SOFTHSM2_CONF", "--plugin-env", "TPM_AUTH"}
	for _, v := range at.variables {
		name, _, _ := strings.Cut(v, "=")
		args = append(args, "--plugin-env", name)
	}
	genesis := p.json(t, 0, args...)["genesis"].(string)
	p.env = append(p.env, "AIVAULT_GENESIS="+genesis)
	p.run(t, 0, "join", location, "--genesis", genesis)
	model := filepath.Join(p.dir, "model")
	for _, text := range []string{"these are the weights", "these are better ones"} {
		if err := os.MkdirAll(model, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(model, "weights.bin"), []byte(strings.Repeat(text, 1000)), 0o644); err != nil {
			t.Fatal(err)
		}
		p.run(t, 0, "push", "fraud", model)
	}
	p.run(t, 0, "pull", "fraud", filepath.Join(p.dir, "latest"))
	sameTree(t, model, filepath.Join(p.dir, "latest"))
	if rolled := p.json(t, 0, "rollback", "fraud:main", "--reason", "drift"); rolled["changed"] != true {
		t.Errorf("rollback: %v", rolled)
	}
	var indices []string
	if usesTPM {
		if indices = h.tpm.Indices(t); len(indices) != 1 {
			t.Fatalf("NV indices %v", indices)
		}
	}

	request := p.json(t, 0, "decommission", "request", "fraud@v2", "--reason", "trained on withdrawn data")
	id := request["id"].(string)
	p.run(t, 0, "decommission", "approve", id, "--plan", request["plan_digest"].(string))
	if ran := p.json(t, 0, "decommission", "run", id, "--yes"); ran["certificate"] != true || ran["state"] != "verified" {
		t.Errorf("the run: %v", ran)
	}
	p.run(t, 14, "pull", "fraud@v2", filepath.Join(p.dir, "gone"))
	p.run(t, 0, "pull", "fraud", filepath.Join(p.dir, "first"))

	out, _ := p.run(t, 0, "decommission", "certificate", id, "--format", "json")
	var certificate struct {
		Details struct {
			Artefacts []struct {
				Keys []struct{ Instance, Ref, State string }
			}
			Keepers []struct {
				Kind  string
				Notes []string
			}
		}
	}
	if err := json.Unmarshal([]byte(out), &certificate); err != nil {
		t.Fatal(err)
	}
	var destroyed []string // labels
	kinds := map[string]int{}
	for _, k := range certificate.Details.Artefacts[0].Keys {
		kind, label, _ := strings.Cut(k.Ref, "-")
		kinds[kind]++
		destroyed = append(destroyed, label)
		if k.State != "destroyed" || !strings.HasPrefix(k.Instance, kind+"-") {
			t.Errorf("the certificate's key: %+v", k)
		}
	}
	if (kinds["pkcs11"] > 0) != usesHSM || (kinds["tpm"] > 0) != usesTPM || len(certificate.Details.Keepers) != len(kinds) {
		t.Errorf("the certificate's keys are %v, its keepers %+v", kinds, certificate.Details.Keepers)
	}
	if usesHSM {
		keys, deaths := h.hsm.Keys(t), h.hsm.Data(t)
		if len(keys) != 1 {
			t.Errorf("pkcs11-tool finds the keys %v, not one", keys)
		}
		for _, label := range destroyed {
			if slices.Contains(keys, "aivault:"+label) || !slices.Contains(deaths, "aivault:"+label) {
				t.Errorf("destroyed is %s; pkcs11-tool finds the keys %v and the deaths %v", label, keys, deaths)
			}
		}
	}
	if usesTPM {
		if now := h.tpm.Indices(t); len(now) != 1 || now[0] == indices[0] {
			t.Errorf("tpm2_nvreadpublic finds %v, it was %v", now, indices)
		}
	}
	bundle := filepath.Join(p.dir, "bundle")
	p.run(t, 0, "decommission", "certificate", id, "--format", "bundle", "--out", bundle)
	newHome(t).run(t, 0, "certificate", "verify", bundle, "--genesis", genesis)
}

// TestMigrateIntoHardware moves a vault from a directory of keys into an HSM, and
// from there into a TPM: what is left behind opens nothing.
func TestMigrateIntoHardware(t *testing.T) {
	h := newHardware(t)
	p := newHome(t, h.env...)
	location, keys := filepath.Join(p.dir, "vault"), filepath.Join(p.dir, "keys")
	p.env = append(p.env, "AIVAULT_VAULT="+location)
	p.run(t, 0, "init", location, "--custody", "local:"+keys, "--member", "ada")
	model := filepath.Join(p.dir, "model.bin")
	if err := os.WriteFile(model, []byte("weights"), 0o644); err != nil {
		t.Fatal(err)
	}
	p.run(t, 0, "push", "m", model)
	p.run(t, 0, "push", "n", model)
	p.run(t, 0, "plugin", "test", filepath.Join(pluginDir(t), "aivault-plugin-pkcs11"), h.hsm.URI(), "--env", "HSM_PIN", "--env", "SOFTHSM2_CONF")
	deaths := len(h.hsm.Data(t))
	p.run(t, 15, "custody", "migrate", h.inHSM())
	p.run(t, 0, "plugin", "add", "pkcs11", filepath.Join(pluginDir(t), "aivault-plugin-pkcs11"), "--env", "HSM_PIN", "--env", "SOFTHSM2_CONF")
	p.run(t, 0, "plugin", "add", "tpm", filepath.Join(pluginDir(t), "aivault-plugin-tpm"), "--env", "TPM_AUTH")
	if moved := p.json(t, 0, "custody", "migrate", h.inHSM()); len(moved["moved"].([]any)) != 2 || len(moved["waiting"].([]any)) != 0 {
		t.Errorf("into the HSM: %v", moved)
	}
	if n := len(h.hsm.Keys(t)); n != 2 {
		t.Errorf("the HSM has %d keys", n)
	}
	p.run(t, 0, "pull", "m", filepath.Join(p.dir, "one"))
	h.tpm.Stop()
	p.run(t, 18, "custody", "migrate", h.inTPM())
	h.tpm.Start(t)
	if moved := p.json(t, 0, "custody", "migrate", h.inTPM()); len(moved["moved"].([]any)) != 2 || len(moved["waiting"].([]any)) != 0 {
		t.Errorf("into the TPM: %v", moved)
	}
	if keys, now := h.hsm.Keys(t), h.hsm.Data(t); len(keys) != 0 || len(now) < deaths+2 {
		t.Errorf("the HSM has the keys %v and %d deaths, it had %d", keys, len(now), deaths)
	}
	p.run(t, 0, "pull", "m", filepath.Join(p.dir, "two"))
}

func pluginDir(t *testing.T) string {
	t.Helper()
	return buildPlugin(t, "aivault-plugin-pkcs11", "aivault-plugin-tpm")
}

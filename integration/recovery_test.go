package integration_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/aivault/aivault/integration/servers"
	"github.com/aivault/aivault/vault/codec"
)

// TestRecovery opens a vault as docs/recovery.md says: with the stock age
// command, jq and the script that stands there.
func TestRecovery(t *testing.T) {
	text, err := os.ReadFile("../docs/recovery.md")
	if err != nil {
		t.Fatal(err)
	}
	scripts := recoveryScripts(t)
	bin := stockAge(t)
	h := newHome(t)
	vault, keys := filepath.Join(h.dir, "vault"), filepath.Join(h.dir, "keys")
	h.env = append(h.env, "AIVAULT_VAULT="+vault, "AIVAULT_CUSTODY=local:"+keys)
	model := filepath.Join(h.dir, "model")
	for name, b := range map[string]string{"config.json": `{"a":1}`, "sub/weights.bin": strings.Repeat("weights ", 3<<20), "ütf ☃": "odd", "empty": ""} {
		path := filepath.Join(model, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(b), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	h.run(t, 0, "init", vault, "--custody", "local:"+keys)
	h.run(t, 0, "push", "fraud-detector", model)
	if err := os.WriteFile(filepath.Join(model, "config.json"), []byte(`{"a":2}`), 0o644); err != nil {
		t.Fatal(err)
	}
	h.run(t, 0, "push", "fraud-detector", model)

	env := append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"), "vault="+vault, "me="+h.identity())
	by := func(name string, args ...string) string {
		t.Helper()
		cmd := exec.Command(name, args...)
		cmd.Env, cmd.Dir = env, h.dir
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		return string(out)
	}
	for _, step := range regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllSubmatch(text, -1) {
		out := by("bash", "-euc", string(step[1]))
		if strings.Contains(string(step[1]), "payload") && !strings.Contains(out, `"kind": "version"`) {
			t.Errorf("the journal by hand: %s", out)
		}
	}
	files, err := filepath.Glob(filepath.Join(keys, "*.key"))
	if err != nil || len(files) != 1 {
		t.Fatalf("%d keys (%v)", len(files), err)
	}
	recover := filepath.Join(scripts, "recover.py")
	out := filepath.Join(h.dir, "recovered")
	by("python3", recover, vault, h.identity(), files[0], "fraud-detector", out)
	sameTree(t, model, out)
}

// recoveryScripts writes the two scripts of docs/recovery.md to a directory, and
// has the zstd program they call.
func recoveryScripts(t *testing.T) string {
	t.Helper()
	servers.Zstd(t)
	text, err := os.ReadFile("../docs/recovery.md")
	if err != nil {
		t.Fatal(err)
	}
	scripts := regexp.MustCompile("(?s)```python\n(.*?)```").FindAllSubmatch(text, -1)
	names := []string{"recover.py", "decode.py"}
	if len(scripts) != len(names) {
		t.Fatalf("docs/recovery.md holds %d scripts, not %d", len(scripts), len(names))
	}
	dir := t.TempDir()
	for i, name := range names {
		if n := strings.Count(string(scripts[i][1]), "\n"); n > 200 {
			t.Errorf("%s has %d lines, more than 200", name, n)
		}
		if err := os.WriteFile(filepath.Join(dir, name), scripts[i][1], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestRecoveryDecodes has decode.py decode what the codec encodes, and the
// vectors of FORMAT.md.
func TestRecoveryDecodes(t *testing.T) {
	script := filepath.Join(recoveryScripts(t), "decode.py")
	decode := func(name string, encoded []byte, length int) []byte {
		t.Helper()
		cmd := exec.Command("python3", script, name, strconv.Itoa(length))
		cmd.Stdin = bytes.NewReader(encoded)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%s: %v: %s", name, err, &stderr)
		}
		return out
	}
	doc, err := os.ReadFile("../vault/FORMAT.md")
	if err != nil {
		t.Fatal(err)
	}
	vectors := regexp.MustCompile("(?s)```text (planes-1|zstd-1)[^\n]*\nplaintext ([0-9a-f]+)\nencoded ([0-9a-f]+)\n```").FindAllSubmatch(doc, -1)
	if len(vectors) < 4 {
		t.Errorf("FORMAT.md has %d vectors of encodings", len(vectors))
	}
	for _, v := range vectors {
		plain, err := hex.DecodeString(string(v[2]))
		if err != nil {
			t.Fatal(err)
		}
		encoded, err := hex.DecodeString(string(v[3]))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(decode(string(v[1]), encoded, len(plain)), plain) {
			t.Errorf("the vector %s decodes to other bytes", v[3])
		}
	}

	r := rand.New(rand.NewPCG(1, 2))
	var f64, f32, bf16, u8 []byte
	for range 70_000 {
		x := r.NormFloat64()
		f64 = binary.LittleEndian.AppendUint64(f64, math.Float64bits(x))
		f32 = binary.LittleEndian.AppendUint32(f32, math.Float32bits(float32(x)))
		bf16 = binary.LittleEndian.AppendUint16(bf16, uint16(math.Float32bits(float32(x))>>16))
		u8 = append(u8, byte(int8(x*10)))
	}
	e := codec.NewEncoder()
	for _, c := range []struct {
		kind codec.Kind
		data []byte
	}{
		{codec.F64, f64[:200_003]},
		{codec.Unknown, f64[5:200_000]},
		{codec.F32, f32},
		{codec.Unknown, f32[3:]},
		{codec.BF16, bf16},
		{codec.Bytes, append(make([]byte, 20_000), u8...)},
		{codec.Text, bytes.Repeat([]byte("some words and more words\n"), 1000)},
		{codec.Opaque, u8},
	} {
		name, out := e.Encode(nil, c.data, c.kind)
		if name == codec.None {
			out = c.data
		}
		if !bytes.Equal(decode(name, out, len(c.data)), c.data) {
			t.Errorf("kind %d, %s: decodes to other bytes", c.kind, name)
		}
	}
}

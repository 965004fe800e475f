package integration_test

import (
	"html"
	"image/png"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aivault/aivault/integration/servers"
)

// TestCertificatePage takes a version to the end of its life and looks at its
// certificate in a real browser: what it says, in which order, that it can be seen,
// and that it prints. With -artifacts the picture is kept.
func TestCertificatePage(t *testing.T) {
	h := newHome(t)
	vault, keys := filepath.Join(h.dir, "vault"), filepath.Join(h.dir, "keys")
	h.env = append(h.env, "AIVAULT_VAULT="+vault, "AIVAULT_CUSTODY=local:"+keys)
	write := func(name string, size int) string {
		t.Helper()
		dir := filepath.Join(h.dir, name)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "weights.bin"), []byte(dense(size)), 0o644); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	h.run(t, 0, "init", vault, "--custody", "local:"+keys, "--person", "Ada Byron, data office, Example Ltd")
	h.run(t, 0, "push", "team/fraud-detector", write("one", 8<<20))
	h.run(t, 0, "push", "team/fraud-detector", write("two", 7<<20))
	h.run(t, 0, "pull", "team/fraud-detector@v2", filepath.Join(h.dir, "serving"), "--label", "pod=serving-1")
	line, ok := h.json(t, 0, "identity", "show")["public"].(string)
	if !ok {
		t.Fatal("no public line")
	}
	h.run(t, 0, "transfer", "team/fraud-detector@v2", "--to", line, "--owner", "Nova <Models> Ltd", "--reason", "sale of the product", "--out", filepath.Join(h.dir, "handed.age"))
	r := h.json(t, 0, "decommission", "request", "team/fraud-detector@v2", "--reason", "contract 4711 has ended", "--authority", "retention schedule, item 7",
		"--decide", "transfer:team/fraud-detector@v2=received", "--decide", "channel:team/fraud-detector:main=leave")
	id, plan := r["id"].(string), r["plan_digest"].(string)
	h.run(t, 0, "decommission", "approve", id, "--plan", plan)
	h.run(t, 0, "decommission", "run", id, "--yes")
	h.run(t, 0, "decommission", "accept", id, "--reason", "checked against the schedule")
	h.run(t, 0, "decommission", "attest-removed", id, "--holder", "serving cluster eu-1", "--by", "Olaf Ops, platform team")
	page := filepath.Join(h.dir, "certificate.html")
	h.run(t, 0, "decommission", "certificate", id, "--format", "html", "--out", page)

	picture, pdf := filepath.Join(t.ArtifactDir(), "certificate.png"), filepath.Join(t.ArtifactDir(), "certificate.pdf")
	text := visible(servers.Render(t, page, picture, pdf, 900, 3500))
	at := 0
	for _, want := range []string{
		"Certificate of disposal", "Number " + id,
		"The data of one version of team/fraud-detector was made unintelligible on ", "every attempt was refused",
		"What was disposed of", "team/fraud-detector. One other version of it lives on.", "v2", "model", "internal", "7.35 MB",
		"Who decided, and when", "Requested", "by Ada Byron, data office, Example Ltd (", "contract 4711 has ended", "retention schedule, item 7",
		"Approved", "sole custodian", "was left so.", "has confirmed that they hold it.", "Last key destroyed", "Verified", "who has signed this certificate", "Validated", "checked against the schedule",
		"How it was done", "purge, by cryptographic erase (NIST SP 800-88 Rev. 2)", "1 made, 1 refused because the key is destroyed; 1 control opened",
		"What is left", "Nothing of these versions but what versions that live on share with them.", "copies in clear were taken", "team/fraud-detector@v2",
		"handed over to a new owner", "Nova <Models> Ltd", "sale of the product", "serving cluster eu-1", "Olaf Ops, platform team",
		"What this certificate does not say", "Plaintext that readers pulled", "could forge such signatures",
		"How to check it", "aivault certificate verify FILE --genesis ",
		"Annex: keys and digests", "destroyed", "Copies in its backups", "Approved plan", plan,
	} {
		i := strings.Index(text[at:], want)
		if i < 0 {
			t.Fatalf("the page does not say %q after %q", want, text[max(0, at-60):at])
		}
		at += i + len(want)
	}
	for _, bad := range []string{"<no value>", "%!", "0001-01-01", "1 January 0001", "GDPR", "ZgotmplZ"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page says %q", bad)
		}
	}
	sees(t, picture)
	if b, err := os.ReadFile(pdf); err != nil || !strings.HasPrefix(string(b), "%PDF-") || strings.Count(string(b), "/Type /Page\n") < 2 {
		t.Errorf("it prints %d bytes and %d pages (%v)", len(b), strings.Count(string(b), "/Type /Page\n"), err)
	}
}

// visible is the text of a document, with one space for any white space.
func visible(dom []byte) string {
	text := regexp.MustCompile(`(?s)<(style|title)>.*?</(style|title)>`).ReplaceAllString(string(dom), "")
	text = html.UnescapeString(regexp.MustCompile(`<[^>]*>`).ReplaceAllString(text, " "))
	text = strings.Join(strings.Fields(text), " ")
	return strings.NewReplacer(" .", ".", " ,", ",").Replace(text)
}

// sees looks whether a picture shows dark text on a light page, from top to near
// the bottom, and none cut off at the right edge.
func sees(t *testing.T, picture string) {
	t.Helper()
	f, err := os.Open(picture)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	img, err := png.Decode(f)
	if err != nil {
		t.Fatal(err)
	}
	b := img.Bounds()
	dark, lowest, rightmost := 0, 0, 0
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			if r, g, bl, _ := img.At(x, y).RGBA(); r+g+bl < 3*0x6000 {
				dark++
				lowest, rightmost = max(lowest, y), max(rightmost, x)
			}
		}
	}
	share := float64(dark) / float64(b.Dx()*b.Dy())
	if share < 0.01 || share > 0.2 || lowest < 1500 || rightmost > b.Max.X-10 {
		t.Errorf("of the picture %.3f is dark, down to %d of %d, right to %d of %d", share, lowest, b.Max.Y, rightmost, b.Max.X)
	}
}

package disposal

import (
	_ "embed" // certificate.html
	"fmt"
	"html/template"
	"io"
	"strings"

	"github.com/aivault/aivault/crypto/canonical"
	"github.com/aivault/aivault/vault/entry"
	"github.com/aivault/aivault/vault/state"
)

//go:embed certificate.html
var pageText string

// pageReceipt is one line of the page's table of receipts.
type pageReceipt struct {
	Version string
	PlanReceipt
}

// pageHandover is one line of the page's table of transfers.
type pageHandover struct {
	Version string
	Handover
}

// WritePage writes the certificate as a web page that stands alone, with what
// came after it: the custodian's validation, nil if there is none, and removals
// of plaintext that holders attested.
func (c *Certificate) WritePage(w io.Writer, accepted *Act, removals []state.Removal) error {
	t, err := template.New("certificate").Funcs(template.FuncMap{"bytes": sizeText, "person": personText, "date": dateText, "decision": decisionText}).Parse(pageText)
	if err != nil {
		return fmt.Errorf("internal error: %w", err)
	}
	var receipts []pageReceipt
	var transfers []pageHandover
	for _, a := range c.Details.Artefacts {
		for _, r := range a.Receipts {
			receipts = append(receipts, pageReceipt{fmt.Sprintf("%s@v%d", a.Name, r.Number), r})
		}
		for _, h := range a.Transfers {
			transfers = append(transfers, pageHandover{fmt.Sprintf("%s@v%d", a.Name, h.Number), h})
		}
	}
	return t.Execute(w, struct {
		D         *Details
		Lead      string
		Signed    canonical.Digest // of the details
		Accepted  *Act
		Receipts  []pageReceipt
		Transfers []pageHandover
		Removals  []state.Removal
	}{&c.Details, c.lead(), canonical.Sum(c.raw), accepted, receipts, transfers, removals})
}

// lead says in one sentence what the certificate certifies.
func (c *Certificate) lead() string {
	d := &c.Details
	n := d.count()
	what := fmt.Sprintf("%d versions", n)
	if n == 1 {
		what = "one version"
	}
	names := make([]string, len(d.Artefacts))
	for i, a := range d.Artefacts {
		names[i] = a.Name
	}
	return fmt.Sprintf("The data of %s of %s was made unintelligible on %s, by destroying every key that opened it. Attempts to open it again with each of these keys followed, and every attempt was refused.",
		what, strings.Join(names, ", "), dateText(d.Effective))
}

// dateText spells a time for people: "23 November 2026, 21:00:00 UTC".
func dateText(t entry.Time) string { return t.UTC().Format("2 January 2006, 15:04:05 UTC") }

// decisionText says what was decided in plain words.
func decisionText(d Decision) string {
	switch d.Rule + "=" + d.Decision {
	case "channel=leave":
		return fmt.Sprintf("The channel %s pointed to what was destroyed, and was left so.", d.Subject)
	case "shared=accept":
		return fmt.Sprintf("Parts of %s are parts of versions that live on as well, and live on with them.", d.Subject)
	case "transfer=received":
		return fmt.Sprintf("The new owner of %s has confirmed that they hold it.", d.Subject)
	case "transfer=not-received":
		return fmt.Sprintf("%s was handed over, and is destroyed though its new owner has not confirmed that they hold it.", d.Subject)
	case "descendants=retrain":
		return fmt.Sprintf("%s was made of what was destroyed. It is to be retrained without it.", d.Subject)
	case "descendants=dispose":
		return fmt.Sprintf("%s was made of what was destroyed. It is to be disposed of as well.", d.Subject)
	case "descendants=keep":
		return fmt.Sprintf("%s was made of what was destroyed, and is kept: %s.", d.Subject, strings.TrimSuffix(d.Reason, "."))
	}
	return fmt.Sprintf("%s: %s (interlock %s)", d.Subject, d.Decision, d.Rule)
}

func personText(p Person) string {
	if p.Line == "" {
		return p.Name
	}
	return fmt.Sprintf("%s (%s)", p.Line, p.Name)
}

// sizeText spells a number of bytes with three digits.
func sizeText(n int64) string {
	if n < 1000 {
		return fmt.Sprintf("%d B", n)
	}
	f, unit := float64(n), 0
	for ; f >= 999.5 && unit < 5; unit++ {
		f /= 1000
	}
	return fmt.Sprintf("%.3g %cB", f, " kMGTP"[unit])
}

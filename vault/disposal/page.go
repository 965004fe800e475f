package disposal

import (
	_ "embed" // certificate.html
	"fmt"
	"html/template"
	"io"

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
	t, err := template.New("certificate").Funcs(template.FuncMap{"bytes": sizeText, "person": personText}).Parse(pageText)
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
		Accepted  *Act
		Receipts  []pageReceipt
		Transfers []pageHandover
		Removals  []state.Removal
	}{&c.Details, c.lead(), accepted, receipts, transfers, removals})
}

// lead says in one sentence what the certificate certifies.
func (c *Certificate) lead() string {
	d := &c.Details
	n := d.count()
	what := fmt.Sprintf("%d versions", n)
	if n == 1 {
		what = "one version"
	}
	return fmt.Sprintf("The data of %s was made unintelligible on %s, by destroying every key that opened it. Attempts to open it again were made, and every one was refused.", what, d.Effective)
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

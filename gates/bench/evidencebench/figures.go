package evidencebench

import (
	"bytes"
	"fmt"

	"github.com/dpone/dpone/gates/bench/figures"
)

// Figures are the result, written to bench.json.
type Figures struct {
	Options Options         `json:"options"`
	Machine figures.Machine `json:"machine"`
	Parts   []*figures.Part `json:"parts"`
}

func (f Figures) table() string {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d rounds at scale %g on %s\n\n", f.Options.Rounds, f.Options.Scale, f.Machine)
	figures.Tables(&b, "bench.evidence.", f.Parts)
	return b.String()
}

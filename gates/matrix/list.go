package matrix

import (
	"fmt"
	"io"

	"github.com/dpone/dpone/gates"
	"github.com/dpone/dpone/gates/matrix/cases"
)

// List prints the selected cases: as a table with its arithmetic, or as JSON.
func List(out io.Writer, o Options, format string) error {
	r, err := newRun(o.defaults())
	if err != nil {
		return err
	}
	switch format {
	case "", "text":
		_, err = fmt.Fprint(out, cases.Table(r.selected), "\n", cases.Arithmetic(r.selected))
	case "json":
		var text []byte
		if text, err = cases.JSON(r.selected); err == nil {
			_, err = out.Write(text)
		}
	default:
		return &gates.UsageError{Problem: fmt.Sprintf("matrix:list: -format=%s: write text or json", format)}
	}
	return err
}

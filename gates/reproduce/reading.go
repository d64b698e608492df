package reproduce

import (
	"context"

	"github.com/dpone/dpone/evidence"
	"github.com/dpone/dpone/evidence/verify/reader"
)

// readRecord reads a record, from its file or from the folder of its run. A
// sealed folder must be as it was sealed, all of it; sealed says whether there
// is one.
func readRecord(ctx context.Context, path string) (record *evidence.Record, sealed bool, err error) {
	return reader.File(ctx, path)
}

// Package sqlite is the connector for SQLite 3 database files, as source and as
// sink. It needs no server: the library is compiled in (modernc.org/sqlite), and
// used through zombiezen.com/go/sqlite, whose connections are without locks of their
// own and whose values are without an interface for each.
//
// SQLite types values, not columns. The declared type of a column tells its
// logical type, and a value that does not fit is an error that names row and
// column, never something else that is near. A table that the sink makes declares
// its columns so that reading it gives the types and the values of the load:
// text, where SQLite would turn "1.00" into 1, is declared with TEXT affinity, and
// floating-point numbers, of which SQLite would lose the sign of -0, with BLOB affinity.
//
// A load is one transaction that holds the file's one writer lock from its
// beginning. The journal mode of a file is never changed; a new file has SQLite's own
// default, a rollback journal, because a load is one large transaction, which a
// write-ahead log would write twice.
package sqlite

import (
	"context"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlsink"
)

// modes are the strategies that need nothing but a table.
func modes() []manifest.Mode {
	var modes []manifest.Mode
	for _, m := range manifest.Modes() {
		if m != manifest.XMin && m != manifest.CDC {
			modes = append(modes, m)
		}
	}
	return modes
}

// Connector declares the family.
func Connector() connector.Connector {
	return connector.Connector{
		Name:   "sqlite",
		Doc:    "SQLite 3 database files; needs no server.",
		Source: &connector.SourceCapabilities{Modes: modes(), Types: readRules()},
		Sink: &connector.SinkCapabilities{
			Modes: modes(), Gates: sqlsink.Gates(), Commit: "transaction", Bulk: "prepared INSERT; whole records from a table with the same columns in full_refresh", Types: writeRules(),
		},
		OpenSource: func(ctx context.Context, m *manifest.Manifest, env connector.Env) (connector.Source, error) {
			return OpenSource(ctx, m, env)
		},
		OpenSink: func(ctx context.Context, m *manifest.Manifest, env connector.Env) (connector.Sink, error) {
			return OpenSink(ctx, m, env)
		},
	}
}

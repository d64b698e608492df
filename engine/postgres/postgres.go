// Package postgres is the connector for PostgreSQL 13 and later, as source and as sink.
//
// Rows move as COPY BINARY streams. From PostgreSQL to PostgreSQL their bytes are
// passed on as they are; to and from other families they become batches, whose
// values have the same bytes.
package postgres

import (
	"context"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/manifest"
	"github.com/dpone/dpone/engine/sqlsink"
)

// Connector declares the family.
func Connector() connector.Connector {
	needs := connector.Needs{Service: "postgres", Credentials: true}
	return connector.Connector{
		Name: "postgres",
		Doc:  "PostgreSQL 13 and later, over COPY BINARY.",
		Source: &connector.SourceCapabilities{
			Needs: needs, Modes: manifest.Modes(), Types: readRules(),
		},
		Sink: &connector.SinkCapabilities{
			Needs: needs, Modes: manifest.Modes(), Gates: sqlsink.Gates(), Commit: "transaction", Bulk: "COPY (binary)", Types: writeRules(),
		},
		OpenSource: func(ctx context.Context, m *manifest.Manifest, env connector.Env) (connector.Source, error) {
			return OpenSource(ctx, m, env)
		},
		OpenSink: func(ctx context.Context, m *manifest.Manifest, env connector.Env) (connector.Sink, error) {
			return OpenSink(ctx, m, env)
		},
	}
}

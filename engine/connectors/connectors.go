// Package connectors is the list of the families that the engine brings. It
// stands apart from the engine, so that a program that needs one family does not
// carry the libraries of all.
package connectors

import (
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/file"
	"github.com/dpone/dpone/engine/postgres"
	"github.com/dpone/dpone/engine/sqlite"
)

// All lists the families. A connector of another module is added to the list that
// is handed to the engine.
func All() []connector.Connector {
	return []connector.Connector{postgres.Connector(), sqlite.Connector(), file.Connector()}
}

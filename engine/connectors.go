package engine

import (
	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/postgres"
)

// Connectors lists the families that the engine brings. A connector of another
// module is added to the list in [Options].
func Connectors() []connector.Connector {
	return []connector.Connector{postgres.Connector()}
}

package matrix

import (
	"github.com/dpone/dpone/gates/matrix/system"
	"github.com/dpone/dpone/gates/matrix/system/files"
	"github.com/dpone/dpone/gates/matrix/system/postgres"
	"github.com/dpone/dpone/gates/matrix/system/sqlite"
)

// Families are those that the matrix brings. A family of another module is added to the list that is handed to it.
func Families() []system.Family {
	return []system.Family{postgres.Family(), sqlite.Family(), files.Family()}
}

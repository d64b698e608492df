// Package cases is the registry of the matrix: every source, every sink and every
// load strategy that the connectors declare. Nothing in it is typed by hand.
package cases

import "github.com/dpone/dpone/engine/manifest"

// Mode says with what the cases of a run are executed.
type Mode string

// The modes.
const (
	MockContract Mode = "mock_contract" // no service: a server family is stood in for by an embedded store, and the record says so
	MockLocal    Mode = "mock_local"    // throwaway servers of this machine, embedded stores, files
	RealLocal    Mode = "real_local"    // the same with durable settings, more rows and a crash in each case
	VendorLive   Mode = "vendor_live"   // the caller's endpoints
)

// Modes lists them.
func Modes() []Mode { return []Mode{MockContract, MockLocal, RealLocal, VendorLive} }

// Case is one source, sink and strategy.
type Case struct {
	ID       string        `json:"case_id"` // <source>_to_<sink>__<strategy>
	Pair     string        `json:"pair_id"` // <source>_to_<sink>
	Source   string        `json:"source"`
	Sink     string        `json:"sink"`
	Strategy manifest.Mode `json:"strategy"`
	// Guide is the page about the strategy, a path in the repository.
	Guide string `json:"guide"`
	// Services are the servers that must run, sorted; none for embedded families.
	Services []string `json:"services"`
	// Profiles are what the case needs to run locally and live, for example postgres_local.
	Profiles     []string `json:"required_profiles"`
	LiveProfiles []string `json:"live_profiles"`
	// Credentials is true when the caller has to bring some, whatever the mode.
	Credentials bool `json:"external_credentials_required"`
}

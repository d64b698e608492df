module github.com/dpone/dpone

go 1.26.0

tool github.com/magefile/mage

require (
	github.com/google/jsonschema-go v0.4.3
	github.com/magefile/mage v1.17.2
	github.com/rogpeppe/go-internal v1.16.0
	golang.org/x/mod v0.41.0
	golang.org/x/sync v0.23.0
	golang.org/x/term v0.47.0
	golang.org/x/tools v0.49.0
	gotest.tools/v3 v3.5.2
)

require (
	github.com/google/go-cmp v0.7.0 // indirect
	golang.org/x/sys v0.49.0 // indirect
)

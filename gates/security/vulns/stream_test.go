package vulns

import (
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

const (
	config  = `{"config":{"protocol_version":"v1.0.0","scanner_name":"govulncheck","db_last_modified":"2026-11-20T00:00:00Z","scan_level":"symbol","scan_mode":"source"}}`
	listing = `{"SBOM":{"modules":[{"path":"x"}],"roots":["x"]}}`
	entry   = `{"osv":{"id":"GO-1","summary":"s"}}`
	finding = `{"finding":{"osv":"GO-1","fixed_version":"v1.2.3","trace":[{"module":"m","version":"v1","package":"m/p","function":"F"},{"module":"x","package":"x","function":"G","position":{"filename":"x.go","line":6}}]}}`
)

func TestDecode(t *testing.T) {
	t.Parallel()
	s, err := decode([]byte(config + listing + `{"progress":{"message":"m"}}` + entry + `{"finding":{"osv":"GO-1","fixed_version":"v1.2.3","trace":[{"module":"m","version":"v1"}]}}` + finding))
	assert.NilError(t, err)
	v := s.sorted()[0]
	assert.Equal(t, v, vuln{ID: "GO-1", Module: "m", Version: "v1", Fixed: "v1.2.3", Summary: "s", reached: true, symbol: "m/p.F from x.G", path: "x.go", line: 6})
	assert.Equal(t, v.fix(), "go get m@v1.2.3")
	assert.Equal(t, vuln{Module: "stdlib", Fixed: "v1.26.9"}.fix(), "build with go1.26.9 or newer")
	assert.Equal(t, vuln{Module: "m"}.fix(), "there is no fixed version yet: do without the call")
	assert.Equal(t, place("sub", "x.go"), "sub/x.go")
	assert.Equal(t, place("sub", "/usr/x.go"), "")
	for name, bad := range map[string]string{
		"empty":            "",
		"cut":              config + listing + `{"finding":{`,
		"no config":        listing,
		"no list":          config,
		"empty list":       config + `{"SBOM":{"modules":[],"roots":[]}}`,
		"two configs":      config + config + listing,
		"another level":    strings.Replace(config, "symbol", "module", 1) + listing,
		"another protocol": strings.Replace(config, "v1.0.0", "v2.0.0", 1) + listing,
		"unknown kind":     config + listing + `{"verdict":{}}`,
		"two kinds":        config + listing + `{"osv":{"id":"GO-1"},"progress":{}}`,
		"none":             config + listing + `{}`,
		"null":             config + listing + `{"finding":null}`,
		"not described":    config + listing + finding,
		"no trace":         config + listing + entry + `{"finding":{"osv":"GO-1","trace":[]}}`,
		"wrong type":       config + listing + `{"osv":[]}`,
		"an array":         config + listing + `[]`,
		"something behind": config + listing + `x`,
	} {
		_, err := decode([]byte(bad))
		assert.ErrorContains(t, err, "govulncheck", name)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(config + listing + entry + finding))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := decode(raw)
		if err != nil {
			return
		}
		if s.modules == 0 {
			t.Error("a scan of nothing")
		}
		for _, v := range s.sorted() {
			if v.ID != "" && v.fix() == "" || v.line < 0 {
				t.Errorf("%+v", v)
			}
			_ = place("sub", v.path)
		}
	})
}

package secrets

import (
	"errors"
	"io"
	"strings"
	"testing"

	"gotest.tools/v3/assert"
)

const (
	oidA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	oidB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	zero = "0000000000000000000000000000000000000000"
)

func TestParseReachable(t *testing.T) {
	t.Parallel()
	objects, missing, err := parseReachable([]byte(oidA + "\n" + oidB + " a b/c.txt\n?" + zero + "\n"))
	assert.NilError(t, err)
	assert.DeepEqual(t, objects, map[string]string{oidA: "", oidB: "a b/c.txt"})
	assert.DeepEqual(t, missing, []string{zero})
	_, _, err = parseReachable([]byte("fatal: no\n"))
	assert.ErrorContains(t, err, "cannot read")
}

func TestParseOrigins(t *testing.T) {
	t.Parallel()
	change := func(oid string) string { return ":000000 100644 " + zero + " " + oid + " A" }
	origins, err := parseOrigins([]byte(oidA + "\n" + change(oidB) + "\x00a b\nc\x00\x00" + oidB + "\n\x00" + zero + "\n" + change(oidA) + "\x00x\x00" + change(oidB) + "\x00y\x00"))
	assert.NilError(t, err)
	assert.Equal(t, len(origins), 2)
	assert.Equal(t, origins[oidB], origin{oidA, "a b\nc"})
	assert.Equal(t, origins[oidA], origin{zero, "x"})
	for _, bad := range []string{"x", change(oidA) + "\x00x\x00", oidA + "\n" + change(oidA), oidA + "\n:1 2 3\x00x\x00"} {
		_, err := parseOrigins([]byte(bad))
		assert.ErrorContains(t, err, "cannot read", bad)
	}
}

func TestParseObjects(t *testing.T) {
	t.Parallel()
	var got []string
	visit := func(oid, kind string, size int64, content io.Reader) error {
		if kind == "tree" {
			return nil // leaves it unread
		}
		text, err := io.ReadAll(content)
		got = append(got, oid[:1]+kind+string(text))
		return err
	}
	assert.NilError(t, parseObjects(strings.NewReader(oidA+" blob 3\na\nb\n"+oidB+" tree 2\nxx\n"+zero+" commit 0\n\n"), visit))
	assert.DeepEqual(t, got, []string{"abloba\nb", "0commit"})
	for _, bad := range []string{"x", "x y z\n", oidA + " blob -1\n", oidA + " missing\n", oidA + " blob 5\nabc", oidA + " blob 3\nabcd", oidA + " blob 99999999999999999999\n"} {
		assert.Assert(t, parseObjects(strings.NewReader(bad), visit) != nil, bad)
	}
	stop := errors.New("stop")
	assert.ErrorIs(t, parseObjects(strings.NewReader(oidA+" blob 0\n\n"), func(string, string, int64, io.Reader) error { return stop }), stop)
}

func TestDecodeReport(t *testing.T) {
	t.Parallel()
	leaks, err := decodeReport([]byte(`[{"RuleID":"a","File":"0/content.txt","StartLine":3,"Secret":"s","New":1}]`))
	assert.NilError(t, err)
	assert.Equal(t, leaks[0].StartLine, 3)
	for _, bad := range []string{``, `null`, `{}`, `[{}]`, `[] []`, `[{"RuleID":"a","File":"x","StartLine":-1}]`, `[{"RuleID":"hush","File":3}]`} {
		_, err := decodeReport([]byte(bad))
		assert.Assert(t, err != nil, bad)
		assert.Assert(t, !strings.Contains(err.Error(), "hush"))
	}
}

func TestLocate(t *testing.T) {
	t.Parallel()
	c := &collection{items: []item{
		{kind: planted},
		{kind: blob, path: "old", commit: oidB},
		{kind: blob, path: "old", commit: oidA},
		{kind: blob, path: "x", files: []string{"b", "a"}},
		{kind: treeFile, path: "old"},
	}}
	findings, caught, err := c.locate([]leak{
		{RuleID: "r", File: "1/content.txt", Secret: "s", StartLine: 4},
		{RuleID: "r", File: "2/content.txt", Secret: "s", StartLine: 4},
		{RuleID: "r", File: "3/content.txt", Match: "m"},
		{RuleID: "r", File: "0/content.txt", Secret: "p"},
	}, 0)
	assert.NilError(t, err)
	assert.Assert(t, caught)
	var where []string
	for _, f := range findings {
		where = append(where, f.where())
	}
	assert.DeepEqual(t, where, []string{"a:1", "b:1", "old of commit aaaaaaaaaaaa, line 4"})
	for _, file := range []string{"content.txt", "9/content.txt", "-1/x", "x/y", "../1"} {
		_, _, err := c.locate([]leak{{RuleID: "r", File: file}}, 0)
		assert.ErrorContains(t, err, "was not given", file)
	}
}

func TestNameFor(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"a/x.go": "content.txt", "node_modules/x.svg": "content.txt", "a/x.YAML": "content.yaml", "x.tf": "content.tf",
		"NuGet.Config": "nuget.config", "LICENSE": "content.txt", "a.b/x": "content.txt", "": "content.txt",
	} {
		assert.Equal(t, nameFor(name, []byte("text")), want, name)
	}
	for name, want := range map[string]string{"x-1.tar.gz": "content.tar.gz", "x.png": "content.png", "x.a b": "content.txt", "x": "content.txt"} {
		assert.Equal(t, nameFor(name, []byte{0}), want, name)
	}
}

func TestDecodeLive(t *testing.T) {
	t.Parallel()
	found, err := decodeLive([]byte(`{"DetectorName":"Github","Verified":true,"SourceMetadata":{"Data":{"Git":{"commit":"abc","file":"x","line":3}}}}` + "\n"))
	assert.NilError(t, err)
	assert.Equal(t, found[0].SourceMetadata.Data.Git.Line, 3)
	for _, bad := range []string{`[]`, `{}`, `{"DetectorName":"Github"}`, `{"DetectorName":"Github","Verified":true} x`} {
		_, err := decodeLive([]byte(bad))
		assert.Assert(t, err != nil, bad)
	}
	none, err := decodeLive(nil)
	assert.Assert(t, err == nil && len(none) == 0)
}

func TestTrouble(t *testing.T) {
	t.Parallel()
	assert.Equal(t, trouble("3:41PM WRN leaks found: 146\n"), "")
	assert.Equal(t, trouble("3:41PM WRN leaks found: 1\n3:41PM ERR could not read\n"), "3:41PM ERR could not read")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(oidA + " a\n"))
	f.Add([]byte(oidA + "\n:000000 100644 " + zero + " " + oidB + " A\x00x\x00"))
	f.Add([]byte(oidA + " blob 3\nabc\n"))
	f.Add([]byte(`[{"RuleID":"a","File":"0/x"}]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _, _ = parseReachable(raw)
		_, _ = parseOrigins(raw)
		_ = parseObjects(strings.NewReader(string(raw)), func(oid, kind string, size int64, content io.Reader) error {
			if size < 0 || !oidPattern.MatchString(oid) {
				t.Errorf("%s %s %d", oid, kind, size)
			}
			return nil
		})
		_, _ = decodeLive(raw)
		if leaks, err := decodeReport(raw); err == nil {
			c := &collection{items: []item{{path: "x"}}}
			_, _, _ = c.locate(leaks, 0)
		}
		_ = nameFor(string(raw), raw)
	})
}

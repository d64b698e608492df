package target

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"gotest.tools/v3/assert"
)

// facade is ten magefiles of the size that a project with eighty targets has, about 60 kB together.
func facade() fstest.MapFS {
	sources := fstest.MapFS{}
	for i := range 10 {
		var b strings.Builder
		fmt.Fprintf(&b, `//go:build mage

// Package main has the targets of the area%d.
package main

import (
	"context"
	"time"

	"github.com/magefile/mage/mg"

	"example.com/project/gates/area%[1]d"
)

// Area%[1]d has the gates of one area.
type Area%[1]d mg.Namespace
`, i)
		for j := range 8 {
			fmt.Fprintf(&b, `
// Check%d compares what the sources say with what the gate of this area has measured before, and fails on a difference.
//
// It writes a record for every way out. The file of expectations is the one of the area unless -expected names another.
func (Area%d) Check%[1]d(
	ctx context.Context,
	version string, // the version to look at
	expected *string, // file of expectations
	timeout *time.Duration, // how long the gate may take
	strict *bool, // fail on a warning
) error {
	options := area%[2]d.Options{Version: version, Strict: strict != nil && *strict}
	if expected != nil {
		options.Expected = *expected
	}
	if timeout != nil {
		options.Timeout = *timeout
	}
	return run(ctx, area%[2]d.Check%[1]d(options))
}
`, j, i)
		}
		sources[fmt.Sprintf("area%d.go", i)] = &fstest.MapFile{Data: []byte(b.String())}
	}
	return sources
}

func BenchmarkCheckCommandLine(b *testing.B) {
	sources := facade()
	size := 0
	for _, file := range sources {
		size += len(file.Data)
	}
	b.SetBytes(int64(size))
	argv := []string{"./ci", "area3:check4", "v1.2.3", "-timeout=5m", "area9:check7", "v1", "-strict"}
	b.ReportAllocs()
	for b.Loop() {
		assert.NilError(b, CheckCommandLine(sources, argv, nil))
	}
}

func BenchmarkCheckCommandLine_refused(b *testing.B) {
	sources := facade()
	argv := []string{"./ci", "area3:check4", "v1.2.3", "area99:chekc"}
	for b.Loop() {
		assert.ErrorContains(b, CheckCommandLine(sources, argv, nil), "no such target")
	}
}

func BenchmarkTargets(b *testing.B) {
	sources := facade()
	for b.Loop() {
		targets, err := Targets(sources)
		assert.NilError(b, err)
		assert.Equal(b, len(targets), 80)
	}
}

func FuzzCheckCommandLine(f *testing.F) {
	for _, tc := range accepted {
		f.Add(strings.ReplaceAll(tc.args, " ", "\n"), "")
	}
	for _, tc := range refused {
		f.Add(strings.ReplaceAll(tc.args, " ", "\n"), "CI=true\nMAGEFILE_TIMEOUT=5m")
	}
	f.Add("lint\n\nlint", "MAGEFILE_HASHFAST=1\nMAGEFILE_LIST=x")
	sources := fixture()
	f.Fuzz(func(t *testing.T, args, environ string) {
		argv, env := append([]string{"./ci"}, strings.Split(args, "\n")...), strings.Split(environ, "\n")
		first, second := CheckCommandLine(sources, argv, env), CheckCommandLine(sources, argv, env)
		assert.Equal(t, fmt.Sprint(first), fmt.Sprint(second))
		if first != nil {
			var usage *UsageError
			assert.Assert(t, errors.As(first, &usage))
			for _, p := range usage.Problems {
				assert.Assert(t, p.Subject != "" && p.Why != "" && p.Fix != "", "%+v", p)
			}
		}
	})
}

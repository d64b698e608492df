package redact

import (
	"fmt"
	"io"
	"strings"
	"testing"
)

func benchEnviron(secrets int) []string {
	var env []string
	for i := range 55 {
		env = append(env, fmt.Sprintf("VARIABLE_%d=/usr/lib/value/%d", i, i))
	}
	for i := range secrets {
		env = append(env, fmt.Sprintf("SERVICE_%d_TOKEN=%c%d-s3cret/valu%c-%d", i, 'a'+i, 7919*i, 'z'-i, i))
	}
	return env
}

const cleanLines = `=== RUN   TestOpenDatabaseWithPassword/postgres
    store_test.go:42: 2026-01-02T03:04:05Z level=info msg="request done" path=/api/v1/users status=200
--- PASS: TestOpenDatabaseWithPassword/postgres (0.00s)
ok  	github.com/dpone/dpone/evidence	0.012s	coverage: 93.1% of statements
go: downloading gotest.tools/v3 v3.5.2 h1:7koQfIKdy+I8UTetycgUqXWSDwpgv193Ka+qRsmBY8Q=
`

func benchmarkWriter(b *testing.B, lines string) {
	w := New(benchEnviron(20)).Writer(io.Discard)
	text := []byte(strings.Repeat(lines, 32<<10/len(lines)))
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := w.Write(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkWriterClean(b *testing.B) { benchmarkWriter(b, cleanLines) }

func BenchmarkWriterDirty(b *testing.B) {
	benchmarkWriter(b, cleanLines+"postgres://joe:hunter2@db/x token a0-s3cret/valuz-0\n"+github()+" "+jwt()+"\n")
}

// BenchmarkHostile wants each shape at every place of one long line: its figures
// show that no text takes more than linear time.
func BenchmarkHostile(b *testing.B) {
	r := New(nil)
	for _, piece := range []string{
		"password=", "password='", "password=\"password='", "authorization:", "x-api-key:a", "://", "a://:@", "joe:x@tcp(", "ghp_", "ghp_ghs_", ".glpat-",
		"eyJ", "eyJhbGciOiJI.", "sk-", "bearer ", "-----BEGIN ", keyLines()[0], keyLines()[0] + `\n`, "AKIA", "[redacted:", "aws_secret_access_key=",
	} {
		b.Run(piece, func(b *testing.B) {
			text := strings.Repeat(piece, 1<<20/len(piece))
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				r.String(text)
			}
		})
	}
}

func BenchmarkNew(b *testing.B) {
	env := benchEnviron(5)
	b.ReportAllocs()
	for b.Loop() {
		New(env)
	}
}

func BenchmarkNewWithKey(b *testing.B) {
	env := append(benchEnviron(5), "SIGNING_KEY="+strings.Repeat(strings.Repeat("aB3+", 16)+"\n", 50))
	b.ReportAllocs()
	for b.Loop() {
		New(env)
	}
}

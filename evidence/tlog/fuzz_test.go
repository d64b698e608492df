package tlog_test

import (
	"bytes"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence/tlog"
)

const seedCheckpoint = "example.com/log\n1\niipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc=\n"

func FuzzParseCheckpoint(f *testing.F) {
	f.Add([]byte(seedCheckpoint))
	f.Add([]byte(seedCheckpoint + "\n— example.com/log AAAAAAAA\n"))
	f.Add([]byte("a\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))
	f.Add([]byte("a\n9223372036854775807\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"))
	verifier := fixedVerifier(f)
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := tlog.ParseCheckpoint(raw, nil)
		if err != nil {
			return
		}
		if c.Size < 0 || c.Size > tlog.MaxSize || c.Trust == tlog.Signed || !bytes.Equal(c.Raw, raw) {
			t.Fatalf("%+v", c)
		}
		body, _, signed := strings.Cut(string(raw), "\n\n")
		if signed != (c.Trust == tlog.Unchecked) || !strings.HasPrefix(body, c.Origin+"\n") {
			t.Fatalf("%+v", c)
		}
		// What is read without a key is what is read with one, or refused.
		if d, err := tlog.ParseCheckpoint(raw, verifier); err == nil && !d.Same(c) {
			t.Fatalf("%+v is not %+v", d, c)
		}
	})
}

func FuzzProof(f *testing.F) {
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 0\n\n"+seedCheckpoint), []byte("hello"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nextra AAAA\nindex 0\niipcm3aIJ95alVLDigRMZpWcaPbS8htSYK9U0vh9uCc=\n\n"+strings.Replace(seedCheckpoint, "\n1\n", "\n2\n", 1)), []byte("x"))
	f.Add([]byte("c2sp.org/tlog-proof@v1\nindex 9223372036854775806\n\n"+seedCheckpoint), []byte("x"))
	f.Fuzz(func(t *testing.T, raw, entry []byte) {
		p, err := tlog.ParseProof(raw, nil)
		if err != nil {
			return
		}
		if !bytes.Equal(p.Encode(), raw) {
			t.Fatalf("%q is not %q", p.Encode(), raw)
		}
		_, err = tlog.VerifyProof(raw, entry, nil)
		if again := p.Verify(entry); (err == nil) != (again == nil) {
			t.Fatalf("%v and %v", err, again)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte(`{"schema":"https://github.com/dpone/dpone/evidence/entry/v1","run":"a/b","index_sha256":"` + strings.Repeat("0", 64) +
		`","record_sha256":"` + strings.Repeat("1", 64) + `","verdict":"PASS","commit":"","time":"2026-11-22T06:30:00Z"}`))
	f.Add([]byte(`{"Schema":"x"}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		e, err := tlog.DecodeEntry(raw)
		if err != nil {
			return
		}
		again, err := e.Encode()
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("%q is not %q (%v)", again, raw, err)
		}
	})
}

// fixedVerifier is of a key that is public on purpose, so that seeds and
// failures are the same on each run.
func fixedVerifier(f *testing.F) note.Verifier {
	f.Helper()
	verifier, err := note.NewVerifier("PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW")
	if err != nil {
		f.Fatal(err)
	}
	return verifier
}

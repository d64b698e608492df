package redact

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"

	"gotest.tools/v3/assert"
)

var _ io.WriteCloser = (*Writer)(nil)

// stream returns what a Writer makes of text, given in pieces of size.
func stream(t *testing.T, r *Redactor, text string, size int) string {
	t.Helper()
	var b bytes.Buffer
	w := r.Writer(&b)
	for len(text) > 0 {
		k := min(size, len(text))
		n, err := io.WriteString(w, text[:k])
		assert.NilError(t, err)
		assert.Equal(t, n, k)
		text = text[k:]
	}
	assert.NilError(t, w.Close())
	return b.String()
}

func streamTwo(t *testing.T, r *Redactor, first, second string) string {
	t.Helper()
	var b bytes.Buffer
	w := r.Writer(&b)
	for _, p := range []string{first, second} {
		_, err := io.WriteString(w, p)
		assert.NilError(t, err)
	}
	assert.NilError(t, w.Close())
	return b.String()
}

func TestWriterSplits(t *testing.T) {
	r := New([]string{"A_TOKEN=" + secretValue})
	text := "one " + secretValue + "\ntwo https://joe:hunter2@host\r\n" + strings.Join(keyLines(), "\n") + "\n" +
		"three " + github() + "\n\npassword=hunter2\n" + strings.Join(keyLines()[:3], "\n") + "\nfour\x00\xff " + jwt()
	want := r.String(text)
	assert.Assert(t, !strings.Contains(want, "hunter2") && !strings.Contains(want, "MIIE"))
	for i := range len(text) + 1 {
		assert.Equal(t, streamTwo(t, r, text[:i], text[i:]), want, "split at %d", i)
	}
	for _, size := range []int{1, 2, 3, 7, 64} {
		assert.Equal(t, stream(t, r, text, size), want)
	}
}

func TestWriterHoldsBackOneLine(t *testing.T) {
	var b bytes.Buffer
	w := New(nil).Writer(&b)
	_, err := io.WriteString(w, "one\ntwo\nthr")
	assert.NilError(t, err)
	assert.Equal(t, b.String(), "one\ntwo\n")
	_, err = io.WriteString(w, "ee\n")
	assert.NilError(t, err)
	assert.Equal(t, b.String(), "one\ntwo\nthree\n")
	assert.NilError(t, w.Close())
	assert.NilError(t, w.Close())
	_, err = io.WriteString(w, "x")
	assert.ErrorContains(t, err, "closed")
}

func TestWriterLongLines(t *testing.T) {
	const value = "a-s3cret-of-some-length"
	r := New([]string{"A_TOKEN=" + value})
	for _, secret := range []string{value, github(), jwt(), " password=hunter2 ", "x://joe:hunter2@host", strings.Join(keyLines(), `\n`)} {
		for _, before := range []int{maxLine - 30, maxLine - 1, maxLine, maxLine + minOverlap - 20, maxLine + minOverlap, 2*maxLine + 5} {
			for _, size := range []int{997, 1 << 20} {
				text := strings.Repeat(".", before) + " " + secret + " " + strings.Repeat(",", maxLine)
				assert.Assert(t, stream(t, r, text, size) == r.String(text), "%s after %d in %d", secret, before, size)
			}
		}
	}
	// At places all around the cut.
	for before := maxLine - 40; before < maxLine+10; before += 3 {
		text := strings.Repeat(".", before) + value + strings.Repeat(",", maxLine)
		assert.Assert(t, stream(t, r, text, 1<<20) == r.String(text), "after %d", before)
	}
}

func TestWriterLongSecret(t *testing.T) {
	value := strings.Repeat("0123456789abcde-", 6<<10) // longer than a line may be
	r := New([]string{"A_TOKEN=" + value})
	text := "x " + value + " y" + value[:100] + "\n"
	assert.Assert(t, stream(t, r, text, 4096) == "x [redacted:A_TOKEN] y"+value[:100]+"\n")

	// A token without end goes with all that continues it.
	text = "x " + github() + strings.Repeat("a", 4*maxLine) + " y\n"
	assert.Equal(t, stream(t, r, text, 4096), "x [redacted:github-token] y\n")
}

func TestWriterLongLineAfterKey(t *testing.T) {
	r := New(nil)
	text := strings.Join(keyLines()[:3], "\n") + "\n" + strings.Repeat("word ", 2*maxLine) + github() + "\n"
	assert.Assert(t, stream(t, r, text, 5000) == r.String(text))
}

func TestWriterMemory(t *testing.T) {
	w := New(nil).Writer(io.Discard)
	for range 1000 {
		_, err := w.Write(bytes.Repeat([]byte("a"), 10_000))
		assert.NilError(t, err)
	}
	assert.Assert(t, cap(w.buf) < 4*maxLine, "%d", cap(w.buf))
}

func TestWriterBinary(t *testing.T) {
	data := make([]byte, 300_000)
	for i := range data {
		data[i] = byte(i * i >> 3)
	}
	assert.Assert(t, stream(t, New(nil), string(data), 1000) == string(data))
}

type failing struct{ after int }

var errFull = errors.New("disk full")

func (f *failing) Write(p []byte) (int, error) {
	if f.after--; f.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

type short struct{}

func (short) Write(p []byte) (int, error) { return len(p) - 1, nil }

func TestWriterError(t *testing.T) {
	w := New(nil).Writer(&failing{after: 1})
	_, err := io.WriteString(w, "one\n")
	assert.NilError(t, err)
	for range 2 {
		n, err := io.WriteString(w, "two\n")
		assert.ErrorIs(t, err, errFull)
		assert.Equal(t, n, 0)
	}
	assert.ErrorIs(t, w.Close(), errFull)
	assert.ErrorIs(t, w.Close(), errFull)

	w = New(nil).Writer(&failing{})
	_, err = io.WriteString(w, "held back")
	assert.NilError(t, err)
	assert.ErrorIs(t, w.Close(), errFull)

	_, err = io.WriteString(New(nil).Writer(short{}), "one\n")
	assert.ErrorIs(t, err, io.ErrShortWrite)
}

func TestWriterConcurrence(t *testing.T) {
	var b bytes.Buffer
	w := New([]string{"A_TOKEN=abcdefgh"}).Writer(&b)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 100 {
				if _, err := io.WriteString(w, "x abcdefgh\n"); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	assert.NilError(t, w.Close())
	assert.Equal(t, b.String(), strings.Repeat("x [redacted:A_TOKEN]\n", 800))
}

func FuzzWriter(f *testing.F) {
	const secret = "pl4nted/secret+<1>"
	r := New([]string{"A_TOKEN=" + secret})
	f.Add("", "", 3, 1)
	f.Add("password=", ";\n", 12, 1)
	f.Add("x\n-----BEGIN PRIVATE "+"KEY-----\nMIIE\n", "\n-----END PRIVATE "+"KEY-----\n", 20, 5)
	f.Add("-----BEGIN PRIVATE "+"KEY-----\r\n\r\n", "\n\n", 40, 2)
	f.Fuzz(func(t *testing.T, before, after string, split, size int) {
		text := before + secret + after
		want := r.String(text)
		split = min(max(split, 0), len(text))
		for _, got := range []string{streamTwo(t, r, text[:split], text[split:]), stream(t, r, text, min(max(size, 1), 100))} {
			if strings.Contains(got, secret) {
				t.Fatalf("%q survives in %q", secret, got)
			}
			if got != want {
				t.Fatalf("stream %q, string %q", got, want)
			}
		}
	})
}

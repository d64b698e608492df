// Command worker does the work that the evidence benchmark times, each piece in
// a process of its own, so that the processor time and the memory are those of
// the piece. The tasks are those of package protocol; what they took is printed
// as one JSON line each.
package main

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"log"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/dpone/dpone/evidence/seal"
	"github.com/dpone/dpone/evidence/sign"
	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/evidence/tlog"
	"github.com/dpone/dpone/gates/bench/evidencebench/worker/protocol"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	if len(args) < 2 {
		return errors.New("usage: worker <task> <folder> [number] [number]")
	}
	numbers := make([]int, 2)
	for i, text := range args[2:] {
		n, err := strconv.Atoi(text)
		if err != nil || i == len(numbers) || n < 0 {
			return fmt.Errorf("%q is not what %s takes", text, args[0])
		}
		numbers[i] = n
	}
	w := &worker{ctx: ctx, dir: args[1], answers: json.NewEncoder(out)}
	switch args[0] {
	case protocol.MakeFiles:
		return makeFiles(w.dir, numbers[0], numbers[1])
	case protocol.MakeBundles:
		return makeBundles(ctx, w.dir, numbers[0])
	case protocol.Seal:
		return w.timed(protocol.Seal, 1, func() error {
			_, err := seal.Seal(ctx, w.dir, seal.Options{Workers: numbers[0]})
			return err
		})
	case protocol.Verify:
		return w.timed(protocol.Verify, 1, func() error { return seal.Verify(ctx, w.dir, seal.Options{Workers: numbers[0]}).Err() })
	case protocol.Small:
		return w.small()
	case protocol.Log:
		return w.log(numbers[0])
	case protocol.VerifyBundles:
		return verifyBundles(w.dir, numbers[0])
	}
	return fmt.Errorf("%q is no task", args[0])
}

type worker struct {
	ctx     context.Context // of the one task of the process
	dir     string
	answers *json.Encoder
}

// timed does a piece of the work and answers what it took.
func (w *worker) timed(work string, count int, do func() error) error {
	cpu, start := processorTime(), time.Now()
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", work, err)
	}
	seconds := time.Since(start).Seconds()
	return w.answers.Encode(protocol.Answer{Work: work, Count: count, Seconds: seconds, CPU: (processorTime() - cpu).Seconds(), Peak: peakMemory()})
}

// perFolder is how many files a folder has.
const perFolder = 250

// makeFiles writes files no two of which are the same.
func makeFiles(dir string, count, size int) error {
	block := make([]byte, 1<<20)
	source := mathrand.NewChaCha8([32]byte{1})
	_, _ = source.Read(block) // never fails
	for i := range count {
		name := filepath.Join(dir, fmt.Sprintf("d%03d", i/perFolder), fmt.Sprintf("f%06d.bin", i))
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return err
		}
		if err := makeFile(name, i, size, block); err != nil {
			return err
		}
	}
	return nil
}

func makeFile(name string, number, size int, block []byte) error {
	file, err := os.Create(name)
	if err != nil {
		return err
	}
	for at := 0; at < size; at += len(block) {
		binary.LittleEndian.PutUint64(block, uint64(number))
		binary.LittleEndian.PutUint64(block[8:], uint64(at))
		if _, err := file.Write(block[:min(len(block), size-at)]); err != nil {
			file.Close()
			return err
		}
	}
	return file.Close()
}

// turns is how often small does each piece, one after the other.
const turns = 3

// small holds sealing and verifying a folder against hashing its files alone. Both use all
// processors, and both find the files as the other left them, in the system's cache.
func (w *worker) small() error {
	var names []string
	err := filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.Type().IsRegular() && entry.Name() != seal.IndexJSON {
			names = append(names, path)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := hashAlone(names); err != nil { // which fills the caches, and is not counted
		return err
	}
	for range turns {
		if err := w.timed(protocol.HashAlone, len(names), func() error { return hashAlone(names) }); err != nil {
			return err
		}
		if err := w.timed(protocol.SealAndVerify, len(names), func() error {
			if _, err := seal.Seal(w.ctx, w.dir, seal.Options{}); err != nil {
				return err
			}
			return seal.Verify(w.ctx, w.dir, seal.Options{}).Err()
		}); err != nil {
			return err
		}
	}
	return nil
}

// hashAlone is what one would write by hand: open, read into SHA-256, close.
func hashAlone(names []string) error {
	errs := make([]error, runtime.GOMAXPROCS(0))
	jobs := make(chan string, 4*len(errs))
	var wait sync.WaitGroup
	for i := range errs {
		wait.Go(func() {
			// One buffer and one hash for all files, as one would do who wants it fast.
			sum, buffer := sha256.New(), make([]byte, 256<<10)
			for name := range jobs {
				if err := hashFile(name, sum, buffer); err != nil {
					errs[i] = err
				}
			}
		})
	}
	for _, name := range names {
		jobs <- name
	}
	close(jobs)
	wait.Wait()
	return errors.Join(errs...)
}

func hashFile(name string, sum hash.Hash, buffer []byte) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer file.Close()
	sum.Reset()
	// Without the wrappers, io.Copy would find a way of its own and leave the buffer.
	if _, err := io.CopyBuffer(struct{ io.Writer }{sum}, struct{ io.Reader }{file}, buffer); err != nil {
		return err
	}
	_ = sum.Sum(buffer[:0])
	return nil
}

// oneByOne is how many entries are appended one by one.
const oneByOne = 20

// log appends to a signed log on disk and proves what is in it.
func (w *worker) log(count int) (err error) {
	const origin = "example.com/bench"
	secret, public, err := note.GenerateKey(nil, origin)
	if err != nil {
		return err
	}
	signer, err := note.NewSigner(secret)
	if err != nil {
		return err
	}
	verifier, err := note.NewVerifier(public)
	if err != nil {
		return err
	}
	entries := make([][]byte, count)
	for i := range entries {
		entries[i] = entry(i)
	}
	l, err := tlog.Open(w.dir, tlog.Options{Origin: origin, Signer: signer, Verifier: verifier, Create: true, Remember: w.dir + ".checkpoint"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	prove := func(index func(i int) int) func() error {
		return func() error {
			for i := range count {
				if _, err := l.Proof(int64(index(i))); err != nil {
					return err
				}
			}
			return nil
		}
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	for _, piece := range []struct {
		work  string
		count int
		do    func() error
	}{
		{protocol.AppendAtOnce, count, func() error { _, err := l.Append(w.ctx, entries); return err }},
		{protocol.ProofInOrder, count, prove(func(i int) int { return i })},
		{protocol.ProofAtRandom, count, prove(func(int) int { return random.IntN(count) })},
		{protocol.AppendOneByOne, oneByOne, func() error {
			for i := range oneByOne {
				if _, err := l.Append(w.ctx, [][]byte{entry(count + i)}); err != nil {
					return err
				}
			}
			return nil
		}},
	} {
		if err := w.timed(piece.work, piece.count, piece.do); err != nil {
			return err
		}
	}
	return nil
}

// entry has the size of a run's.
func entry(i int) []byte {
	return fmt.Appendf(nil, `{"schema":%q,"run":"ci/20261122T063000Z-%08x","index_sha256":"%064x","record_sha256":"%064x","verdict":"PASS","commit":"%040x","time":"2026-11-22T06:30:00Z"}`,
		tlog.EntrySchema, i, i, i, i)
}

const (
	publicName   = "key.pub"
	artifactName = "artifact"
)

func bundlePath(dir string, i int) string {
	return filepath.Join(dir, strconv.Itoa(i)+".json")
}

// makeBundles signs statements about one artifact, each another statement.
func makeBundles(ctx context.Context, dir string, count int) error {
	private, public, err := sign.GenerateKey(sign.ECDSAP256, []byte("a passphrase of the benchmark"))
	if err != nil {
		return err
	}
	key, err := sign.LoadKey(private, []byte("a passphrase of the benchmark"))
	if err != nil {
		return err
	}
	artifact := []byte("what the statements are about\n")
	sum := sha256.Sum256(artifact)
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.WriteFile(filepath.Join(dir, publicName), public, 0o600), os.WriteFile(filepath.Join(dir, artifactName), artifact, 0o600)); err != nil {
		return err
	}
	for i := range count {
		s, err := statement.New(
			[]statement.ResourceDescriptor{{Name: artifactName, Digest: statement.DigestSet{"sha256": hex.EncodeToString(sum[:])}}},
			&statement.Release{PURL: "pkg:golang/example.com/bench@v1.0." + strconv.Itoa(i)},
		)
		if err != nil {
			return err
		}
		raw, err := s.Encode()
		if err != nil {
			return err
		}
		bundle, err := key.Sign(ctx, raw)
		if err != nil {
			return err
		}
		if err := os.WriteFile(bundlePath(dir, i), bundle, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// verifyBundles verifies one bundle after the other, as cosign in a loop would.
func verifyBundles(dir string, count int) error {
	public, err := os.ReadFile(filepath.Join(dir, publicName))
	if err != nil {
		return err
	}
	trust, err := sign.NewTrust(sign.TrustedKey{Name: "bench", PublicPEM: public})
	if err != nil {
		return err
	}
	artifact, err := os.ReadFile(filepath.Join(dir, artifactName))
	if err != nil {
		return err
	}
	sum := sha256.Sum256(artifact)
	digest := hex.EncodeToString(sum[:])
	for i := range count {
		raw, err := os.ReadFile(bundlePath(dir, i))
		if err != nil {
			return err
		}
		verified, err := sign.VerifyBundle(raw, trust, sign.Options{At: time.Now(), PredicateType: statement.ReleaseType})
		if err != nil {
			return fmt.Errorf("bundle %d: %w", i, err)
		}
		if got := verified.Statement.Subject[0].Digest["sha256"]; got != digest {
			return fmt.Errorf("bundle %d is about %s", i, got)
		}
	}
	return nil
}

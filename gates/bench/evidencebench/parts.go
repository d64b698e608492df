package evidencebench

import (
	"context"
	"fmt"
	"path"
	"strconv"

	"github.com/dpone/dpone/evidence/statement"
	"github.com/dpone/dpone/gates/bench/evidencebench/worker/protocol"
	"github.com/dpone/dpone/gates/bench/figures"
	"github.com/dpone/dpone/gates/bench/judge"
	"github.com/dpone/dpone/gates/proc"
)

// The limits.
const (
	floorThroughput = 0.9 // of openssl's, by processor time
	floorCores      = 1.6 // times as fast with two workers
	limitSmall      = 3.0 // times hashing alone, for sealing and verifying
	limitLog        = 10.0
	floorBundles    = 50.0
	limitFlat       = 1.25   // times the memory for sixteen times the bytes
	limitFileMore   = 1536.0 // bytes of memory for a file more: the index is in memory
)

// The sizes at scale 1.
const (
	bigFile     = 1 << 30
	manyFiles   = 64
	manySize    = 8 << 20
	smallFiles  = 10_000
	smallSize   = 4 << 10
	records     = 100_000
	bundles     = 1_000
	cosignRuns  = 10 // in each round; their mean stands for all
	twoWorkers  = 2
	oneWorker   = 1
	fewerTimes  = 10 // files in the smaller of two folders
	smallerBy   = 16 // bytes in the smaller of two files
	megabytes   = 1e6
	microsecond = 1e6
)

// part is one comparison.
type part struct {
	id, work string
	// commands are all that measure may run.
	commands func(*bench) []proc.Command
	measure  func(context.Context, *lab) error
}

func parts() []part {
	return []part{
		{"file", "one file of 1 GiB sealed and verified, against openssl dgst -sha256, by processor time", fileCommands, file},
		{"cores", "64 files of 8 MiB sealed and verified by two workers, against one", coresCommands, cores},
		{"small", "10,000 files of 4 KiB sealed and verified, against hashing them alone on as many processors", smallCommands, small},
		{"log", "100,000 records appended at once and each proved, by processor time", logCommands, logged},
		{"bundles", "1,000 bundles by a key verified in one process, against one cosign process each", bundlesCommands, bundled},
		{"memory", "the memory of a process that seals or verifies a file 16 times as long, and 10 times as many files", memoryCommands, memory},
	}
}

const (
	fileDir   = "$SCRATCH/file"
	manyDir   = "$SCRATCH/many"
	smallDir  = "$SCRATCH/small"
	bundleDir = "$SCRATCH/bundles"
)

// jobs are what is measured of a folder.
func jobs() []string { return []string{protocol.Seal, protocol.Verify} }

func makeFile(b *bench) proc.Command {
	return task(protocol.MakeFiles, fileDir, 1, b.opts.scaled(bigFile))
}

func digestFile(b *bench) proc.Command {
	return proc.Command{Name: b.openssl, Args: []string{"dgst", "-sha256", path.Join(fileDir, "d000", "f000000.bin")}}
}

func fileCommands(b *bench) []proc.Command {
	return []proc.Command{makeFile(b), digestFile(b), task(protocol.Seal, fileDir, oneWorker), task(protocol.Verify, fileDir, oneWorker)}
}

// file is bound by hashing: one core, one file.
func file(ctx context.Context, l *lab) error {
	if err := l.make(ctx, makeFile(l.bench)); err != nil {
		return err
	}
	for round := range l.opts.Rounds {
		l.progress(round, "openssl, seal, verify")
		if err := l.exec(ctx, "openssl dgst -sha256", digestFile(l.bench)); err != nil {
			return err
		}
		for _, job := range jobs() {
			if err := l.exec(ctx, job, task(job, fileDir, oneWorker)); err != nil {
				return err
			}
		}
	}
	size := float64(l.opts.scaled(bigFile)) / megabytes
	for _, job := range jobs() {
		l.part.AtLeast("bench.evidence.throughput", job, l.part.Ratio(figures.CPU, "openssl dgst -sha256", job), floorThroughput, "%.2fx the throughput of openssl on a core")
		l.part.Note("%s: %.0f MB a second of processor time; openssl %.0f", job, size/l.part.Side(job).CPU, size/l.part.Side("openssl dgst -sha256").CPU)
	}
	return nil
}

func makeMany(b *bench) proc.Command {
	return task(protocol.MakeFiles, manyDir, manyFiles, b.opts.scaled(manySize))
}

func coresCommands(b *bench) []proc.Command {
	all := []proc.Command{makeMany(b)}
	for _, job := range jobs() {
		all = append(all, task(job, manyDir, oneWorker), task(job, manyDir, twoWorkers))
	}
	return all
}

// cores holds that files are hashed side by side.
func cores(ctx context.Context, l *lab) error {
	if l.processors < twoWorkers {
		for _, job := range jobs() {
			l.part.Skip("bench.evidence.cores", job, "two workers against one", fmt.Sprintf("there is %d processor", l.processors))
		}
		return nil
	}
	if err := l.make(ctx, makeMany(l.bench)); err != nil {
		return err
	}
	name := func(job string, workers int) string { return fmt.Sprintf("%s, workers: %d", job, workers) }
	for round := range l.opts.Rounds {
		for _, job := range jobs() {
			l.progress(round, job)
			for _, workers := range []int{oneWorker, twoWorkers} {
				if err := l.exec(ctx, name(job, workers), task(job, manyDir, workers)); err != nil {
					return err
				}
			}
		}
	}
	for _, job := range jobs() {
		one, two := name(job, oneWorker), name(job, twoWorkers)
		l.part.AtLeast("bench.evidence.cores", job, l.part.Ratio(figures.Seconds, one, two), floorCores, "%.2fx as fast with two workers")
		l.part.Note("%s kept %.2f processors busy with two workers", job, l.part.Side(two).CPU/l.part.Side(two).Seconds)
	}
	return nil
}

func makeSmall(b *bench) proc.Command {
	return task(protocol.MakeFiles, smallDir, b.opts.scaled(smallFiles), smallSize)
}

func smallCommands(b *bench) []proc.Command {
	return []proc.Command{makeSmall(b), task(protocol.Small, smallDir)}
}

// small is what a file costs beyond its hashing.
func small(ctx context.Context, l *lab) error {
	if err := l.make(ctx, makeSmall(l.bench)); err != nil {
		return err
	}
	for round := range l.opts.Rounds {
		l.progress(round, "hash alone, seal and verify")
		if _, err := l.ask(ctx, task(protocol.Small, smallDir)); err != nil {
			return err
		}
	}
	l.part.AtMost("bench.evidence.small", "seal and verify", l.part.Ratio(figures.Seconds, protocol.SealAndVerify, protocol.HashAlone), limitSmall, "%.2fx the time of hashing alone")
	l.part.Note("%.2fx by processor time; both sides use %d processors", l.part.Ratio(figures.CPU, protocol.SealAndVerify, protocol.HashAlone), l.processors)
	return nil
}

func logTask(b *bench, round int) proc.Command {
	return task(protocol.Log, "$SCRATCH/log-"+strconv.Itoa(round), b.opts.scaled(records))
}

func logCommands(b *bench) []proc.Command {
	var all []proc.Command
	for round := range b.opts.Rounds {
		all = append(all, logTask(b, round))
	}
	return all
}

// logged is the log by the record.
func logged(ctx context.Context, l *lab) error {
	var each []float64
	per := map[string][]float64{}
	durable := 0.0
	for round := range l.opts.Rounds {
		l.progress(round, "append, prove")
		c := logTask(l.bench, round)
		answers, err := l.ask(ctx, c)
		if err != nil {
			return err
		}
		for work, a := range answers {
			per[work] = append(per[work], a.CPU/float64(a.Count)*microsecond)
		}
		if one := answers[protocol.AppendOneByOne]; one.Count > 0 {
			durable = one.Seconds / float64(one.Count)
		}
		both := answers[protocol.AppendAtOnce].CPU + answers[protocol.ProofInOrder].CPU
		each = append(each, both/float64(answers[protocol.AppendAtOnce].Count)*microsecond)
	}
	l.part.AtMost("bench.evidence.log", "append and proof", positive(judge.Median(each)), limitLog, "%.2f µs of processor time a record")
	of := func(work string) float64 { return judge.Median(per[work]) }
	l.part.Note("microseconds of processor time each: append at once %.2f, proof in order %.2f, proof at random %.2f", of(protocol.AppendAtOnce), of(protocol.ProofInOrder), of(protocol.ProofAtRandom))
	l.part.Note("a record appended alone, flushed to disk before it counts: %.0f µs of processor time, %.1f ms in all; the limit is not for that, which is the price of the files that are made and flushed",
		of(protocol.AppendOneByOne), durable*1e3)
	return nil
}

// positive is a value above 0, or no number: a system that does not tell the
// processor time tells 0.
func positive(v float64) float64 {
	if v > 0 {
		return v
	}
	return judge.Median(nil)
}

func makeBundles(b *bench) proc.Command {
	return task(protocol.MakeBundles, bundleDir, b.opts.scaled(bundles))
}

func verifyBundles(b *bench) proc.Command {
	return task(protocol.VerifyBundles, bundleDir, b.opts.scaled(bundles))
}

// cosign verifies one bundle, offline.
func cosign(i int) proc.Command {
	return proc.Command{Name: cosignPath, Args: []string{
		"verify-blob-attestation", "--key=" + bundleDir + "/key.pub", "--bundle=" + bundleDir + "/" + strconv.Itoa(i) + ".json",
		"--type=" + statement.ReleaseType, "--insecure-ignore-tlog=true", bundleDir + "/artifact",
	}}
}

func bundlesCommands(b *bench) []proc.Command {
	all := []proc.Command{makeBundles(b), verifyBundles(b)}
	for i := range min(cosignRuns, b.opts.scaled(bundles)) {
		all = append(all, cosign(i))
	}
	return all
}

// bundled is one process for all against one for each. Both look at the
// signature, the type of the predicate, and the digest of the artifact.
func bundled(ctx context.Context, l *lab) error {
	const code, subject, side = "bench.evidence.bundles", "verify", "cosign, one process"
	n := l.opts.scaled(bundles)
	if l.opts.Cosign == "" {
		l.part.Skip(code, subject, fmt.Sprintf("%d bundles against as many cosign processes", n), "there is no cosign: DPONE_COSIGN names none, and neither the tool cache nor the PATH has one")
		return nil
	}
	if err := link(l.p, l.opts.Cosign, cosignPath); err != nil {
		return err
	}
	if err := l.make(ctx, makeBundles(l.bench)); err != nil {
		return err
	}
	var ratios []float64
	runs := min(cosignRuns, n)
	for round := range l.opts.Rounds {
		l.progress(round, "ours, cosign")
		if err := l.exec(ctx, fmt.Sprintf("ours, %d bundles", n), verifyBundles(l.bench)); err != nil {
			return err
		}
		sum := 0.0
		for i := range runs {
			if err := l.exec(ctx, side, cosign(i)); err != nil {
				return err
			}
			samples := l.part.Side(side).Samples
			sum += samples[len(samples)-1].Seconds
		}
		ours := l.part.Side(fmt.Sprintf("ours, %d bundles", n)).Samples[round].Seconds
		ratios = append(ratios, sum/float64(runs)*float64(n)/ours)
	}
	l.part.AtLeast(code, subject, judge.Median(ratios), floorBundles, "%.0fx as fast as a cosign process each")
	l.part.Note("%d cosign processes were measured in each round; their mean, times %d, stands for %d", runs, n, n)
	return nil
}

const (
	shorter, longer = "$SCRATCH/shorter", fileDir
	fewer, more     = "$SCRATCH/fewer", "$SCRATCH/more"
)

// folders are what the memory is measured on.
func folders(b *bench) []proc.Command {
	return []proc.Command{
		task(protocol.MakeFiles, shorter, 1, b.opts.scaled(bigFile/smallerBy)),
		makeFile(b),
		task(protocol.MakeFiles, fewer, b.opts.scaled(smallFiles/fewerTimes), 1),
		task(protocol.MakeFiles, more, b.opts.scaled(smallFiles), 1),
	}
}

func memoryCommands(b *bench) []proc.Command {
	all := folders(b)
	for _, dir := range folders(b) {
		for _, job := range jobs() {
			all = append(all, task(job, dir.Args[1], twoWorkers))
		}
	}
	return all
}

// memory is that of a whole process, the greatest at once.
func memory(ctx context.Context, l *lab) error {
	name := func(job, dir string) string { return job + " " + path.Base(dir) }
	for round := range l.opts.Rounds {
		for _, dir := range folders(l.bench) {
			if err := l.make(ctx, dir); err != nil {
				return err
			}
			l.progress(round, path.Base(dir.Args[1]))
			for _, job := range jobs() {
				if err := l.exec(ctx, name(job, dir.Args[1]), task(job, dir.Args[1], twoWorkers)); err != nil {
					return err
				}
			}
		}
	}
	files := float64(l.opts.scaled(smallFiles) - l.opts.scaled(smallFiles/fewerTimes))
	for _, job := range jobs() {
		l.part.AtMost("bench.evidence.memory", job+" by size", l.part.Ratio(figures.Peak, name(job, longer), name(job, shorter)), limitFlat, "%.2fx the memory for 16 times the bytes")
		small, large := l.part.Side(name(job, fewer)).Peak, l.part.Side(name(job, more)).Peak
		value := judge.Median(nil)
		if small > 0 && large > 0 {
			value = float64(large-small) / files
		}
		l.part.AtMost("bench.evidence.memory", job+" by count", value, limitFileMore, "%.0f bytes of memory for a file more")
	}
	return nil
}

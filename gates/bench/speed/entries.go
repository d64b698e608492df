package speed

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dpone/dpone/engine/connector"
	"github.com/dpone/dpone/engine/connectors"
	"github.com/dpone/dpone/gates/bench/judge"
	"github.com/dpone/dpone/gates/proc"
)

// entry is one row of the table.
type entry struct {
	id, work, against string
	// missing gives the reason why the row cannot be measured, empty when it can.
	missing func() string
	// prepare makes what all rounds need, before comes before each round, cleanup gives room back.
	prepare func(context.Context, *lab) error
	before  func(context.Context, *lab) error
	cleanup func(context.Context, *lab)
	sides   []side
	judge   func(*Row) []judge.Judgement
}

// side is one way to do the work.
type side struct {
	name     string
	engine   bool
	command  proc.Command
	file     string // of the manifest, below the scratch folder
	manifest string
	// reset puts the target back before each turn.
	reset func(context.Context, *lab) error
	// table of the target holds that many rows after each turn.
	table string
	rows  int64
	// Sides of one group leave the same rows.
	group string
}

// The limits of the table, as ratios.
const (
	floorTCP      = 1.05
	floorSocket   = 0.95
	floorWorkers  = 1.3
	floorWide     = 0.95
	floorMerge    = 6.0
	limitFlat     = 1.25 // of the time at the least size; a deeper index and more pages are not free
	floorDiff     = 2.0
	floorDiffWAL  = 8.0
	floorXMin     = 2.0
	floorCSV      = 1.1
	floorParquet  = 0.75
	floorCDC      = 0.5
	limitCPUOff   = 1.2
	limitCPUOn    = 1.5
	limitGrowth   = 1.1
	limitMemory   = 64 << 20
	changedInXMin = 500 // one row in so many changes
)

// The names of the sides that figures are computed from.
const (
	ours       = "engine"
	oursNoSum  = "engine, digest none"
	binaryPipe = "psql binary pipe"
	textPipe   = "psql text pipe"
)

// entries are the rows of the table in their order.
func entries(o Options) []*entry {
	n := func(rows float64) int64 { return max(int64(rows*o.Scale), 20) }
	big, long := orders20(n(1e6)), orders5("orders5", n(5e6))
	all := []*entry{
		refresh("refresh_20_tcp", big, tcp, floorTCP), refresh("refresh_20_unix", big, socket, floorSocket),
		refresh("refresh_5_tcp", long, tcp, floorTCP), refresh("refresh_5_unix", long, socket, floorSocket),
		workers("workers_20", big), workers("workers_5", long),
		sparse(wide(n(1e5))),
		merge([3]int64{n(1e6), n(5e6), n(10e6)}, n(1e4), n(1e3)),
		diff(n(1e6)),
		xmin(orders5("orders5_xmin", n(5e6))),
		csv(big), parquet(big),
		cdc(n(1e6)),
		growth([3]int64{n(1e6), n(5e6), n(20e6)}),
	}
	for _, e := range all {
		own := e.judge
		e.judge = func(r *Row) []judge.Judgement {
			all := append(own(r), memory(r))
			for i := range all {
				if limit, ok := o.Floors[all[i].Code+" "+all[i].Subject]; ok {
					all[i].Limit = limit
				}
			}
			return all
		}
	}
	return all
}

func psql(database, transport string, args string) string {
	return "$SCRATCH/psql -X -q -v ON_ERROR_STOP=1 -d service=" + database + "_" + transport + " " + args
}

func shell(script string) proc.Command {
	return proc.Command{Name: "sh", Args: []string{"-c", script}, Env: []string{"PGSERVICEFILE=$SCRATCH/services"}}
}

// pipe copies a table as one would by hand: emptied and filled in one transaction.
func pipe(transport, table, format string) proc.Command {
	return shell(psql(sourceDB, transport, `-c "COPY `+table+` TO STDOUT (FORMAT `+format+`)"`) + " | " +
		psql(targetDB, transport, `-1 -c "TRUNCATE `+table+`" -c "COPY `+table+` FROM STDIN (FORMAT `+format+`)"`))
}

func runner(file string) proc.Command {
	return proc.Command{Name: "$SCRATCH/runner", Args: []string{"$SCRATCH/" + file}}
}

// process is a manifest between the two databases.
func process(name, transport, source, target, sourceOptions, strategy, sinkOptions string) string {
	return fmt.Sprintf(`name: %s
source:
  type: postgres
  connection: {dsn: "file:$SCRATCH/%s_%s"}
  table: {schema: public, name: %s}
  options: {%s}
sink:
  type: postgres
  connection: {dsn: "file:$SCRATCH/%s_%s"}
  table: {schema: public, name: %s}
  strategy: {%s}
  options: {%s}
`, name, sourceDB, transport, source, sourceOptions, targetDB, transport, target, strategy, sinkOptions)
}

func engineSide(name, id, manifest string) side {
	file := id + ".yaml"
	return side{name: name, engine: true, command: runner(file), file: file, manifest: manifest}
}

// both makes a table in the source, and empty in the target.
func both(t table) func(context.Context, *lab) error {
	return func(ctx context.Context, l *lab) error {
		if err := l.once(ctx, t); err != nil {
			return err
		}
		return l.target(ctx, "DROP TABLE IF EXISTS "+t.name, t.create(""))
	}
}

func dropTarget(name string) func(context.Context, *lab) {
	return func(ctx context.Context, l *lab) { _ = l.target(ctx, "DROP TABLE IF EXISTS "+name) }
}

// leaves says what a copy of a table leaves behind.
func (s side) leaves(t table) side {
	s.table, s.rows, s.group = t.name, t.rows, t.name
	return s
}

func refresh(id string, t table, transport string, floor float64) *entry {
	e := &entry{
		id: id, work: fmt.Sprintf("full refresh, %d rows x %d columns, %s, digest on", t.rows, len(t.columns), transport), against: binaryPipe,
		prepare: both(t), cleanup: dropTarget(t.name),
		sides: []side{
			side{name: binaryPipe, command: pipe(transport, t.name, "binary")}.leaves(t),
			engineSide(ours, id, process(id, transport, t.name, t.name, "", "mode: full_refresh", "digest: full")).leaves(t),
		},
	}
	if len(t.columns) == 5 {
		e.judge = func(r *Row) []judge.Judgement { return []judge.Judgement{speed(r, binaryPipe, ours, floor)} }
		return e
	}
	e.sides = append(e.sides, engineSide(oursNoSum, id+"_none", process(id+"_none", transport, t.name, t.name, "", "mode: full_refresh", "digest: none")).leaves(t))
	e.judge = func(r *Row) []judge.Judgement {
		cpu := func(name, suffix string, limit float64) judge.Judgement {
			return judge.AtMost("bench.engine.cpu", r.ID+suffix, r.cpu(name)/r.cpu(binaryPipe), limit, "%.2fx the processor time of the two psql")
		}
		return []judge.Judgement{
			speed(r, binaryPipe, ours, floor),
			cpu(oursNoSum, " digest none", limitCPUOff), cpu(ours, " digest full", limitCPUOn),
		}
	}
	return e
}

func workers(id string, t table) *entry {
	return &entry{
		id: id, work: fmt.Sprintf("full refresh, two workers, %d rows x %d columns, %s, digest on", t.rows, len(t.columns), tcp), against: binaryPipe,
		prepare: both(t), cleanup: dropTarget(t.name),
		sides: []side{
			side{name: binaryPipe, command: pipe(tcp, t.name, "binary")}.leaves(t),
			engineSide(ours, id, process(id, tcp, t.name, t.name, "workers: 2", "mode: full_refresh, overwrite_type: shadow_swap", "digest: full")).leaves(t),
		},
		judge: func(r *Row) []judge.Judgement { return []judge.Judgement{speed(r, binaryPipe, ours, floorWorkers)} },
	}
}

func sparse(t table) *entry {
	const id = "wide"
	return &entry{
		id: id, work: fmt.Sprintf("full refresh, %d rows x %d sparse columns, %s, digest on", t.rows, len(t.columns), tcp), against: "the faster of the binary and the text pipe",
		prepare: both(t), cleanup: dropTarget(t.name),
		sides: []side{
			side{name: binaryPipe, command: pipe(tcp, t.name, "binary")}.leaves(t),
			side{name: textPipe, command: pipe(tcp, t.name, "text")}.leaves(t),
			engineSide(ours, id, process("wide_load", tcp, t.name, t.name, "", "mode: full_refresh", "digest: full")).leaves(t),
		},
		judge: func(r *Row) []judge.Judgement {
			peer := binaryPipe
			if r.seconds(textPipe) < r.seconds(binaryPipe) {
				peer = textPipe
			}
			return []judge.Judgement{speed(r, peer, ours, floorWide)}
		},
	}
}

// merge changes rows all over the target and adds some.
func merge(sizes [3]int64, changed, added int64) *entry {
	const id = "merge"
	e := &entry{id: id, work: fmt.Sprintf("merge of %d rows into %d", changed+added, sizes[1]), against: "delete-insert with text keys"}
	peer := "delete-insert with text keys"
	name := func(size int64) string { return fmt.Sprintf("%s, %d rows", ours, size) }
	for i, size := range sizes {
		target, delta := orders5(fmt.Sprintf("merge_%d", i), size), fmt.Sprintf("delta_%d", i)
		every := size / changed
		keys := fmt.Sprintf("(SELECT k * %d AS i FROM generate_series(1::bigint, %d) AS k)", every, changed)
		s := engineSide(name(size), "merge_"+fmt.Sprint(i), process("merge_load_"+fmt.Sprint(i), tcp, delta, target.name, "", "mode: incremental_merge, unique_key: id", "digest: full"))
		s.table, s.rows, s.group = target.name, size+added, target.name
		s.reset = func(ctx context.Context, l *lab) error {
			return l.target(ctx, "DELETE FROM "+target.name+" WHERE id IN "+keys, fmt.Sprintf("DELETE FROM %s WHERE id > %d", target.name, size),
				"INSERT INTO "+target.name+" SELECT "+target.values()+" FROM "+keys+" AS numbers", "VACUUM "+target.name)
		}
		if size == sizes[1] {
			p := s
			p.name, p.engine, p.file, p.manifest = peer, false, "", ""
			p.command = shell(psql(sourceDB, tcp, `-c "COPY `+delta+` TO STDOUT (FORMAT binary)"`) + " | " +
				psql(targetDB, tcp, `-1 -c "CREATE TEMP TABLE stage (LIKE `+target.name+`) ON COMMIT DROP" -c "COPY stage FROM STDIN (FORMAT binary)" -c "ANALYZE stage"`+
					` -c "DELETE FROM `+target.name+` AS t WHERE EXISTS (SELECT 1 FROM stage AS s WHERE s.id::text = t.id::text)" -c "INSERT INTO `+target.name+` SELECT * FROM stage"`))
			e.sides = append(e.sides, p)
		}
		e.sides = append(e.sides, s)
	}
	e.prepare = func(ctx context.Context, l *lab) error {
		for i, size := range sizes {
			target, delta := orders5(fmt.Sprintf("merge_%d", i), size), orders5(fmt.Sprintf("delta_%d", i), 0)
			every := size / changed
			if err := l.source(ctx, delta.create("PRIMARY KEY (id)"),
				// The amount of every changed row is another one.
				fmt.Sprintf("INSERT INTO %s SELECT %s FROM (SELECT k * %d AS i FROM generate_series(1::bigint, %d) AS k) AS numbers", delta.name,
					strings.Replace(delta.values(), "100.0", "100.0 + 1", 1), every, changed),
				delta.fill(fmt.Sprint(size+1), fmt.Sprint(size+added)), "VACUUM (FREEZE, ANALYZE) "+delta.name); err != nil {
				return err
			}
			if err := l.target(ctx, target.create(""), target.fill("1", fmt.Sprint(size)), "ALTER TABLE "+target.name+" ADD PRIMARY KEY (id)", "VACUUM (FREEZE, ANALYZE) "+target.name); err != nil {
				return err
			}
		}
		return nil
	}
	e.cleanup = func(ctx context.Context, l *lab) {
		for i := range sizes {
			_ = l.target(ctx, fmt.Sprintf("DROP TABLE IF EXISTS merge_%d", i))
			_ = l.drop(ctx, fmt.Sprintf("delta_%d", i))
		}
	}
	e.judge = func(r *Row) []judge.Judgement {
		flat := r.seconds(name(sizes[2])) / r.seconds(name(sizes[0]))
		return []judge.Judgement{
			speed(r, peer, name(sizes[1]), floorMerge),
			judge.AtMost("bench.engine.flat", r.ID, flat, limitFlat, fmt.Sprintf("%%.2fx the time when the target has %d instead of %d rows", sizes[2], sizes[0])),
		}
	}
	return e
}

// diff makes a target equal to a source that differs in one row of four hundred.
func diff(rows int64) *entry {
	const id, peer = "snapshot_diff", "delete-all insert-all"
	source, target := orders5("diff_source", rows), orders5("diff_target", rows)
	left := rows - rows/2000
	reset := func(ctx context.Context, l *lab) error {
		return l.target(ctx, "DROP TABLE IF EXISTS diff_target", target.create(""), target.fill("1", fmt.Sprint(rows)), "ALTER TABLE diff_target ADD PRIMARY KEY (id)", "VACUUM (FREEZE, ANALYZE) diff_target")
	}
	by := side{name: peer, reset: reset, table: target.name, rows: left, group: target.name}
	// It stages as the engine does, in a temporary table that writes no log.
	by.command = shell(psql(sourceDB, tcp, `-c "COPY diff_source TO STDOUT (FORMAT binary)"`) + " | " +
		psql(targetDB, tcp, `-1 -c "CREATE TEMP TABLE stage (LIKE diff_target) ON COMMIT DROP" -c "COPY stage FROM STDIN (FORMAT binary)" `+
			`-c "DELETE FROM diff_target" -c "INSERT INTO diff_target SELECT * FROM stage"`))
	us := engineSide(ours, id, process("diff_load", tcp, source.name, target.name, "", "mode: snapshot_diff, unique_key: id", "digest: full"))
	us.reset, us.table, us.rows, us.group = reset, target.name, left, target.name
	return &entry{
		id: id, work: fmt.Sprintf("snapshot_diff, %d rows, 0.25 %% changed", rows), against: peer,
		prepare: func(ctx context.Context, l *lab) error {
			return errorsOf(l.once(ctx, source),
				l.source(ctx, "UPDATE diff_source SET amount = amount + 1 WHERE id % 500 = 1", "DELETE FROM diff_source WHERE id % 2000 = 0", "VACUUM (FULL, FREEZE, ANALYZE) diff_source"))
		},
		cleanup: func(ctx context.Context, l *lab) { dropTarget("diff_target")(ctx, l); _ = l.drop(ctx, "diff_source") },
		sides:   []side{by, us},
		judge: func(r *Row) []judge.Judgement {
			return []judge.Judgement{
				speed(r, peer, ours, floorDiff),
				judge.AtLeast("bench.engine.wal", r.ID, r.wal(peer)/r.wal(ours), floorDiffWAL, "%.1fx less log than "+peer),
			}
		},
	}
}

func errorsOf(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

// xmin reads what changed since the last round. The peer applies it in the same way, so that only the reading differs.
func xmin(t table) *entry {
	const id, peer = "xmin", "count, then text-cast scan"
	lowest := func(ctx context.Context, l *lab) error {
		return l.src.QueryRow(ctx, "SELECT pg_snapshot_xmin(pg_current_snapshot())::text").Scan(&l.lower)
	}
	theirs, own := t.as("xmin_peer"), t.as("xmin_engine")
	by := side{name: peer, table: theirs.name, rows: t.rows, group: t.name}
	by.command = shell(psql(sourceDB, tcp, "-f $SCRATCH/xmin.sql") + " | " +
		psql(targetDB, tcp, `-1 -c "CREATE TEMP TABLE stage (LIKE xmin_peer) ON COMMIT DROP" -c "COPY stage FROM STDIN (FORMAT binary)" -c "ANALYZE stage" -c "INSERT INTO xmin_peer SELECT * FROM stage `+
			`ON CONFLICT (id) DO UPDATE SET customer_id = excluded.customer_id, amount = excluded.amount, status = excluded.status, created_at = excluded.created_at"`))
	us := engineSide(ours, id, process("xmin_load", tcp, t.name, own.name, "", "mode: xmin, unique_key: id", "digest: full"))
	us.table, us.rows, us.group = own.name, t.rows, t.name
	round := 0
	return &entry{
		id: id, work: fmt.Sprintf("xmin, %d rows, %d changed", t.rows, t.rows/changedInXMin), against: peer,
		prepare: func(ctx context.Context, l *lab) error {
			if err := l.source(ctx, t.create("PRIMARY KEY (id)"), t.fill("1", fmt.Sprint(t.rows)), "VACUUM (FREEZE, ANALYZE) "+t.name); err != nil {
				return err
			}
			return l.target(ctx, theirs.create("PRIMARY KEY (id)"), theirs.fill("1", fmt.Sprint(t.rows)), "VACUUM (FREEZE, ANALYZE) "+theirs.name)
		},
		before: func(ctx context.Context, l *lab) error {
			if l.lower == "" { // the engine's first run loads the whole table
				if err := errorsOf(lowest(ctx, l), l.run(ctx, us)); err != nil {
					return err
				}
				if err := l.target(ctx, "VACUUM (FREEZE, ANALYZE) "+own.name); err != nil {
					return err
				}
			}
			lower := l.lower
			if err := l.source(ctx, fmt.Sprintf("UPDATE %s SET amount = amount + 1 WHERE id %% %d = %d", t.name, changedInXMin, round%changedInXMin)); err != nil {
				return err
			}
			round++
			window := "WHERE xmin::text::bigint >= " + lower + " AND xmin::text::bigint < txid_snapshot_xmax(txid_current_snapshot())"
			sql := "\\o /dev/null\nSELECT count(*) FROM " + t.name + " " + window + ";\n\\o\nCOPY (SELECT * FROM " + t.name + " " + window + ") TO STDOUT (FORMAT binary);\n"
			return errorsOf(os.WriteFile(filepath.Join(l.scratch, "xmin.sql"), []byte(sql), 0o600), lowest(ctx, l))
		},
		cleanup: func(ctx context.Context, l *lab) {
			_ = l.target(ctx, "DROP TABLE IF EXISTS xmin_peer", "DROP TABLE IF EXISTS xmin_engine")
			_ = l.drop(ctx, t.name)
		},
		sides: []side{by, us},
		judge: func(r *Row) []judge.Judgement { return []judge.Judgement{speed(r, peer, ours, floorXMin)} },
	}
}

// family gives the reason why a family cannot be used.
func family(name string) func() string {
	return func() string {
		if slices.ContainsFunc(connectors.All(), func(c connector.Connector) bool { return c.Name == name }) {
			return ""
		}
		return "the engine has no connector " + name
	}
}

func csv(t table) *entry {
	const id, peer = "csv", `psql \copy`
	types := make([]string, len(t.columns))
	for i, c := range t.columns {
		types[i] = fmt.Sprintf("{column: %s, type: %q}", c.name, c.logical)
	}
	us := engineSide(ours, id, fmt.Sprintf(`name: csv_load
source:
  type: file
  path: $SCRATCH/orders.csv
  options: {format: csv, types: [%s]}
sink:
  type: postgres
  connection: {dsn: "file:$SCRATCH/%s_%s"}
  table: {schema: public, name: %s}
  strategy: {mode: full_refresh}
  options: {digest: full}
`, strings.Join(types, ", "), targetDB, tcp, t.name)).leaves(t)
	by := side{name: peer, command: shell(psql(targetDB, tcp, `-1 -c "TRUNCATE `+t.name+`" -c "\copy `+t.name+` from '$SCRATCH/orders.csv' (format csv, header true)"`))}.leaves(t)
	return &entry{
		id: id, work: fmt.Sprintf("CSV to PostgreSQL, parsed and typed, %d rows x %d columns", t.rows, len(t.columns)), against: peer,
		missing: family("file"),
		prepare: func(ctx context.Context, l *lab) error {
			if err := both(t)(ctx, l); err != nil {
				return err
			}
			file, err := os.Create(filepath.Join(l.scratch, "orders.csv"))
			if err != nil {
				return err
			}
			_, err = l.src.PgConn().CopyTo(ctx, file, "COPY "+t.name+" TO STDOUT (FORMAT csv, HEADER true)")
			return errorsOf(err, file.Close())
		},
		cleanup: func(ctx context.Context, l *lab) {
			dropTarget(t.name)(ctx, l)
			_ = os.Remove(filepath.Join(l.scratch, "orders.csv"))
		},
		sides: []side{by, us},
		judge: func(r *Row) []judge.Judgement { return []judge.Judgement{speed(r, peer, ours, floorCSV)} },
	}
}

func parquet(t table) *entry {
	const id = "parquet"
	us := engineSide(ours, id, fmt.Sprintf(`name: parquet_load
source:
  type: postgres
  connection: {dsn: "file:$SCRATCH/%s_%s"}
  table: {schema: public, name: %s}
sink:
  type: file
  path: $SCRATCH/published
  strategy: {mode: full_refresh}
  options: {format: parquet, compression: snappy, digest: full}
`, sourceDB, tcp, t.name))
	return &entry{
		id: id, work: fmt.Sprintf("PostgreSQL to Parquet, snappy, %d rows x %d columns", t.rows, len(t.columns)), against: binaryPipe,
		missing: family("file"), prepare: both(t),
		cleanup: func(ctx context.Context, l *lab) {
			dropTarget(t.name)(ctx, l)
			_ = os.RemoveAll(filepath.Join(l.scratch, "published"))
		},
		sides: []side{side{name: binaryPipe, command: pipe(tcp, t.name, "binary")}.leaves(t), us},
		judge: func(r *Row) []judge.Judgement { return []judge.Judgement{speed(r, binaryPipe, ours, floorParquet)} },
	}
}

// cdc applies changes that were committed in transactions of a thousand: half of
// them inserts, the rest updates and deletes.
func cdc(changes int64) *entry {
	const id, peer = "cdc", "pg_recvlogical to a file"
	t := orders5("cdc_orders", changes)
	us := engineSide(ours, id, process("cdc_load", tcp, t.name, t.name, "cdc: {slot: bench_engine, publication: bench_publication}", "mode: cdc, unique_key: id", "digest: none"))
	by := side{name: peer, command: shell("$SCRATCH/pg_recvlogical -d service=" + sourceDB + "_" + tcp + " --slot=bench_peer --start -o proto_version=1 -o publication_names=bench_publication" +
		" --no-loop -f $SCRATCH/changes --endpos=$(cat $SCRATCH/cdc.end)")}
	first := true
	return &entry{
		id: id, work: fmt.Sprintf("cdc, %d changes", changes), against: peer,
		prepare: func(ctx context.Context, l *lab) error {
			return l.source(ctx, t.create("PRIMARY KEY (id)"), t.fill("1", "1000"),
				"CREATE PUBLICATION bench_publication FOR TABLE "+t.name, "SELECT pg_create_logical_replication_slot('bench_peer', 'pgoutput')")
		},
		before: func(ctx context.Context, l *lab) error {
			if first { // makes the slot and loads the table
				first = false
				if err := l.run(ctx, us); err != nil {
					return err
				}
			}
			batches := max(changes/1000, 1)
			err := l.source(ctx, fmt.Sprintf(`DO $$
DECLARE top bigint := (SELECT coalesce(max(id), 0) FROM %[1]s);
BEGIN
	FOR b IN 1..%[2]d LOOP
		INSERT INTO %[1]s SELECT %[3]s FROM generate_series(top + 1, top + 500) AS i;
		UPDATE %[1]s SET amount = amount + 1 WHERE id BETWEEN top + 1 AND top + 300;
		DELETE FROM %[1]s WHERE id BETWEEN top + 101 AND top + 300;
		top := top + 500;
		COMMIT;
	END LOOP;
END $$`, t.name, batches, t.values()))
			if err != nil {
				return err
			}
			var end string
			if err := l.src.QueryRow(ctx, "SELECT pg_current_wal_insert_lsn()::text").Scan(&end); err != nil {
				return err
			}
			// The stream ends with the first record behind the position.
			return errorsOf(os.WriteFile(filepath.Join(l.scratch, "cdc.end"), []byte(end), 0o600),
				l.source(ctx, "SELECT pg_logical_emit_message(true, 'bench', 'end')"))
		},
		cleanup: func(ctx context.Context, l *lab) {
			_ = os.Remove(filepath.Join(l.scratch, "changes"))
			_ = l.source(ctx, "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name LIKE 'bench%'", "DROP PUBLICATION IF EXISTS bench_publication")
			_ = l.drop(ctx, t.name)
			dropTarget(t.name)(ctx, l)
		},
		sides: []side{by, us},
		judge: func(r *Row) []judge.Judgement { return []judge.Judgement{speed(r, peer, ours, floorCDC)} },
	}
}

func growth(sizes [3]int64) *entry {
	const id = "growth"
	e := &entry{id: id, work: fmt.Sprintf("full refresh of %d, %d and %d rows x 5 columns, %s, digest on", sizes[0], sizes[1], sizes[2], tcp), against: "itself, row for row"}
	name := func(size int64) string { return fmt.Sprintf("%s, %d rows", ours, size) }
	var tables []table
	for i, size := range sizes {
		t := orders5(fmt.Sprintf("growth_%d", i), size)
		tables = append(tables, t)
		s := engineSide(name(size), t.name, process(t.name, tcp, t.name, t.name, "", "mode: full_refresh", "digest: full"))
		s.table, s.rows = t.name, size
		e.sides = append(e.sides, s)
	}
	e.prepare = func(ctx context.Context, l *lab) error {
		for _, t := range tables {
			if err := both(t)(ctx, l); err != nil {
				return err
			}
		}
		return nil
	}
	e.cleanup = func(ctx context.Context, l *lab) {
		for _, t := range tables {
			dropTarget(t.name)(ctx, l)
			_ = l.drop(ctx, t.name)
		}
	}
	e.judge = func(r *Row) []judge.Judgement {
		var all []judge.Judgement
		for _, size := range sizes[1:] {
			perRow := r.seconds(name(size)) / float64(size) / (r.seconds(name(sizes[0])) / float64(sizes[0]))
			all = append(all, judge.AtMost("bench.engine.growth", fmt.Sprintf("%s, %d rows", r.ID, size), perRow, limitGrowth, fmt.Sprintf("%%.2fx the time a row of %d rows", sizes[0])))
		}
		return all
	}
	return e
}

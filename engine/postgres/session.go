package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// queries runs statements for the SQL of the strategies.
type queries struct{ conn *pgx.Conn }

// Exec runs one statement.
func (q *queries) Exec(ctx context.Context, sql string, args ...any) (int64, error) {
	if len(args) == 0 {
		results, err := q.conn.PgConn().Exec(ctx, sql).ReadAll()
		if err != nil {
			return 0, err
		}
		if len(results) == 0 {
			return 0, nil
		}
		return results[len(results)-1].CommandTag.RowsAffected(), nil
	}
	tag, err := q.conn.Exec(ctx, sql, args...)
	return tag.RowsAffected(), err
}

// Query runs one statement and visits its rows.
func (q *queries) Query(ctx context.Context, sql string, args []any, row func(scan func(dest ...any) error) error) error {
	rows, err := q.conn.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return errors.Join(err, rows.Err())
		}
	}
	return rows.Err()
}

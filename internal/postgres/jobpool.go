package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5/pgxpool"
)

// JobPool opens a pool of connections that act as JobsRole, which sees the tables of the job queue and nothing else. It
// is for package jobs alone, which closes it; archtest holds that. Its connections are opened when they are needed and
// are not counted in Stats.
func (db *DB) JobPool(ctx context.Context, maxConns int32) (*pgxpool.Pool, error) {
	cfg := db.config.Copy()
	cfg.MaxConns, cfg.MinConns = maxConns, 0
	cfg.ConnConfig.RuntimeParams["role"] = JobsRole
	cfg.ConnConfig.RuntimeParams["application_name"] = "gatehouse jobs"
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the pool of the job queue: %w", err)
	}
	return pool, nil
}

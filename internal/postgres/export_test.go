package postgres

import "github.com/jackc/pgx/v5/pgxpool"

// Pool lets the tests of this package do what nobody else can: use a connection without a realm.
func (db *DB) Pool() *pgxpool.Pool { return db.pool }

// Package sql holds the database as text: migrations, the queries that sqlc turns into Go, and the two lists
// that tests hold against them (owners.txt, unaudited.txt).
package sql

import "embed"

// Migrations are goose migrations, applied in the order of their numbers.
//
//go:embed migrations/*.sql
var Migrations embed.FS

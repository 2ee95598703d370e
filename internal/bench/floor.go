package main

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// loop is a floor to be run inside the server's process.
type loop struct {
	Op      string
	Workers int
	budget
}

// floor holds what the floors' loops need.
type floor struct {
	es256 *ecdsa.PrivateKey
	rs256 *rsa.PrivateKey
	// conns are as many connections as the product's pool may open.
	conns chan *pgx.Conn
}

// rsaBits is the size of the product's RSA keys.
const rsaBits = 3072

func openFloor(ctx context.Context, database string, conns int) (f *floor, err error) {
	f = &floor{conns: make(chan *pgx.Conn, conns)}
	if f.es256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make an ES256 key: %w", err)
	}
	if f.rs256, err = rsa.GenerateKey(rand.Reader, rsaBits); err != nil {
		return nil, fmt.Errorf("make an RS256 key: %w", err)
	}
	for range conns {
		c, err := pgx.Connect(ctx, database)
		if err != nil {
			f.close(context.WithoutCancel(ctx))
			return nil, fmt.Errorf("connect to the database: %w", err)
		}
		f.conns <- c
	}
	c := <-f.conns
	_, err = c.Exec(ctx, `CREATE TABLE bench_floor (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, value bytea NOT NULL)`)
	if err == nil {
		_, err = c.Exec(ctx, insertRow, make([]byte, rowSize))
	}
	f.conns <- c
	if err != nil {
		f.close(context.WithoutCancel(ctx))
		return nil, fmt.Errorf("make the table of the floors: %w", err)
	}
	return f, nil
}

func (f *floor) close(ctx context.Context) {
	for {
		select {
		case c := <-f.conns:
			_ = c.Close(ctx)
		default:
			return
		}
	}
}

const (
	insertRow = `INSERT INTO bench_floor (value) VALUES ($1)`
	readRow   = `SELECT value FROM bench_floor WHERE id = $1`
	rowSize   = 64
)

// steps are the loops by the name of their operation.
func (f *floor) steps() map[string]step {
	digest := sha256.Sum256([]byte("what is signed"))
	return map[string]step{
		"floor_es256": func(context.Context, int) error {
			_, err := ecdsa.SignASN1(rand.Reader, f.es256, digest[:])
			return err
		},
		"floor_rs256": func(context.Context, int) error {
			_, err := rsa.SignPKCS1v15(rand.Reader, f.rs256, crypto.SHA256, digest[:])
			return err
		},
		"floor_read": func(ctx context.Context, _ int) error {
			return f.with(func(c *pgx.Conn) error {
				var value []byte
				return c.QueryRow(ctx, readRow, 1).Scan(&value)
			})
		},
		"floor_commit": func(ctx context.Context, _ int) error {
			value := make([]byte, rowSize)
			return f.with(func(c *pgx.Conn) error {
				tag, err := c.Exec(ctx, insertRow, value)
				if err == nil && tag.RowsAffected() != 1 {
					return errors.New("no row was inserted")
				}
				return err
			})
		},
	}
}

func (f *floor) with(do func(c *pgx.Conn) error) error {
	c := <-f.conns
	defer func() { f.conns <- c }()
	return do(c)
}

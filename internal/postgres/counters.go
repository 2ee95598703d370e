package postgres

import (
	"net"
	"sync/atomic"
)

type counters struct{ statements, transactions, roundTrips atomic.Int64 }

// Stats counts what was sent to the database since Open: statements that touch tables (preambles and
// transaction control left out), transactions, and round trips on all connections.
type Stats struct{ Statements, Transactions, RoundTrips int64 }

// Stats reads the counters.
func (db *DB) Stats() Stats {
	c := &db.counters
	return Stats{Statements: c.statements.Load(), Transactions: c.transactions.Load(), RoundTrips: c.roundTrips.Load()}
}

// Sub is the difference between two readings.
func (s Stats) Sub(o Stats) Stats {
	return Stats{s.Statements - o.Statements, s.Transactions - o.Transactions, s.RoundTrips - o.RoundTrips}
}

// countingConn counts a round trip at each read that follows a write.
type countingConn struct {
	net.Conn
	trips *atomic.Int64
	wrote atomic.Bool
}

func (c *countingConn) Write(p []byte) (int, error) {
	c.wrote.Store(true)
	return c.Conn.Write(p)
}

func (c *countingConn) Read(p []byte) (int, error) {
	if c.wrote.Swap(false) {
		c.trips.Add(1)
	}
	return c.Conn.Read(p)
}

package challenge_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
)

// dump is every row that a challenge may leave something in, as text.
func (b *bundle) dump(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, table := range []string{"challenges", "deliveries", "flows", "events", "event_personal", "identifiers", "users"} {
		for _, row := range list[string](t, b, "SELECT r::text FROM "+table+" r") {
			all.WriteString(table + " " + row + "\n")
		}
	}
	conn, err := pgx.Connect(t.Context(), b.URL())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	_, err = conn.Exec(t.Context(), `SET ROLE gatehouse_jobs`)
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `SELECT r::text FROM river_job r`)
	require.NoError(t, err)
	queue, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.NotEmpty(t, queue)
	return all.String() + strings.Join(queue, "\n")
}

// requireNowhere looks for a secret, and what it looks like in binary columns.
func requireNowhere(t *testing.T, written, secret string) {
	t.Helper()
	for _, form := range []string{
		secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)), base64.RawURLEncoding.EncodeToString([]byte(secret)),
	} {
		require.NotRegexp(t, `\b`+regexp.QuoteMeta(form)+`\b`, written)
	}
	require.NotContains(t, written, hex.EncodeToString([]byte(secret)), "within a longer binary value")
}

func TestRS01_OnlyAHashIsStored(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var sent []mailed
	for _, p := range purposes {
		sent = append(sent, b.send(t, challenge.New{Purpose: p, Tx: "flow of " + string(p), Shown: "ana"}))
	}
	nowhere := func() {
		t.Helper()
		written := b.dump(t)
		for _, m := range sent {
			require.Contains(t, written, "challenges (")
			require.Contains(t, written, m.ID.String(), "this test sees what is written")
			requireNowhere(t, written, m.Token)
			raw, err := base64.RawURLEncoding.DecodeString(m.Token)
			require.NoError(t, err)
			require.NotContains(t, written, hex.EncodeToString(raw))
			requireNowhere(t, written, m.Code)
		}
	}
	nowhere()
	for _, m := range sent {
		mails := b.deliver(t, m.Delivery)
		require.Len(t, mails, 1)
		require.Contains(t, mails[0].Text, m.Token)
	}
	nowhere()
	require.Equal(t, []bool{true}, list[bool](t, b, `SELECT bool_and(status = 'sent' AND secrets IS NULL) FROM deliveries`))
	b.try(t, b.acme, challenge.Reset, "flow of reset", wrong(sent[1].Code))
	b.try(t, b.acme, challenge.Reset, "flow of reset", sent[1].Code)
	for k, p := range purposes {
		_, _ = b.redeem(t, b.acme, p, sent[k].Token)
	}
	nowhere()
}

// counting is a source of randomness that gives 1, 2, 3 …
type counting struct{ next byte }

func (c *counting) Read(p []byte) (int, error) {
	for k := range p {
		c.next++
		p[k] = c.next
	}
	return len(p), nil
}

func TestRS01_ATokenIs256BitsOfTheSource(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.mailer.Random = &counting{}
	raw, err := base64.RawURLEncoding.DecodeString(b.send(t, challenge.New{Purpose: challenge.Reset}).Token)
	require.NoError(t, err)
	var want bytes.Buffer
	for n := byte(1); n <= 32; n++ {
		want.WriteByte(n)
	}
	require.Equal(t, want.Bytes(), raw, "nothing of it is made otherwise")
}

func TestMF05_ACodeIsAnyOfAMillion(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen, first := map[string]bool{}, map[byte]bool{}
	for n := range 120 {
		m := b.sendAs(t, challenge.New{Purpose: challenge.Reset, Tx: fmt.Sprint(n), Address: "somebody@example.test"})
		require.Regexp(t, `^\d{6}$`, m.Code)
		seen[m.Code], first[m.Code[0]] = true, true
	}
	require.Greater(t, len(seen), 110)
	require.Len(t, first, 10, "zero at the front is as good as any")
}

func TestRS01_AChallengeIsOfOnePersonAndAddress(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, p := range purposes {
		c, err := b.redeem(t, b.acme, p, b.send(t, challenge.New{Purpose: p, Tx: "t-" + string(p)}).Token)
		require.NoError(t, err)
		require.Equal(t, []any{p, b.ana, address, "t-" + string(p)}, []any{c.Purpose, c.User, c.Address, c.Tx})
	}
	nobody := b.sendAs(t, challenge.New{Purpose: challenge.Verify, Address: "new@example.test"})
	c, err := b.redeem(t, b.acme, challenge.Verify, nobody.Token)
	require.NoError(t, err)
	require.Equal(t, uuid.Nil, c.User)
	require.Equal(t, "new@example.test", c.Address)
}

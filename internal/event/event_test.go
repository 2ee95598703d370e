package event_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// painted is an event of these tests alone.
type painted struct {
	event.Subject `json:"-"`
	Colour        string `json:"colour"`
}

func (painted) Type() string { return "wall.painted" }

func record(ctx context.Context, r realm.Realm, e event.Event, now time.Time) error {
	return r.InTx(ctx, func(tx realm.Tx) error { return event.Record(ctx, tx, e, now) })
}

// row is an event as it lies in the table.
type row struct {
	Type, ActorKind, Actor, Object, RequestID, TraceID string
	ID                                                 uuid.UUID
	At                                                 time.Time
	User, Session                                      *uuid.UUID
	Client                                             *string
	Data                                               json.RawMessage
	Digest                                             []byte
}

func rows(t *testing.T, r realm.Realm, kind string) []row {
	t.Helper()
	found, err := r.Query(t.Context(), `SELECT type, actor_kind, actor, object, request_id, trace_id, id, at, user_id AS user, session_id AS session,
		client_id AS client, data, personal_digest AS digest FROM events WHERE type = $1 ORDER BY seq`, kind)
	require.NoError(t, err)
	list, err := pgx.CollectRows(found, pgx.RowToStructByName[row])
	require.NoError(t, err)
	return list
}

func TestAU01_AnEventSaysWhoWhenWhereAndWhat(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r := b.Realm(t, "acme")
	user, session := uuid.New(), uuid.New()
	ctx := event.With(t.Context(), event.Origin{Kind: event.Anonymous, RequestID: "req-1", TraceID: "trace-1", Address: "192.0.2.7", UserAgent: "Browser/1"})
	ctx = event.By(ctx, event.User, user.String())
	e := painted{event.Subject{User: user, Client: "shop", Session: session, Object: "wall-9", Identifier: "Ann@Example.org"}, "red"}
	require.NoError(t, record(ctx, r, e, b.Clock.Now()))

	list := rows(t, r, "wall.painted")
	require.Len(t, list, 1)
	got := list[0]
	require.Equal(t, "user", got.ActorKind)
	require.Equal(t, user.String(), got.Actor)
	require.Equal(t, "wall-9", got.Object)
	require.Equal(t, "req-1", got.RequestID)
	require.Equal(t, "trace-1", got.TraceID)
	require.Equal(t, user, *got.User)
	require.Equal(t, session, *got.Session)
	require.Equal(t, "shop", *got.Client)
	require.True(t, got.At.Equal(b.Clock.Now()))
	require.JSONEq(t, `{"colour":"red"}`, string(got.Data))
	require.EqualValues(t, 7, got.ID.Version())

	t.Run("and without an origin the program itself did it", func(t *testing.T) {
		require.NoError(t, record(t.Context(), b.Realm(t, "other"), painted{Colour: "blue"}, b.Clock.Now()))
		other, err := b.Directory.BySlug(t.Context(), "other")
		require.NoError(t, err)
		list := rows(t, other, "wall.painted")
		require.Len(t, list, 1)
		require.Equal(t, "system", list[0].ActorKind)
		require.Nil(t, list[0].User)
		require.Nil(t, list[0].Digest)
		var n int
		require.NoError(t, other.QueryRow(t.Context(), `SELECT count(*) FROM event_personal`).Scan(&n))
		require.Zero(t, n, "nothing personal, nothing sealed")
	})
}

func TestPersonalFields(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r, other := b.Realm(t, "acme"), b.Realm(t, "other")
	agent := "Browser/1 " + strings.Repeat("x", 2000)
	ctx := event.With(t.Context(), event.Origin{Kind: event.Anonymous, Address: "192.0.2.7", UserAgent: agent})
	e := painted{event.Subject{Identifier: "ann@example.org"}, "red"}
	require.NoError(t, record(ctx, r, e, b.Clock.Now()))
	require.NoError(t, record(ctx, r, e, b.Clock.Now()))
	require.NoError(t, record(ctx, other, e, b.Clock.Now()))

	type personal struct {
		EventID                                   uuid.UUID
		Sealed, AddressMac, IdentifierMac, Digest []byte
	}
	read := func(t *testing.T, r realm.Realm) []personal {
		found, err := r.Query(t.Context(), `SELECT p.event_id, p.sealed, p.address_mac, p.identifier_mac, e.personal_digest AS digest
			FROM event_personal p JOIN events e ON e.id = p.event_id ORDER BY e.seq`)
		require.NoError(t, err)
		list, err := pgx.CollectRows(found, pgx.RowToStructByName[personal])
		require.NoError(t, err)
		return list
	}
	mine, theirs := read(t, r), read(t, other)
	require.Len(t, mine, 2)
	require.Len(t, theirs, 1)

	t.Run("are sealed and open again", func(t *testing.T) {
		require.NotContains(t, string(mine[0].Sealed), "192.0.2.7")
		v, err := event.OpenPersonal(r, mine[0].EventID, mine[0].Sealed, mine[0].Digest)
		require.NoError(t, err)
		require.Equal(t, "192.0.2.7", v.Address)
		require.Equal(t, "ann@example.org", v.Identifier)
		require.True(t, strings.HasPrefix(v.UserAgent, "Browser/1 "))
		require.Len(t, v.UserAgent, 512)
	})
	t.Run("open neither elsewhere nor changed", func(t *testing.T) {
		for name, open := range map[string]func() (event.Personal, error){
			"in another realm": func() (event.Personal, error) {
				return event.OpenPersonal(other, mine[0].EventID, mine[0].Sealed, mine[0].Digest)
			},
			"for another event": func() (event.Personal, error) {
				return event.OpenPersonal(r, mine[1].EventID, mine[0].Sealed, mine[0].Digest)
			},
			"with another digest": func() (event.Personal, error) {
				return event.OpenPersonal(r, mine[0].EventID, mine[0].Sealed, mine[1].Digest)
			},
			"without a digest": func() (event.Personal, error) { return event.OpenPersonal(r, mine[0].EventID, mine[0].Sealed, nil) },
			"with a bit turned on": func() (event.Personal, error) {
				return event.OpenPersonal(r, mine[0].EventID, flip(mine[0].Sealed), mine[0].Digest)
			},
		} {
			_, err := open()
			require.Error(t, err, name)
		}
	})
	t.Run("are found by their MAC, in their realm only", func(t *testing.T) {
		require.Equal(t, mine[0].AddressMac, mine[1].AddressMac)
		require.Equal(t, mine[0].IdentifierMac, mine[1].IdentifierMac)
		require.NotEqual(t, mine[0].AddressMac, mine[0].IdentifierMac)
		require.NotEqual(t, mine[0].AddressMac, theirs[0].AddressMac)
	})
	t.Run("have a salt: equal fields have different digests", func(t *testing.T) {
		require.NotEqual(t, mine[0].Digest, mine[1].Digest)
	})
	t.Run("can be erased while the event stays", func(t *testing.T) {
		require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
			_, err := tx.Exec(t.Context(), `DELETE FROM event_personal`)
			return err
		}))
		require.Empty(t, read(t, r))
		require.Len(t, rows(t, r, "wall.painted"), 2)
		require.Len(t, read(t, other), 1)
	})
}

func flip(sealed []byte) []byte {
	changed := append([]byte(nil), sealed...)
	changed[len(changed)-1] ^= 1
	return changed
}

func TestPrepareAnswersForOneStatement(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r := b.Realm(t, "acme")
	e, err := event.Prepare(t.Context(), r, painted{Colour: "red"}, b.Clock.Now())
	require.NoError(t, err)
	var done bool
	require.NoError(t, r.Write().QueryRow(t.Context(), `SELECT record_event($1)`, e).Scan(&done))
	require.True(t, done)
	require.Len(t, rows(t, r, "wall.painted"), 1)

	t.Run("once: the same event is no second row", func(t *testing.T) {
		_, err := r.Write().Exec(t.Context(), `SELECT record_event($1)`, e)
		require.ErrorContains(t, err, "events_pkey")
	})
	t.Run("and not by a read", func(t *testing.T) {
		_, err := r.Exec(t.Context(), `SELECT record_event($1)`, e)
		require.ErrorContains(t, err, "25006")
	})
	t.Run("and not where the realm has no key for what is personal", func(t *testing.T) {
		keyless := *r.Facts
		keyless.DataKey = realm.Facts{}.DataKey
		ctx := event.With(t.Context(), event.Origin{Kind: event.Anonymous, Address: "192.0.2.7"})
		_, err := event.Prepare(ctx, realm.Realm{Rows: r.Rows, Facts: &keyless}, painted{}, b.Clock.Now())
		require.Error(t, err)
	})
}

func TestAU02_TheLogIsAppendOnly(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r := b.Realm(t, "acme")
	for _, statement := range []string{
		`UPDATE events SET type = 'x'`, `DELETE FROM events`, `TRUNCATE events`, `UPDATE event_personal SET at = at`,
		`INSERT INTO events (seq, id, type, at, actor_kind) OVERRIDING USER VALUE SELECT 1, id, type, at, actor_kind FROM events FOR UPDATE`,
	} {
		_, err := r.Write().Exec(t.Context(), statement)
		require.ErrorContains(t, err, "42501", statement)
	}
	require.Len(t, rows(t, r, "realm.created"), 1)
}

// The deferred trigger: a change that recorded nothing does not commit.
func TestAU02_NotRecordedNotCommitted(t *testing.T) {
	t.Parallel()
	b := testdb.New(t)
	r := b.Realm(t, "acme")
	owner, err := pgx.Connect(t.Context(), b.URL())
	require.NoError(t, err)
	defer func() { _ = owner.Close(t.Context()) }()
	const id = `'00000000-0000-4000-8000-000000000001'`
	user := insert(t, owner, "users", map[string]string{"id": id})
	client := insert(t, owner, "clients", map[string]string{"id": id, "application_type": `'web'`, "token_endpoint_auth_method": `'none'`})
	// What has to be there first, in one recorded transaction.
	require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) error {
		for _, statement := range []string{
			user, client, insert(t, owner, "sessions", map[string]string{"user_id": id}), insert(t, owner, "grants", map[string]string{"user_id": id}),
		} {
			if _, err := tx.Exec(t.Context(), statement); err != nil {
				return err
			}
		}
		return event.Record(t.Context(), tx, painted{}, b.Clock.Now())
	}))
	// A change of each audited table. For those that are not here any new row will do.
	changes := map[string][]string{
		"realms":      {`UPDATE realms SET name = 'x'`},
		"realm_hosts": {`INSERT INTO realm_hosts (host, position) VALUES ('x.example', 1)`},
		"users":       {`UPDATE users SET status = 'locked'`, `DELETE FROM users`},
		"identifiers": {insert(t, owner, "identifiers", map[string]string{"user_id": id, "kind": `'email'`})},
		"clients":     {`UPDATE clients SET name = 'x'`, `DELETE FROM clients`},
		"keys":        {insert(t, owner, "keys", map[string]string{"alg": `'ES256'`, "state": `'next'`})},
		"sessions":    {`UPDATE sessions SET ended_at = seen_at`, `UPDATE sessions SET token_hash = 'y'`, `DELETE FROM sessions`},
		"challenges":  {insert(t, owner, "challenges", map[string]string{"id": id, "purpose": `'verify'`})},
		"grants":      {`UPDATE grants SET code_used_at = created_at`, `UPDATE grants SET revoked_at = created_at`, `DELETE FROM grants`},
	}
	found, err := owner.Query(t.Context(), `SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'recorded' ORDER BY 1`)
	require.NoError(t, err)
	audited, err := pgx.CollectRows(found, pgx.RowTo[string])
	require.NoError(t, err)
	for _, table := range audited {
		t.Run(table, func(t *testing.T) {
			list := changes[table]
			if list == nil {
				list = []string{insert(t, owner, table, map[string]string{"user_id": id, "client": id})}
			}
			for _, statement := range list {
				err := r.InTx(t.Context(), func(tx realm.Tx) error {
					tag, err := tx.Exec(t.Context(), statement)
					require.NoError(t, err, statement)
					require.EqualValues(t, 1, tag.RowsAffected(), statement)
					return nil
				})
				require.ErrorContains(t, err, "GH001", statement)
			}
		})
	}
	t.Run("an event of an earlier transaction does not count", func(t *testing.T) {
		for range 10 { // on whatever connection
			require.NoError(t, record(t.Context(), r, painted{}, b.Clock.Now()))
			_, err := r.Write().Exec(t.Context(), `UPDATE users SET status = 'locked'`)
			require.ErrorContains(t, err, "GH001")
		}
	})
	t.Run("what means nothing to an auditor needs none", func(t *testing.T) {
		_, err := r.Write().Exec(t.Context(), `UPDATE sessions SET seen_at = '2026-01-02'`)
		require.NoError(t, err)
	})
}

// insert makes a statement that adds a row to the table: the columns that need a value get some value of their type,
// or the one that is given.
func insert(t *testing.T, owner *pgx.Conn, table string, given map[string]string) string {
	t.Helper()
	found, err := owner.Query(t.Context(), `SELECT attname::text, format_type(atttypid, NULL) FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attnotnull AND NOT atthasdef AND attidentity = '' ORDER BY attnum`, table)
	require.NoError(t, err)
	some := map[string]string{
		"uuid": `gen_random_uuid()`, "text": `'x'`, "text[]": `'{}'`, "bytea": `'x'`, "jsonb": `'{}'`, "boolean": `false`, "integer": `1`, "bigint": `1`,
		"timestamp with time zone": `'2026-01-01'`,
	}
	var columns, values []string
	var name, kind string
	_, err = pgx.ForEachRow(found, []any{&name, &kind}, func() error {
		value := given[name]
		if value == "" {
			value = some[kind]
		}
		require.NotEmpty(t, value, "%s.%s of type %s", table, name, kind)
		columns, values = append(columns, name), append(values, value)
		return nil
	})
	require.NoError(t, err)
	return `INSERT INTO ` + table + ` (` + strings.Join(columns, ", ") + `) VALUES (` + strings.Join(values, ", ") + `)`
}

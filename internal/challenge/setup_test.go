package challenge_test

import (
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"path"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/internal/user"
	"github.com/gatehouse-id/gatehouse/templates"
)

// address is where ana reads her mail.
const address = "ana@example.test"

var purposes = []challenge.Purpose{challenge.Verify, challenge.Reset, challenge.Invite, challenge.SignIn}

// bundle is a realm in which ana has an account.
type bundle struct {
	*testdb.Bundle
	acme   realm.Realm
	ana    uuid.UUID
	mailer challenge.Mailer
}

func setup(t *testing.T) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t), mailer: challenge.Mailer{Random: rand.Reader}}
	b.Clock.Set(b.Clock.Now().Truncate(time.Second)) // six digits in the database are no fraction of a second
	b.acme = b.Realm(t, "acme")
	name, err := user.Email(address)
	require.NoError(t, err)
	users := user.NewStore(b.Clock.Now, rand.Reader)
	require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
		u, err := users.Create(t.Context(), tx, user.New{Status: user.Active, Names: []user.Identifier{name}})
		b.ana = u.ID
		return err
	}))
	return b
}

// mailed is a challenge as its owner gets it.
type mailed struct {
	ID, Delivery uuid.UUID
	Token, Code  string
}

// send mails a challenge to ana, unless n says otherwise.
func (b *bundle) send(t testing.TB, n challenge.New) mailed {
	t.Helper()
	if n.User == uuid.Nil {
		n.User = b.ana
	}
	return b.sendAs(t, n)
}

// sendAs mails a challenge as it is, to nobody who has an account when n says so.
func (b *bundle) sendAs(t testing.TB, n challenge.New) (m mailed) {
	t.Helper()
	if n.Address == "" {
		n.Address = address
	}
	require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) (err error) {
		if m.ID, err = b.mailer.Send(t.Context(), tx, n, challenge.Letter{}, b.Clock.Now()); err != nil {
			return err
		}
		var sealed []byte
		// The time of a test stands still, and ids of the same millisecond are in the order of their making.
		if err := tx.QueryRow(t.Context(), `SELECT id, secrets FROM deliveries ORDER BY id DESC LIMIT 1`).Scan(&m.Delivery, &sealed); err != nil {
			return err
		}
		plain, err := b.acme.DataKey.Open(sealed, b.acme.AAD("deliveries", "secrets", m.Delivery.String()))
		if err != nil {
			return err
		}
		var secrets struct{ Code, Link string }
		if err := json.Unmarshal(plain, &secrets); err != nil {
			return err
		}
		m.Token, m.Code = path.Base(secrets.Link), secrets.Code
		return nil
	}))
	return m
}

// redeem follows a link.
func (b *bundle) redeem(t testing.TB, r realm.Realm, p challenge.Purpose, token string) (c challenge.Challenge, err error) {
	t.Helper()
	err = r.InTx(t.Context(), func(tx realm.Tx) error {
		c, err = challenge.Redeem(t.Context(), tx, p, token, b.Clock.Now())
		return err
	})
	return c, err
}

// try types a code.
func (b *bundle) try(t testing.TB, r realm.Realm, p challenge.Purpose, flow, code string) (c challenge.Challenge, verdict challenge.Verdict) {
	t.Helper()
	require.NoError(t, r.InTx(t.Context(), func(tx realm.Tx) (err error) {
		c, verdict, err = challenge.Try(t.Context(), tx, p, flow, code, b.Clock.Now())
		return err
	}))
	return c, verdict
}

// wrong is a code that is not the one.
func wrong(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

// deliver sends what waits, as the background work does, and returns the mails.
func (b *bundle) deliver(t *testing.T, ids ...uuid.UUID) []capture.Kept {
	t.Helper()
	catalogue, err := i18n.New(templates.FS)
	require.NoError(t, err)
	outbox := capture.New(10)
	d := &notify.Deliverer{Sender: outbox, From: mail.Address{Mailbox: "login@example.com"}, Now: b.Clock.Now, Log: slog.New(slog.DiscardHandler)}
	d.Renderer, err = notify.NewRenderer(catalogue, templates.FS)
	require.NoError(t, err)
	d.Metrics, err = notify.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	for _, id := range ids {
		require.NoError(t, d.Deliver(t.Context(), b.acme, jobs.Work{Realm: b.acme.ID, Row: id, Attempt: 1, MaxAttempts: 10}))
	}
	return outbox.Mails()
}

// list reads a column of the realm's rows.
func list[T any](t testing.TB, b *bundle, query string, args ...any) []T {
	t.Helper()
	rows, err := b.acme.Query(t.Context(), query, args...)
	require.NoError(t, err)
	values, err := pgx.CollectRows(rows, pgx.RowTo[T])
	require.NoError(t, err)
	return values
}

// count counts the realm's events of a type.
func (b *bundle) count(t testing.TB, e event.Event) int {
	t.Helper()
	return list[int](t, b, `SELECT count(*)::int FROM events WHERE type = $1`, e.Type())[0]
}

// callers is how many act at once.
const callers = 50

// together has them act, all at the same time, and returns what came of it.
func together[T any](do func(n int) T) []T { return testdb.Together(callers, do) }

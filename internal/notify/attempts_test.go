package notify_test

import (
	"crypto/rand"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/password"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// watched is a realm in which ana signs in, and may fail to.
type watched struct {
	*bundle
	outbox *capture.Outbox
	reader event.Reader
	ana    uuid.UUID
}

func watch(t *testing.T, names ...user.Identifier) *watched {
	t.Helper()
	w := &watched{outbox: capture.New(10)}
	w.bundle = setup(t, w.outbox)
	w.reader = event.Reader{
		DB: w.DB, Realms: w.Directory, Consumer: notify.Attempts{Now: w.Clock.Now}, Now: w.Clock.Now, Log: slog.New(slog.DiscardHandler),
	}
	users := user.NewStore(w.Clock.Now, rand.Reader)
	require.NoError(t, w.acme.InTx(t.Context(), func(tx realm.Tx) error {
		u, err := users.Create(t.Context(), tx, user.New{Status: user.Active, Names: names})
		w.ana = u.ID
		return err
	}))
	return w
}

func named(t *testing.T) (email, username user.Identifier) {
	t.Helper()
	email, err := user.Email(address)
	require.NoError(t, err)
	username, err = user.Username("ana")
	require.NoError(t, err)
	return email, username
}

func (w *watched) record(t *testing.T, n int, e event.Event) {
	t.Helper()
	for range n {
		require.NoError(t, w.acme.InTx(t.Context(), func(tx realm.Tx) error { return event.Record(t.Context(), tx, e, w.Clock.Now()) }))
	}
}

func (w *watched) fail(t *testing.T, n int) {
	t.Helper()
	w.record(t, n, password.Refused{Subject: event.Subject{User: w.ana}, Reason: "wrong"})
}

func (w *watched) signIn(t *testing.T) {
	t.Helper()
	w.record(t, 1, session.Started{Subject: event.Subject{User: w.ana}})
}

// told reads the log to its end and returns how many mails there are.
func (w *watched) told(t *testing.T) int {
	t.Helper()
	require.Eventually(t, func() bool { // transactions of other databases on the server keep events waiting
		for {
			n, err := w.reader.Step(t.Context())
			require.NoError(t, err)
			if n == 0 {
				break
			}
		}
		n, err := w.reader.Backlog(t.Context())
		require.NoError(t, err)
		return n == 0
	}, 30*time.Second, 10*time.Millisecond)
	rows, err := w.acme.Query(t.Context(), `SELECT id FROM deliveries WHERE status = 'pending'`)
	require.NoError(t, err)
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err())
	for _, id := range ids {
		w.deliver(t, id)
	}
	return len(w.outbox.Mails())
}

func TestLG11_ManyFailuresBeforeASignInAreReported(t *testing.T) {
	t.Parallel()
	email, username := named(t)
	t.Run("once a day", func(t *testing.T) {
		t.Parallel()
		w := watch(t, email)
		w.fail(t, 6)
		require.Zero(t, w.told(t), "nobody signed in")
		w.signIn(t)
		require.Equal(t, 1, w.told(t))
		mail := w.outbox.Mails()[0]
		require.Equal(t, address, mail.To.Mailbox)
		require.Equal(t, "A sign-in after failed attempts", mail.Subject)
		require.Contains(t, mail.Text, "after 6 attempts had failed")
		require.Contains(t, mail.Text, w.acme.Issuer+"/recover")

		w.Clock.Advance(time.Hour)
		w.fail(t, 10)
		w.signIn(t)
		require.Equal(t, 1, w.told(t))
		w.Clock.Advance(24 * time.Hour)
		w.fail(t, 5)
		w.signIn(t)
		w.signIn(t)
		require.Equal(t, 2, w.told(t), "another day")
		var reported int
		require.NoError(t, w.acme.QueryRow(t.Context(), `SELECT count(*) FROM events WHERE type = 'attempts.reported' AND user_id = $1`, w.ana).Scan(&reported))
		require.Equal(t, 2, reported)
	})
	t.Run("not few, not those before the last sign-in, not those of long ago, not somebody else's", func(t *testing.T) {
		t.Parallel()
		w := watch(t, email)
		w.fail(t, 4)
		w.signIn(t)
		w.fail(t, 4)
		w.record(t, 1, session.Renewed{Subject: event.Subject{User: w.ana}})
		w.fail(t, 4)
		w.signIn(t)
		w.fail(t, 9)
		w.Clock.Advance(24 * time.Hour)
		w.signIn(t)
		w.record(t, 9, password.Refused{Subject: event.Subject{User: uuid.New()}, Reason: "wrong"})
		w.signIn(t)
		require.Zero(t, w.told(t))
	})
	t.Run("not by a log that is read for the first time", func(t *testing.T) {
		t.Parallel()
		w := watch(t, email)
		w.fail(t, 9)
		w.signIn(t)
		w.Clock.Advance(24 * time.Hour)
		require.Zero(t, w.told(t))
	})
	t.Run("not to somebody without an address", func(t *testing.T) {
		t.Parallel()
		w := watch(t, username)
		w.fail(t, 9)
		w.signIn(t)
		require.Zero(t, w.told(t))
	})
	t.Run("once by a batch that comes twice", func(t *testing.T) {
		t.Parallel()
		w := watch(t, email)
		w.fail(t, 9)
		w.signIn(t)
		var e event.Stored
		require.NoError(t, w.acme.QueryRow(t.Context(), `SELECT id, type, at, user_id FROM events WHERE type = 'session.started'`).Scan(&e.ID, &e.Type, &e.At, &e.User))
		for range 2 {
			require.NoError(t, notify.Attempts{Now: w.Clock.Now}.Handle(t.Context(), w.acme, []event.Stored{e, e}))
		}
		require.Equal(t, 1, w.told(t))
	})
}

package lifecycle_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
	"github.com/gatehouse-id/gatehouse/templates"
)

// notice is a mail as it left.
type notice struct {
	Template notify.Template
	To       string
}

// notices delivers what waits, as the background work would, and returns it.
func (b *bundle) notices(t *testing.T) (list []notice) {
	t.Helper()
	catalogue, err := i18n.New(templates.FS)
	require.NoError(t, err)
	renderer, err := notify.NewRenderer(catalogue, templates.FS)
	require.NoError(t, err)
	metrics, err := notify.NewMetrics(prometheus.NewRegistry())
	require.NoError(t, err)
	outbox := capture.New(10)
	d := notify.Deliverer{
		Renderer: renderer, Sender: outbox, From: mail.Address{Mailbox: "login@example.com"},
		Now: b.Clock.Now, Log: slog.New(slog.DiscardHandler), Metrics: metrics,
	}
	type delivery struct {
		ID       uuid.UUID
		Template notify.Template
	}
	rows, err := b.realm.Query(t.Context(), `SELECT id, template FROM deliveries WHERE status = 'pending' ORDER BY created_at, id`)
	require.NoError(t, err)
	waiting, err := pgx.CollectRows(rows, pgx.RowToStructByPos[delivery])
	require.NoError(t, err)
	for i, w := range waiting {
		require.NoError(t, d.Deliver(t.Context(), b.realm, jobs.Work{Realm: b.realm.ID, Row: w.ID}))
		mails := outbox.Mails()
		require.Len(t, mails, i+1, "each leaves")
		list = append(list, notice{w.Template, mails[0].To.Mailbox})
	}
	return list
}

func TestPeopleAreToldWhatHappensToTheirAccount(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		do   act
		want notify.Template
	}{
		"that it is disabled":          {withReason(lifecycle.Disable), notify.AccountDisabled},
		"that it is locked":            {withReason(lifecycle.Lock), notify.AccountLocked},
		"that it is deleted":           {withReason(lifecycle.Delete), notify.AccountDeleted},
		"that the password is another": {resetPassword, notify.PasswordChanged},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.do(t, c.do, b.ann.ID)
			require.Equal(t, []notice{{c.want, "Ann@example.org"}}, b.notices(t), "at their address, and nobody else")
			require.Empty(t, b.notices(t), "once")
		})
		t.Run(name+", but not who has no address", func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			username, err := user.Username("carla")
			require.NoError(t, err)
			var carla user.User
			b.inTx(t, func(ctx context.Context, tx realm.Tx) error {
				carla, err = b.users.Create(ctx, tx, user.New{Status: user.Active, Names: []user.Identifier{username}})
				return err
			})
			require.True(t, b.do(t, c.do, carla.ID).Changed)
			require.Empty(t, b.notices(t))
		})
		t.Run(name+", but not of what was rolled back", func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			undone := errors.New("undone")
			require.ErrorIs(t, b.realm.InTx(t.Context(), func(tx realm.Tx) error {
				_, err := c.do(t.Context(), tx, b.ann.ID, b.Clock.Now())
				require.NoError(t, err)
				return undone
			}), undone)
			require.Empty(t, b.notices(t))
		})
	}
	t.Run("once, however often it is done", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		for _, do := range []act{withReason(lifecycle.Disable), withReason(lifecycle.Disable), withReason(lifecycle.Lock)} {
			b.do(t, do, b.ann.ID)
		}
		require.Equal(t, []notice{{notify.AccountDisabled, "Ann@example.org"}}, b.notices(t))
	})
	t.Run("not of a first password", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.do(t, func(ctx context.Context, tx realm.Tx, person uuid.UUID, now time.Time) (lifecycle.Result, error) {
			return lifecycle.SetPassword(ctx, tx, lifecycle.NewPassword{User: person, Hash: "$argon2id$…", First: true}, now)
		}, b.ann.ID)
		require.Empty(t, b.notices(t))
	})
	t.Run("and of what was on its way to somebody deleted nothing else is left", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.do(t, withReason(lifecycle.Disable), b.ann.ID)
		b.do(t, withReason(lifecycle.Delete), b.ann.ID)
		require.Equal(t, []notice{{notify.AccountDeleted, "Ann@example.org"}}, b.notices(t))
		var whose *uuid.UUID
		require.NoError(t, b.realm.QueryRow(t.Context(), `SELECT user_id FROM deliveries`).Scan(&whose))
		require.Nil(t, whose)
	})
}

package notify_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/i18n"
	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
	"github.com/gatehouse-id/gatehouse/internal/mail/mailtest"
	"github.com/gatehouse-id/gatehouse/internal/mail/smtp"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
	"github.com/gatehouse-id/gatehouse/templates"
)

const (
	address = "ana.canary@example.org"
	code    = "914207"
	link    = "https://id.example.test/realms/acme/verify-email/canarytoken"
)

type bundle struct {
	*testdb.Bundle
	acme    realm.Realm
	d       *notify.Deliverer
	metrics *prometheus.Registry
}

func setup(t *testing.T, sender mail.Sender) *bundle {
	t.Helper()
	b := &bundle{Bundle: testdb.New(t), metrics: prometheus.NewRegistry()}
	b.acme = b.RealmOf(t, realm.New{Slug: "acme", Name: "Acme", Settings: realm.Settings{Mail: realm.Mail{ReplyTo: "help@acme.example"}}})
	catalogue, err := i18n.New(templates.FS)
	require.NoError(t, err)
	renderer, err := notify.NewRenderer(catalogue, templates.FS)
	require.NoError(t, err)
	metrics, err := notify.NewMetrics(b.metrics)
	require.NoError(t, err)
	b.d = &notify.Deliverer{
		Renderer: renderer, Sender: sender, From: mail.Address{Mailbox: "login@example.com"},
		Now: b.Clock.Now, Log: slog.New(slog.DiscardHandler), Metrics: metrics,
	}
	return b
}

// overSMTP is the bundle with a real server at its end.
func overSMTP(t *testing.T) (*bundle, *mailtest.Server) {
	t.Helper()
	server := mailtest.NewServer(t, mailtest.ServerOptions{})
	sender, err := smtp.New(smtp.Options{
		Server: config.MailServer{Host: server.Host, Port: server.Port, Security: config.MailPlain}, Timeout: time.Second,
	})
	require.NoError(t, err)
	return setup(t, sender), server
}

func verification(b *bundle) notify.Message {
	return notify.Message{
		Template: notify.Verify, To: address, Data: map[string]string{"app": "Canaryledger", "code_minutes": "10"},
		Secrets: map[string]string{"code": code, "link": link}, ExpiresAt: b.Clock.Now().Add(time.Hour),
	}
}

// send writes a message by itself; real use has a change beside it.
func (b *bundle) send(t *testing.T, m notify.Message) (id uuid.UUID) {
	t.Helper()
	require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) (err error) {
		id, err = notify.Send(t.Context(), tx, m, b.Clock.Now())
		return err
	}))
	return id
}

func (b *bundle) deliver(t *testing.T, id uuid.UUID) {
	t.Helper()
	require.NoError(t, b.d.Deliver(t.Context(), b.acme, jobs.Work{Realm: b.acme.ID, Row: id, Attempt: 1, MaxAttempts: 10}))
}

type row struct {
	Status, Failure string
	Attempts        int32
	NextAt          time.Time
	EndedAt         *time.Time
	Secrets         []byte
}

func (b *bundle) row(t *testing.T, id uuid.UUID) (r row) {
	t.Helper()
	require.NoError(t, b.acme.QueryRow(t.Context(),
		`SELECT status, failure, attempts, next_at, ended_at, secrets FROM deliveries WHERE id = $1`, id).
		Scan(&r.Status, &r.Failure, &r.Attempts, &r.NextAt, &r.EndedAt, &r.Secrets))
	return r
}

// jobs are the times of the jobs that wait for a delivery.
func (b *bundle) jobs(t *testing.T, id uuid.UUID) []time.Time {
	t.Helper()
	conn := b.connect(t)
	_, err := conn.Exec(t.Context(), `SET ROLE gatehouse_jobs`)
	require.NoError(t, err)
	rows, err := conn.Query(t.Context(), `SELECT scheduled_at FROM river_job WHERE queue = $1 AND args->>'row' = $2 ORDER BY id`, notify.Queue, id.String())
	require.NoError(t, err)
	times, err := pgx.CollectRows(rows, pgx.RowTo[time.Time])
	require.NoError(t, err)
	return times
}

func (b *bundle) connect(t *testing.T) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), b.URL())
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// events are the delivery.failed of a delivery, as their data.
func (b *bundle) events(t *testing.T, id uuid.UUID) []string {
	t.Helper()
	rows, err := b.acme.Query(t.Context(), `SELECT data::text FROM events WHERE type = 'delivery.failed' AND object = $1 ORDER BY seq`, id.String())
	require.NoError(t, err)
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return list
}

func TestSend(t *testing.T) {
	t.Parallel()
	t.Run("a change that is rolled back sends nothing", func(t *testing.T) {
		t.Parallel()
		b := setup(t, capture.New(1))
		var id uuid.UUID
		undone := errors.New("undone")
		require.ErrorIs(t, b.acme.InTx(t.Context(), func(tx realm.Tx) (err error) {
			id, err = notify.Send(t.Context(), tx, verification(b), b.Clock.Now())
			require.NoError(t, err)
			return undone
		}), undone)
		require.Empty(t, b.jobs(t, id))
		b.deliver(t, id)
		require.Empty(t, b.d.Sender.(*capture.Outbox).Mails())
	})
	t.Run("a mail that could not be rendered is refused where it is written", func(t *testing.T) {
		t.Parallel()
		b := setup(t, capture.New(1))
		for _, m := range []notify.Message{
			{Template: "nonsense", To: address},
			{Template: notify.Invitation, To: address},
			{Template: notify.Code, To: address, Secrets: map[string]string{"code": code}},
		} {
			require.Error(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error {
				_, err := notify.Send(t.Context(), tx, m, b.Clock.Now())
				return err
			}))
		}
	})
	t.Run("what was written to a person can be forgotten", func(t *testing.T) {
		t.Parallel()
		b := setup(t, capture.New(1))
		ana, other := uuid.New(), uuid.New()
		m := verification(b)
		m.User = ana
		gone := b.send(t, m)
		m.User = other
		kept := b.send(t, m)
		require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) error { return notify.Forget(t.Context(), tx, ana) }))
		b.deliver(t, gone)
		b.deliver(t, kept)
		require.Len(t, b.d.Sender.(*capture.Outbox).Mails(), 1)
	})
}

// A copy of the database shows neither whom a message is for nor what it says, before and after it was sent.
func TestDeliveriesAreSealed(t *testing.T) {
	t.Parallel()
	b := setup(t, capture.New(1))
	id := b.send(t, verification(b))
	conn := b.connect(t)
	_, err := conn.Exec(t.Context(), fmt.Sprintf(`SET ROLE gatehouse_app; SET app.realm = '%s'`, b.acme.ID))
	require.NoError(t, err)
	for _, moment := range []string{"before", "after"} {
		var dump string
		var raw []byte
		require.NoError(t, conn.QueryRow(t.Context(),
			`SELECT d::text, d.content || coalesce(d.secrets, '') FROM deliveries d WHERE d.id = $1`, id).Scan(&dump, &raw))
		for _, canary := range []string{"canary", "Canary", code, "example.org"} {
			require.NotContains(t, dump, canary, moment)
			require.NotContains(t, string(raw), canary, moment)
			require.NotContains(t, dump, fmt.Sprintf("%x", canary), moment)
		}
		b.deliver(t, id)
	}
	r := b.row(t, id)
	require.Equal(t, notify.Sent, r.Status)
	require.Nil(t, r.Secrets, "the code is erased")
}

func TestDeliver(t *testing.T) {
	t.Parallel()
	t.Run("a message arrives once and is noted", func(t *testing.T) {
		t.Parallel()
		b, server := overSMTP(t)
		m := verification(b)
		m.Locale = "pt-BR"
		id := b.send(t, m)
		b.deliver(t, id)
		b.deliver(t, id) // the queue works at least once
		require.Len(t, server.Taken(), 1)
		taken := server.Taken()[0]
		require.Equal(t, address, taken.To)
		parsed, err := netmail.ReadMessage(strings.NewReader(taken.Data))
		require.NoError(t, err)
		require.Equal(t, "<"+id.String()+"@example.com>", parsed.Header.Get("Message-ID"))
		require.Equal(t, `"Acme" <login@example.com>`, parsed.Header.Get("From"))
		require.Equal(t, "<help@acme.example>", parsed.Header.Get("Reply-To"))
		require.Contains(t, taken.Data, "Confirmar e-mail")
		require.Equal(t, notify.Sent, b.row(t, id).Status)
		require.Equal(t, map[string]float64{"verify sent": 1}, b.counted(t))
	})
	t.Run("two workers send one mail", func(t *testing.T) {
		t.Parallel()
		outbox := capture.New(10)
		b := setup(t, outbox)
		id := b.send(t, verification(b))
		var workers sync.WaitGroup
		for range 8 {
			workers.Go(func() {
				_ = b.d.Deliver(context.WithoutCancel(t.Context()), b.acme, jobs.Work{Realm: b.acme.ID, Row: id})
			})
		}
		workers.Wait()
		require.Len(t, outbox.Mails(), 1)
		require.Equal(t, int32(1), b.row(t, id).Attempts)
	})
	t.Run("one that is suppressed costs the same to write and is never sent", func(t *testing.T) {
		t.Parallel()
		b := setup(t, capture.New(1))
		cost := func(m notify.Message) (int64, uuid.UUID) {
			before := b.DB.Stats().Statements
			id := b.send(t, m)
			return b.DB.Stats().Statements - before, id
		}
		m := verification(b)
		m.User = uuid.New()
		sent, _ := cost(m)
		m.User, m.Suppressed = uuid.Nil, true
		suppressed, id := cost(m)
		require.Equal(t, sent, suppressed)
		require.Len(t, b.jobs(t, id), 1)
		b.deliver(t, id)
		require.Equal(t, notify.Suppressed, b.row(t, id).Status)
		require.Nil(t, b.row(t, id).Secrets)
		require.Empty(t, b.d.Sender.(*capture.Outbox).Mails())
		require.Empty(t, b.events(t, id))
	})
	t.Run("an address that nobody can write to ends it", func(t *testing.T) {
		t.Parallel()
		b := setup(t, capture.New(1))
		m := verification(b)
		m.To = "ana@example.org\r\nBcc: eve@example.net"
		id := b.send(t, m)
		b.deliver(t, id)
		require.Equal(t, notify.Failed, b.row(t, id).Status)
		require.Equal(t, "malformed", b.row(t, id).Failure)
	})
}

func (b *bundle) counted(t *testing.T) map[string]float64 {
	t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(t, err)
	counted := map[string]float64{}
	for _, m := range families[0].GetMetric() {
		if n := m.GetCounter().GetValue(); n > 0 {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			counted[labels["template"]+" "+labels["outcome"]] = n
		}
	}
	return counted
}

func TestDeliver_when_the_server_fails(t *testing.T) {
	t.Parallel()
	for _, does := range []struct {
		name     string
		does     mailtest.Behaviour
		failure  string
		received int // before it is tried again
	}{
		{"refuses for now", mailtest.Greylist, "deferred", 0},
		{"hangs", mailtest.Hang, "timeout", 0},
		{"hangs after the content", mailtest.HangAfterData, "timeout", 0},
		{"closes at once", mailtest.Close, "broken", 0},
		{"dies in the middle", mailtest.DieInData, "broken", 0},
		{"dies before it says that it took the mail", mailtest.DieAfterTaking, "broken", 1},
	} {
		t.Run("one that "+does.name+" loses nothing", func(t *testing.T) {
			t.Parallel()
			b, server := overSMTP(t)
			server.Next(does.does)
			id := b.send(t, verification(b))
			b.deliver(t, id)
			require.Len(t, server.Taken(), does.received)
			r := b.row(t, id)
			require.Equal(t, notify.Pending, r.Status)
			require.Equal(t, does.failure, r.Failure)
			require.NotNil(t, r.Secrets)
			require.True(t, r.NextAt.After(b.Clock.Now()))
			waiting := b.jobs(t, id)
			require.Len(t, waiting, 2)
			require.WithinDuration(t, r.NextAt, waiting[1], time.Millisecond, "the next attempt is a job")

			require.Error(t, b.d.Deliver(t.Context(), b.acme, jobs.Work{Realm: b.acme.ID, Row: id}), "its time has not come")
			b.Clock.Set(r.NextAt)
			b.deliver(t, id)
			b.deliver(t, id)
			require.Equal(t, notify.Sent, b.row(t, id).Status)
			require.Nil(t, b.row(t, id).Secrets)
			require.Len(t, server.Taken(), does.received+1)
			for _, taken := range server.Taken() {
				require.Contains(t, taken.Data, id.String()+"@example.com", "the same Message-ID at every attempt")
			}
		})
	}
	t.Run("one that refuses for good ends it at once, for all to see", func(t *testing.T) {
		t.Parallel()
		b, server := overSMTP(t)
		server.Next(mailtest.RefuseRecipient)
		m := verification(b)
		m.User = uuid.New()
		id := b.send(t, m)
		b.deliver(t, id)
		r := b.row(t, id)
		require.Equal(t, notify.Failed, r.Status)
		require.Equal(t, "refused", r.Failure)
		require.Nil(t, r.Secrets)
		require.NotNil(t, r.EndedAt)
		require.JSONEq(t, `{"template": "verify", "reason": "refused", "attempts": 1}`, b.events(t, id)[0])
		require.Len(t, b.jobs(t, id), 1, "no further attempt")
		b.deliver(t, id)
		require.Equal(t, 1, server.Connections())
		require.Equal(t, map[string]float64{"verify failed": 1}, b.counted(t))
	})
	t.Run("one that never works is given up, the delays growing until then", func(t *testing.T) {
		t.Parallel()
		b := setup(t, away{})
		m := verification(b)
		m.ExpiresAt = time.Time{}
		id := b.send(t, m)
		var delays []time.Duration
		for b.row(t, id).Status == notify.Pending {
			b.deliver(t, id)
			r := b.row(t, id)
			if r.Status == notify.Pending {
				delays = append(delays, r.NextAt.Sub(b.Clock.Now()))
				b.Clock.Set(r.NextAt)
			}
		}
		require.Equal(t, notify.Failed, b.row(t, id).Status)
		require.Len(t, delays, 19)
		require.InDelta(t, 5*time.Second, delays[0], float64(time.Second))
		for i := 1; i < len(delays); i++ {
			require.GreaterOrEqual(t, delays[i], delays[i-1])
		}
		require.Less(t, delays[18], 5*time.Hour)
		require.Len(t, b.events(t, id), 1)
	})
	t.Run("a message whose time runs out before the next attempt expires", func(t *testing.T) {
		t.Parallel()
		b := setup(t, away{})
		m := verification(b)
		m.ExpiresAt = b.Clock.Now().Add(3 * time.Second)
		id := b.send(t, m)
		b.deliver(t, id)
		require.Equal(t, notify.Expired, b.row(t, id).Status)
		require.Nil(t, b.row(t, id).Secrets)
		require.JSONEq(t, `{"template": "verify", "reason": "unreachable", "attempts": 1}`, b.events(t, id)[0])
	})
	t.Run("a message that waited too long is dropped", func(t *testing.T) {
		t.Parallel()
		outbox := capture.New(1)
		b := setup(t, outbox)
		id := b.send(t, verification(b))
		b.Clock.Advance(time.Hour)
		b.deliver(t, id)
		require.Empty(t, outbox.Mails())
		require.Equal(t, notify.Expired, b.row(t, id).Status)
		require.Nil(t, b.row(t, id).Secrets)
	})
	t.Run("without a server messages wait, and no attempt counts", func(t *testing.T) {
		t.Parallel()
		b := setup(t, mail.NewChain(nil, slog.New(slog.DiscardHandler)))
		m := verification(b)
		m.ExpiresAt = time.Time{}
		id := b.send(t, m)
		for range 30 {
			b.deliver(t, id)
			r := b.row(t, id)
			require.Equal(t, notify.Pending, r.Status)
			require.Equal(t, "unconfigured", r.Failure)
			require.Zero(t, r.Attempts)
			b.Clock.Set(r.NextAt)
		}
		b.d.Sender = capture.New(1)
		b.deliver(t, id)
		require.Equal(t, notify.Sent, b.row(t, id).Status)
	})
	t.Run("a process that died in the middle leaves it to another, after a while", func(t *testing.T) {
		t.Parallel()
		outbox := capture.New(1)
		b := setup(t, outbox)
		id := b.send(t, verification(b))
		b.d.Sender = dying{}
		func() {
			defer func() { _ = recover() }()
			b.deliver(t, id)
		}()
		b.d.Sender = outbox
		require.Error(t, b.d.Deliver(t.Context(), b.acme, jobs.Work{Realm: b.acme.ID, Row: id}), "the other may be sending still")
		require.Empty(t, outbox.Mails())
		b.Clock.Set(b.row(t, id).NextAt)
		b.deliver(t, id)
		require.Len(t, outbox.Mails(), 1)
	})
	t.Run("a process that is told to stop writes down how it went", func(t *testing.T) {
		t.Parallel()
		b := setup(t, nil)
		id := b.send(t, verification(b))
		ctx, stop := context.WithCancel(t.Context())
		b.d.Sender = stopping{stop}
		require.NoError(t, b.d.Deliver(ctx, b.acme, jobs.Work{Realm: b.acme.ID, Row: id}))
		require.Equal(t, notify.Sent, b.row(t, id).Status)
	})
}

// away is a server that is never there.
type away struct{}

func (away) Send(context.Context, mail.Message) error {
	return mail.Fail(mail.Unavailable, "unreachable", errors.New("connection refused"))
}

// dying is a process that ends while it sends.
type dying struct{}

func (dying) Send(context.Context, mail.Message) error { panic("killed") }

// stopping is a process told to stop while its mail is taken.
type stopping struct{ stop func() }

func (s stopping) Send(context.Context, mail.Message) error { s.stop(); return nil }

func TestClean(t *testing.T) {
	t.Parallel()
	b := setup(t, capture.New(1))
	abandoned, sent := b.send(t, verification(b)), b.send(t, verification(b))
	b.deliver(t, sent)
	clean := func() (n int64) {
		require.NoError(t, b.acme.InTx(t.Context(), func(tx realm.Tx) (err error) {
			n, err = notify.Clean(t.Context(), tx, b.Clock.Now(), 10)
			return err
		}))
		return n
	}
	require.Zero(t, clean())
	b.Clock.Advance(time.Hour + 11*time.Minute)
	require.EqualValues(t, 1, clean(), "no worker took it, and its secrets must go")
	r := b.row(t, abandoned)
	require.Equal(t, notify.Expired, r.Status)
	require.Nil(t, r.Secrets)
	require.JSONEq(t, `{"template": "verify", "reason": "expired", "attempts": 0}`, b.events(t, abandoned)[0])
	b.Clock.Advance(30 * 24 * time.Hour)
	require.EqualValues(t, 2, clean())
	require.Zero(t, clean())
}

var _ event.Event = notify.GivenUp{}

package notify

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/notify/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Deliverer sends what Send wrote. All fields are required.
type Deliverer struct {
	Renderer *Renderer
	Sender   mail.Sender
	// From is the sender's address. The realm's from_name stands before its name, the realm's name where there is none.
	From    mail.Address
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics
}

// Kind and Queue name the jobs of deliveries.
const (
	Kind  = "notify.mail"
	Queue = "mail"
)

const (
	// MaxTries is how often the queue tries a job: what fails there is the database. It is within three weeks.
	MaxTries = 25
	// Timeout is how long one attempt may take, over every sender that is tried.
	Timeout = 2 * time.Minute
	// lease is how long an attempt keeps others away: until the queue would give the job of a dead process to another.
	lease = Timeout + time.Minute
	// noting is how long writing down the outcome may take when the process is already stopping.
	noting      = 15 * time.Second
	notingAgain = time.Second

	maxAttempts = 20
	firstDelay  = 5 * time.Second
	longest     = 4 * time.Hour
)

// errUnderWay says that another attempt has not ended yet, or that the time of the next has not come.
var errUnderWay = errors.New("the delivery's next attempt is not due")

// attempt is one try to send one message.
type attempt struct {
	db.ClaimRow
	id       uuid.UUID
	template Template
	realm    realm.Realm
}

// Deliver works one job: the handler of Kind. It returns an error only when the database failed; what becomes of the
// message is in its row, and its next attempt is a job of its own.
func (d *Deliverer) Deliver(ctx context.Context, r realm.Realm, w jobs.Work) error {
	a, err := d.claim(ctx, r, w.Row)
	if err != nil || a == nil {
		return err
	}
	if a.Suppressed {
		return d.end(ctx, a, Suppressed, "")
	}
	if !d.Now().Before(a.ExpiresAt) {
		return d.end(ctx, a, Expired, a.Failure)
	}
	err = d.send(ctx, a)
	// The outcome is written down even when the process is stopping: what was sent must not be sent again.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noting)
	defer cancel()
	return d.note(ctx, a, err)
}

// claim begins an attempt; nil when the message has ended.
func (d *Deliverer) claim(ctx context.Context, r realm.Realm, id uuid.UUID) (*attempt, error) {
	now := d.Now()
	row, err := db.New().Claim(ctx, r.Write(), db.ClaimParams{ID: id, Now: now, Lease: now.Add(lease)})
	if err == nil {
		return &attempt{ClaimRow: row, id: id, template: Template(row.Template), realm: r}, nil
	}
	if !postgres.NoRows(err) {
		return nil, fmt.Errorf("begin an attempt: %w", err)
	}
	next, err := db.New().NextAttempt(ctx, r, id)
	switch {
	case postgres.NoRows(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read a delivery: %w", err)
	}
	return nil, jobs.RetryAfter(next.Sub(now), errUnderWay)
}

// send makes the mail and hands it over.
func (d *Deliverer) send(ctx context.Context, a *attempt) error {
	m, err := d.compose(a)
	if err != nil {
		return err
	}
	err = d.Sender.Send(ctx, m)
	if err != nil && errors.Is(ctx.Err(), context.Canceled) && mail.Cause(err).Kind != mail.Permanent {
		return mail.Fail(mail.Temporary, "interrupted", err)
	}
	return err
}

func (d *Deliverer) compose(a *attempt) (mail.Message, error) {
	var said content
	var secrets map[string]string
	if err := errors.Join(open(a.realm, contentAAD(a.realm, a.id), a.Content, &said), open(a.realm, secretsAAD(a.realm, a.id), a.Secrets, &secrets)); err != nil {
		return mail.Message{}, mail.Fail(mail.Permanent, "unreadable", err)
	}
	m := mail.Message{ID: a.id.String() + "@" + d.From.Domain(), Date: d.Now(), From: d.From}
	var err error
	if m.To, err = mail.ParseAddress(said.To); err != nil {
		return mail.Message{}, mail.Fail(mail.Permanent, "malformed", err)
	}
	m.To.Name = "" // only the mailbox: a name is what somebody typed
	settings := a.realm.Settings.Mail
	if settings.ReplyTo != "" {
		if m.ReplyTo, err = mail.ParseAddress(settings.ReplyTo); err != nil {
			return mail.Message{}, mail.Fail(mail.Permanent, "malformed", fmt.Errorf("the realm's reply_to: %w", err))
		}
	}
	for _, name := range []string{a.realm.Name, d.From.Name, settings.FromName} {
		if name = oneLine(name); name != "" {
			m.From.Name = name
		}
	}
	values := map[string]string{}
	maps.Copy(values, said.Data)
	maps.Copy(values, secrets)
	w, err := d.Renderer.render(a.realm.Facts, a.template, values, a.CreatedAt, a.ExpiresAt, a.Locale, a.UserLocale)
	if err != nil {
		return mail.Message{}, mail.Fail(mail.Permanent, "malformed", err)
	}
	m.Subject, m.Text, m.HTML = w.subject, w.text, w.html
	return m, nil
}

// note writes down how an attempt went.
func (d *Deliverer) note(ctx context.Context, a *attempt, failed error) error {
	if failed == nil {
		return d.noteSent(ctx, a)
	}
	cause, attempts, after := mail.Cause(failed), a.Attempts, delay(a.id, a.Attempts)
	if cause.RetryAfter > 0 { // nothing was tried
		attempts, after = attempts-1, cause.RetryAfter
	}
	next := d.Now().Add(after)
	log := d.Log.With("delivery_id", a.id.String(), "template", a.Template, "attempt", a.Attempts, "reason", cause.Code, "err", failed)
	switch {
	case cause.Kind == mail.Permanent || attempts >= maxAttempts:
		log.WarnContext(ctx, "message given up")
		return d.end(ctx, a, Failed, cause.Code)
	case !next.Before(a.ExpiresAt):
		log.WarnContext(ctx, "message given up, its time runs out before another attempt")
		return d.end(ctx, a, Expired, cause.Code)
	}
	log.InfoContext(ctx, "message not sent, will be tried again", "after", after.String())
	return d.postpone(ctx, a, db.PostponeParams{ID: a.id, Claimed: a.Attempts, Attempts: attempts, Failure: cause.Code, NextAt: next})
}

// noteSent tries for a while: what is not noted is sent again.
func (d *Deliverer) noteSent(ctx context.Context, a *attempt) error {
	for {
		err := d.end(ctx, a, Sent, "")
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(notingAgain):
		}
	}
}

// postpone leaves a job for the next attempt. It is not this job's, whose tries the queue counts.
func (d *Deliverer) postpone(ctx context.Context, a *attempt, p db.PostponeParams) error {
	err := a.realm.InTx(ctx, func(tx realm.Tx) error {
		n, err := db.New().Postpone(ctx, tx, p)
		if err != nil || n == 0 {
			return err
		}
		return jobs.Insert(ctx, tx, jobs.Job{Kind: Kind, Queue: Queue, Row: a.id, NotBefore: p.NextAt})
	})
	if err != nil {
		return fmt.Errorf("postpone a delivery: %w", err)
	}
	d.Metrics.count(a.template, postponed)
	return nil
}

// end notes how a message ended and erases its secrets.
func (d *Deliverer) end(ctx context.Context, a *attempt, status, failure string) error {
	now := d.Now()
	p := db.EndParams{ID: a.id, Claimed: a.Attempts, Status: status, Failure: failure, Now: now}
	err := a.realm.InTx(ctx, func(tx realm.Tx) error {
		n, err := db.New().End(ctx, tx, p)
		if err != nil || n == 0 || status == Sent || status == Suppressed {
			return err
		}
		return event.Record(ctx, tx, givenUp(a.id, a.UserID, a.template, failure, a.Attempts), now)
	})
	if err != nil {
		return fmt.Errorf("note the end of a delivery: %w", err)
	}
	d.Metrics.count(a.template, status)
	return nil
}

// delay is how long to wait after the attempt of that number: three times as long as before, and up to a fifth more, by
// the delivery's id, so that what failed together does not come back together.
func delay(id uuid.UUID, attempt int32) time.Duration {
	d := firstDelay
	for range attempt - 1 {
		d = min(3*d, longest)
	}
	const parts = 1 << 10
	return d + d/5*time.Duration(binary.BigEndian.Uint16(id[14:])%parts)/parts
}

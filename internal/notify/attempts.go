package notify

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/notify/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// remindAfter is how long nobody is told of such attempts again.
const remindAfter = 24 * time.Hour

// Attempts is the consumer that tells people by mail when somebody signed in as them after many attempts had failed
// (LG-11): as many wrong passwords and codes since the sign-in before as the realm has a guesser wait after, within a day.
// Nobody is told more than once a day. It reads what was committed, so that it costs no sign-in anything.
type Attempts struct{ Now func() time.Time }

var _ event.Consumer = Attempts{}

// Name implements event.Consumer.
func (Attempts) Name() string { return "attempts" }

// Handle implements event.Consumer. Sign-ins of more than a day ago, as a new consumer finds them, are nothing to write
// about; of a batch that comes twice everybody was told.
func (a Attempts) Handle(ctx context.Context, r realm.Realm, batch []event.Stored) error {
	var signIns []uuid.UUID
	for _, e := range batch {
		if (e.Type == "session.started" || e.Type == "session.renewed") && e.User != nil && a.Now().Sub(e.At) < remindAfter {
			signIns = append(signIns, e.ID)
		}
	}
	if len(signIns) == 0 {
		return nil
	}
	found, err := db.New().FailuresBefore(ctx, r, db.FailuresBeforeParams{
		SignIns: signIns, Since: a.Now().Add(-remindAfter), Template: string(SuspiciousAttempts),
		Least: int64(r.Settings.Throttling.Passwords.Account.Free),
	})
	if err != nil {
		return fmt.Errorf("look for failed attempts before sign-ins: %w", err)
	}
	told := map[uuid.UUID]bool{}
	for _, s := range found {
		if told[s.UserID] {
			continue
		}
		told[s.UserID] = true
		if err := r.InTx(ctx, func(tx realm.Tx) error { return report(ctx, tx, s) }); err != nil {
			return err
		}
	}
	return nil
}

// report writes the mail as of the sign-in, whenever that is read, to whoever has an address.
func report(ctx context.Context, tx realm.Tx, s db.FailuresBeforeRow) error {
	address, err := user.EmailOf(ctx, tx, s.UserID)
	if err != nil || address == "" {
		return err
	}
	id, err := Send(ctx, tx, Message{
		Template: SuspiciousAttempts, User: s.UserID, To: address,
		Data: map[string]string{"failures": strconv.FormatInt(s.Failures, 10), "recover": tx.In().Issuer + "/recover"},
	}, s.At)
	if err != nil {
		return err
	}
	return event.Record(ctx, tx, AttemptsReported{Subject: event.Subject{User: s.UserID, Object: id.String()}, Failures: s.Failures}, s.At)
}

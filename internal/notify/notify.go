// Package notify owns messages to people and their deliveries.
//
// Send writes a message and the job that delivers it in the transaction of the change it belongs to: what is rolled
// back sends nothing, and no network stands in the way of a sign-in. What is written is sealed by the realm's key, and
// codes and links are erased as soon as the message was sent, failed or expired.
//
// The Deliverer takes such a job, makes a mail of the message's template in the person's language and hands it to a
// mail.Sender. Who holds an attempt is decided by one conditional statement, so that two workers send one mail, and a
// message that was sent is never sent again. One window stays open, as it must (RFC 5321 §6.1): a process that dies, or
// a connection that breaks, between the server's taking the message and our noting it. The message is then sent again
// under the same Message-ID, by which servers and readers of mail recognise it.
//
// A message whose attempt failed is tried again at growing distances until it expires. Refused for good, tried too
// often or expired, it ends and records delivery.failed.
//
// Attempts reads the log of events and tells people of a sign-in that came after many had failed.
package notify

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/notify/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Message is what somebody is to be told.
type Message struct {
	// Template says which mail it is. Its constants name the values that Data and Secrets must hold.
	Template Template
	// User is whom it is for; uuid.Nil when nobody has the address, or when the account is deleted in the same
	// transaction.
	User uuid.UUID
	// To is the address. It is sealed at rest.
	To string
	// Locale is the language wished, a BCP 47 tag or several separated by blanks. The person's own and the realm's
	// default follow it.
	Locale string
	// Data is what the mail says. It is sealed at rest and kept with the delivery. Nothing that a stranger can choose,
	// a person's name above all, belongs here: whoever registers another's address would write to them.
	Data map[string]string
	// Secrets are the mail's codes and links that do something. They are sealed, and erased when the message ends.
	Secrets map[string]string
	// ExpiresAt is when the message becomes pointless: it is dropped then. Zero is after three days.
	ExpiresAt time.Time
	// Suppressed writes everything as for any other message and sends nothing, so that an address which nobody has
	// costs what one costs that somebody has (LG-08). Give it the same Data and Secrets, of the same lengths.
	Suppressed bool
}

// The states of a delivery.
const (
	Pending    = "pending"
	Sent       = "sent"
	Failed     = "failed"  // given up: refused for good, or tried too often
	Expired    = "expired" // its time ran out
	Suppressed = "suppressed"
)

// keepTrying is how long a message is tried that names no end.
const keepTrying = 3 * 24 * time.Hour

// content is what the column of that name holds.
type content struct {
	To   string            `json:"to"`
	Data map[string]string `json:"data"`
}

// Send writes the message in the transaction of the change that it belongs to and returns the delivery's id. It is sent
// after the commit, by whoever works the queue. An error is a mistake of the caller or of the database; an address that
// cannot be written to is none, and ends the delivery as failed.
func Send(ctx context.Context, tx realm.Tx, m Message, now time.Time) (uuid.UUID, error) {
	if err := m.Template.check(m); err != nil {
		return uuid.Nil, err
	}
	id, err := uuid.NewV7()
	if err != nil {
		return uuid.Nil, fmt.Errorf("make a delivery id: %w", err)
	}
	insert := db.InsertDeliveryParams{
		ID: id, Template: string(m.Template), Locale: m.Locale, Suppressed: m.Suppressed, Now: now, ExpiresAt: m.ExpiresAt,
	}
	if m.User != uuid.Nil {
		insert.UserID = &m.User
	}
	if m.ExpiresAt.IsZero() {
		insert.ExpiresAt = now.Add(keepTrying)
	}
	if insert.Content, err = seal(tx.In(), contentAAD(tx.In(), id), content{m.To, m.Data}); err != nil {
		return uuid.Nil, err
	}
	if insert.Secrets, err = seal(tx.In(), secretsAAD(tx.In(), id), m.Secrets); err != nil {
		return uuid.Nil, err
	}
	if err := db.New().InsertDelivery(ctx, tx, insert); err != nil {
		return uuid.Nil, fmt.Errorf("store a delivery: %w", err)
	}
	if err := jobs.Insert(ctx, tx, jobs.Job{Kind: Kind, Queue: Queue, Row: id}); err != nil {
		return uuid.Nil, err
	}
	return id, nil
}

// Forget deletes what was written to a person, sent or not. It belongs to deleting the person.
func Forget(ctx context.Context, tx realm.Tx, user uuid.UUID) error {
	if err := db.New().DeleteDeliveriesOf(ctx, tx, user); err != nil {
		return fmt.Errorf("delete a person's deliveries: %w", err)
	}
	return nil
}

func contentAAD(r realm.Realm, id uuid.UUID) []byte {
	return r.AAD("deliveries", "content", id.String())
}

func secretsAAD(r realm.Realm, id uuid.UUID) []byte {
	return r.AAD("deliveries", "secrets", id.String())
}

func seal(r realm.Realm, aad []byte, value any) ([]byte, error) {
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, fmt.Errorf("encode a part of a delivery: %w", err)
	}
	sealed, err := r.DataKey.Seal(plain, aad)
	if err != nil {
		return nil, fmt.Errorf("seal a part of a delivery: %w", err)
	}
	return sealed, nil
}

func open(r realm.Realm, aad, sealed []byte, into any) error {
	plain, err := r.DataKey.Open(sealed, aad)
	if err != nil {
		return fmt.Errorf("open a part of a delivery: %w", err)
	}
	if err := json.Unmarshal(plain, into); err != nil {
		return fmt.Errorf("decode a part of a delivery: %w", err)
	}
	return nil
}

// Package capture keeps mails in memory instead of sending them, for development and tests.
package capture

import (
	"context"
	"sync"

	"github.com/gatehouse-id/gatehouse/internal/mail"
)

// Outbox is a sender that keeps the last mails. Make one by New.
type Outbox struct {
	mu    sync.Mutex
	most  int
	count int
	kept  []Kept // oldest first
}

var _ mail.Sender = (*Outbox)(nil)

// Kept is a mail and its number, which counts from 1.
type Kept struct {
	Number int
	mail.Message
}

// New makes an outbox that keeps that many mails.
func New(most int) *Outbox { return &Outbox{most: most} }

// Send implements mail.Sender.
func (o *Outbox) Send(_ context.Context, m mail.Message) error {
	if err := m.Check(); err != nil {
		return mail.Fail(mail.Permanent, "malformed", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.count++
	o.kept = append(o.kept, Kept{o.count, m})
	if len(o.kept) > o.most {
		o.kept = append([]Kept(nil), o.kept[1:]...)
	}
	return nil
}

// Mails are those that are kept, the last one first.
func (o *Outbox) Mails() []Kept {
	o.mu.Lock()
	defer o.mu.Unlock()
	list := make([]Kept, 0, len(o.kept))
	for i := len(o.kept) - 1; i >= 0; i-- {
		list = append(list, o.kept[i])
	}
	return list
}

// Mail is the one of that number, when it is still kept.
func (o *Outbox) Mail(number int) (Kept, bool) {
	for _, k := range o.Mails() {
		if k.Number == number {
			return k, true
		}
	}
	return Kept{}, false
}

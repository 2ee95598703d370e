package flow

import (
	"context"
	"errors"
	"time"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Codes is the page that waits for a mailed code, and what its buttons do. The steps that mail one share it.
type Codes struct {
	Mailer challenge.Mailer
	Guard  Guard
	Now    func() time.Time
}

// CodeFields are what the page "code" shows.
type CodeFields struct {
	// Address is what the person typed.
	Address string
	// Unsure tells that a mail was sent only if somebody has that name.
	Unsure bool
	// Expired tells that the code is too old.
	Expired bool
	// CheckURL leads on for somebody who pressed the link's button in another window; "" where that does not lead on.
	CheckURL string
	// SkipURL leads on without the code; "" where it is needed.
	SkipURL string
}

// Page is the page for the code that the flow waits for.
func (c Codes) Page(s *State, f CodeFields) Page {
	f.Address, f.Unsure, f.Expired = s.Awaited.Shown, s.Awaited.Purpose != challenge.Verify, !s.Now.Before(s.Awaited.CodeExpiresAt)
	return Page{Template: "code", Title: Message{Key: "code.title"}, Fields: f}
}

// Submit acts on the page's form: the code, "resend" or "leave". right acts on the right code in the transaction that
// spends it, and must hold the flow by what it writes to it.
func (c Codes) Submit(ctx context.Context, r realm.Realm, s *State, in Input, again Page, right func(tx realm.Tx, ch challenge.Challenge) error) (Outcome, error) {
	switch in.Value("action") {
	case "resend":
		return c.resend(ctx, r, s, in, again)
	case "leave":
		return Outcome{}, r.InTx(ctx, func(tx realm.Tx) error {
			if err := Hold(ctx, tx, s, ""); err != nil {
				return err
			}
			return challenge.End(ctx, tx, s.Tx, c.Now())
		})
	}
	typed := in.Value("code")
	if typed == "" {
		return Outcome{Fields: map[string]Message{"code": {Key: "code.required"}}, Page: again}, nil
	}
	try, wait, err := c.Guard.Code(ctx, r, s.Awaited.Purpose, s.Awaited.Account, in.Address)
	if err != nil {
		return Outcome{}, err
	}
	if wait > 0 {
		return TryLater(again, wait), nil
	}
	verdict := challenge.Dead
	err = r.InTx(ctx, func(tx realm.Tx) (err error) {
		if err := Hold(ctx, tx, s, ""); err != nil { // before the challenge, as whoever sends another does
			return err
		}
		var ch challenge.Challenge
		if ch, verdict, err = challenge.Try(ctx, tx, s.Awaited.Purpose, s.Tx, typed, c.Now()); err != nil || verdict != challenge.Right {
			return err
		}
		return right(tx, ch)
	})
	switch {
	case err != nil:
		return Outcome{}, errors.Join(err, try.Withdraw(ctx))
	case verdict == challenge.Right:
		return Outcome{}, try.Succeeded(ctx)
	case verdict == challenge.Wrong:
		try.Failed()
		return Outcome{Fields: map[string]Message{"code": {Key: "code.wrong"}}, Page: again}, nil
	}
	try.Failed()
	return Outcome{Problem: &Message{Key: "code.dead"}, Page: again}, nil
}

func (c Codes) resend(ctx context.Context, r realm.Realm, s *State, in Input, again Page) (Outcome, error) {
	if wait, ok := c.Mailer.Allow(ctx, r, string(s.Awaited.Purpose), s.Awaited.Account, in.Address); !ok {
		return TooManyMails(again, wait), nil
	}
	err := r.InTx(ctx, func(tx realm.Tx) error {
		if err := Hold(ctx, tx, s, "code.sent_again"); err != nil {
			return err
		}
		_, err := c.Mailer.Again(ctx, tx, s.Tx, challenge.Letter{Locale: in.Locale, App: s.Client.Name}, c.Now())
		return err
	})
	if errors.Is(err, realm.ErrUnknown) { // shown back in between: the flow goes on from there
		err = nil
	}
	return Outcome{}, err
}

// TryLater shows the page again with how long to wait after too many attempts.
func TryLater(again Page, wait time.Duration) Outcome { return later("login.wait_only", again, wait) }

// TooManyMails shows the page again with how long to wait before another mail can be sent.
func TooManyMails(again Page, wait time.Duration) Outcome { return later("code.too_many", again, wait) }

func later(key string, again Page, wait time.Duration) Outcome {
	minutes := int((wait + time.Minute - 1) / time.Minute)
	return Outcome{Problem: &Message{Key: key, Params: map[string]any{"n": minutes}}, Page: again, RetryAfter: wait}
}

// LinkPage is the page of a mailed link: what its button does, in the words of key and key.lead and key.submit.
func LinkPage(key string) Page {
	return Page{Template: "link", Title: Message{Key: key}, Fields: LinkFields{Lead: key + ".lead", Submit: key + ".submit"}}
}

// LinkFields are what the page "link" shows: message keys.
type LinkFields struct {
	Lead, Submit string
	// Address is whose it is, masked; "" where the page does not say.
	Address string
}

// DonePage is the end of a way that leads nowhere by itself, in the words of key and key.lead.
func DonePage(key string) Page {
	return Page{Template: "done", Title: Message{Key: key}, Fields: DoneFields{Lead: key + ".lead"}}
}

// DoneFields are what the page "done" shows.
type DoneFields struct {
	Lead string
	// URL leads on, "" when nothing does; Label is the message key of what it says, App what that may name.
	URL, Label, App string
}

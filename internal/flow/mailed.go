package flow

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge"
	"github.com/gatehouse-id/gatehouse/internal/flow/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/session"
)

// Hold locks the flow while a step changes what it waits for, so that two forms that were sent at once come one after
// the other. notice is a message key for the next page, "" for none.
func Hold(ctx context.Context, tx realm.Tx, s *State, notice string) error {
	n, err := db.New().Hold(ctx, tx, db.HoldParams{TxHash: hashTx(s.Tx), BrowserHash: s.Browser.Hash(), Notice: notice})
	return touched(n, err, "hold a flow")
}

// Redeem notes in the flow who showed a mailed secret back. It signs nobody in.
func Redeem(ctx context.Context, tx realm.Tx, s *State, c challenge.Challenge) error {
	return redeem(ctx, tx, s.Tx, s.Browser, c)
}

func redeem(ctx context.Context, tx realm.Tx, flow string, browser session.Token, c challenge.Challenge) error {
	n, err := db.New().Redeemed(ctx, tx, db.RedeemedParams{
		TxHash: hashTx(flow), BrowserHash: browser.Hash(), RedeemedUserID: &c.User, RedeemedPurpose: string(c.Purpose), RedeemedChallengeID: &c.ID,
	})
	return touched(n, err, "note a mailed secret")
}

// Used ends what showing a mailed secret back allowed, once, and leaves a notice for the next page; ErrGone when it
// allows nothing any more. The caller holds the person, as does whoever makes it void.
func Used(ctx context.Context, tx realm.Tx, s *State, notice string) error {
	n, err := db.New().Used(ctx, tx, db.UsedParams{
		TxHash: hashTx(s.Tx), BrowserHash: s.Browser.Hash(), RedeemedUserID: &s.Redeemed.User.ID, Notice: notice,
	})
	return touched(n, err, "use a mailed secret")
}

// Spend spends the challenge of a link; see challenge.Redeem. The flow that it belongs to is held first: whoever types the
// code, or asks for another one, comes before or after, and nobody waits for the other in a circle.
func Spend(ctx context.Context, tx realm.Tx, p challenge.Purpose, token string, now time.Time) (challenge.Challenge, error) {
	c, err := challenge.Look(ctx, tx, p, token, now)
	if err != nil {
		return challenge.Challenge{}, err
	}
	if c.Tx != "" {
		if err := db.New().Lock(ctx, tx, hashTx(c.Tx)); err != nil {
			return challenge.Challenge{}, fmt.Errorf("hold the flow of a link: %w", err)
		}
	}
	return challenge.Redeem(ctx, tx, p, token, now)
}

// Home finds the flow that a followed link belongs to when it is this browser's: whoever opens the link where they
// asked for it goes on there. The zero Followed says that it is not.
func Home(ctx context.Context, tx realm.Tx, browser session.Token, c challenge.Challenge, now time.Time) (Followed, error) {
	if c.Tx == "" {
		return Followed{}, nil
	}
	origin, err := db.New().Origin(ctx, tx, db.OriginParams{TxHash: hashTx(c.Tx), Now: now})
	if postgres.NoRows(err) {
		return Followed{}, nil
	}
	if err != nil {
		return Followed{}, fmt.Errorf("find where a link belongs: %w", err)
	}
	if browser == "" || !bytes.Equal(origin.BrowserHash, browser.Hash()) {
		return Followed{}, nil
	}
	return Followed{Tx: c.Tx, Kind: origin.Kind}, nil
}

// Land notes in a flow of this browser who followed a link: in the flow that the link belongs to, else in a new one.
func Land(ctx context.Context, tx realm.Tx, random io.Reader, browser session.Token, c challenge.Challenge, now time.Time) (Followed, error) {
	home, err := Home(ctx, tx, browser, c, now)
	if err != nil {
		return Followed{}, err
	}
	if home.Tx != "" {
		return home, redeem(ctx, tx, home.Tx, browser, c)
	}
	clientID := ""
	if c.Tx != "" {
		origin, err := db.New().Origin(ctx, tx, db.OriginParams{TxHash: hashTx(c.Tx), Now: now})
		if err != nil && !postgres.NoRows(err) {
			return Followed{}, fmt.Errorf("find where a link belongs: %w", err)
		}
		clientID = origin.ClientID
	}
	flow, err := startMailed(ctx, tx, random, db.InsertMailedParams{
		ClientID: clientID, BrowserHash: browser.Hash(), RedeemedUserID: &c.User, RedeemedPurpose: string(c.Purpose), RedeemedChallengeID: &c.ID,
	}, now)
	return Followed{Tx: flow, Kind: KindMailed}, err
}

// StartMailed makes a flow for somebody who came to an address of ours without an application, and returns its
// reference.
func (e *Engine) StartMailed(ctx context.Context, r realm.Realm, browser session.Token) (flow string, err error) {
	err = r.InTx(ctx, func(tx realm.Tx) (err error) {
		flow, err = startMailed(ctx, tx, e.Random, db.InsertMailedParams{BrowserHash: browser.Hash()}, e.Now())
		return err
	})
	return flow, err
}

func startMailed(ctx context.Context, tx realm.Tx, random io.Reader, p db.InsertMailedParams, now time.Time) (string, error) {
	flow, err := newTx(random)
	if err != nil {
		return "", err
	}
	p.TxHash, p.Now = hashTx(flow), now
	p.ExpiresAt, p.EndsAt = now.Add(time.Duration(tx.In().Settings.Lifetimes.Flow)), now.Add(requestKept)
	if err := db.New().InsertMailed(ctx, tx, p); err != nil {
		return "", fmt.Errorf("start a mailed flow: %w", err)
	}
	return flow, nil
}

// ProvedElsewhere notes in the flow that an account was asked for in that its address was proved, from whatever
// browser: its password was typed here, and the account made of it at that time. A flow that has ended or gone another
// way stays as it is.
func ProvedElsewhere(ctx context.Context, tx realm.Tx, flow string, user uuid.UUID, registered, now time.Time) error {
	if _, err := db.New().ProvedElsewhere(ctx, tx, db.ProvedElsewhereParams{
		TxHash: hashTx(flow), UserID: &user, AuthTime: &registered, Amr: []string{"pwd"}, Now: now,
	}); err != nil {
		return fmt.Errorf("note a proved address: %w", err)
	}
	return nil
}

// Package challenge owns the secrets that are sent to somebody to be shown back: the link and the six-digit code of
// registration, verification, recovery, invitation and sign-in by mail.
//
// A link holds 256 random bits and works in any browser; of it a hash is stored that realm and purpose are part of, so
// that no secret does for another purpose (RS-02). A code is short, so it is bound to the flow it was asked for in, to
// ten minutes and to five tries, and its MAC is made with the realm's key. Both are spent by one conditional write, and
// tries are counted by one, so that it does not matter how many come at once, or to how many processes.
//
// A newer challenge of a person and purpose makes the older ones void, showing one back those that were shown back before
// it, and so does what happens to the account (Void). A flow that waits for a void one goes on waiting in vain, as it
// does for a decoy: that nobody waits any more would tell that somebody has the address.
//
// Where nobody has the address a decoy is stored: it costs the same statements, can be tried like any other, and never
// succeeds, so that nobody learns from it who has an account (LG-08).
//
// Mailer sends them. What showing one back leads to is decided by the steps of package flow and by package lifecycle.
package challenge

import (
	"context"
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"math/big"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/event"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// Purpose is what a challenge is for.
type Purpose string

// The purposes.
const (
	Verify Purpose = "verify" // proves an address: an account's, or that of an account to be made (Payload)
	Reset  Purpose = "reset"  // lets its owner set a new password
	Invite Purpose = "invite" // lets the invited set their first password
	SignIn Purpose = "signin" // is a first factor
)

const (
	// CodeLife is how long a code can be typed.
	CodeLife = 10 * time.Minute
	// MaxTries is how often a code can be tried.
	MaxTries = 5

	codeDigits = 6
)

// Life is how long a link of the purpose works.
func (p Purpose) Life() time.Duration {
	switch p {
	case Reset:
		return time.Hour
	case Invite:
		return 7 * 24 * time.Hour
	case SignIn:
		return CodeLife
	case Verify:
	}
	return 24 * time.Hour
}

// New is a challenge to be made.
type New struct {
	Purpose Purpose
	// User is whose it is; uuid.Nil where there is no account.
	User uuid.UUID
	// Address is where it is sent: what showing it back proves.
	Address string
	// Shown is what the page may show of it: what the person typed.
	Shown string
	// Tx is the flow that waits for the code; "" when only the link is meant.
	Tx string
	// Registers tells that an account is asked for, whose password was typed in the flow; Payload says which.
	Registers bool
	// Payload is sealed and handed back when the challenge is spent.
	Payload []byte
	// Decoy makes one that nobody can show back.
	Decoy bool
}

// secrets are what is sent.
type secrets struct {
	id          uuid.UUID
	token, code string
}

// issue stores a challenge and ends those that it replaces.
func issue(ctx context.Context, tx realm.Tx, random io.Reader, n New, template string, now time.Time) (secrets, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return secrets{}, fmt.Errorf("make a challenge's id: %w", err)
	}
	s, err := draw(random, id)
	if err != nil {
		return secrets{}, err
	}
	p := db.InsertParams{
		ID: id, Purpose: string(n.Purpose), Address: n.Address, Shown: n.Shown, Template: template, Registers: n.Registers, Tx: n.Tx,
		Slot: n.slot(id), TokenHash: hashToken(tx.RealmID(), n.Purpose, s.token),
		Now: now, CodeExpiresAt: now.Add(CodeLife), ExpiresAt: now.Add(n.Purpose.Life()),
	}
	if n.User != uuid.Nil {
		p.UserID = &n.User
	}
	if p.CodeMac, err = codeMAC(tx.In(), n.Purpose, id, s.code); err != nil {
		return secrets{}, err
	}
	if n.Decoy {
		p.CodeMac = nil
	}
	if n.Payload != nil {
		if p.Payload, err = tx.In().DataKey.Seal(n.Payload, payloadAAD(tx.In(), id)); err != nil {
			return secrets{}, fmt.Errorf("seal a challenge's payload: %w", err)
		}
	}
	if err := replace(ctx, tx, p, now); err != nil {
		return secrets{}, err
	}
	if err := db.New().Insert(ctx, tx, p); err != nil {
		return secrets{}, fmt.Errorf("insert a challenge: %w", err)
	}
	return s, event.Record(ctx, tx, Sent{Subject: event.Subject{User: n.User, Object: id.String(), Identifier: n.Address}, Purpose: string(n.Purpose)}, now)
}

// slot is what a newer challenge of the purpose replaces (RS-07): the person's, or those that pretended to be sent to a
// name that nobody has, since replacing one costs time (LG-08). A stranger who types an address ends nothing of its
// owner's, and nothing that another one asked for.
func (n New) slot(id uuid.UUID) string {
	switch {
	case n.User != uuid.Nil && !n.Decoy:
		return n.User.String()
	case n.User != uuid.Nil || !n.Decoy:
		return id.String()
	}
	if name, err := user.Canonical(n.Address); err == nil {
		return name.Canonical
	}
	return n.Address
}

// replace ends what a new challenge replaces.
func replace(ctx context.Context, tx realm.Tx, p db.InsertParams, now time.Time) error {
	q := db.New()
	if err := q.Turn(ctx, tx, strings.Join([]string{tx.In().ID.String(), p.Purpose, p.Slot}, " ")); err != nil {
		return fmt.Errorf("wait for another challenge: %w", err)
	}
	if _, err := q.EndOthers(ctx, tx, db.EndOthersParams{Slot: p.Slot, Purpose: p.Purpose, Tx: p.Tx, Now: now}); err != nil {
		return fmt.Errorf("end older challenges: %w", err)
	}
	return nil
}

// draw makes a token of 256 bits and a code of six digits.
func draw(random io.Reader, id uuid.UUID) (secrets, error) {
	var b [32]byte
	if _, err := io.ReadFull(random, b[:]); err != nil {
		return secrets{}, fmt.Errorf("make a challenge's token: %w", err)
	}
	n, err := cryptorand.Int(random, big.NewInt(1_000_000))
	if err != nil {
		return secrets{}, fmt.Errorf("make a challenge's code: %w", err)
	}
	return secrets{id, base64.RawURLEncoding.EncodeToString(b[:]), fmt.Sprintf("%0*d", codeDigits, n.Int64())}, nil
}

// hashToken is what is stored of a token (RS-01, RS-02).
func hashToken(realm uuid.UUID, p Purpose, token string) []byte {
	h := sha256.New()
	for _, part := range []string{realm.String(), string(p), token} {
		var size [4]byte
		binary.BigEndian.PutUint32(size[:], uint32(len(part))) //nolint:gosec // a form field is at most 64 KiB
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return h.Sum(nil)
}

func codeMAC(r realm.Realm, p Purpose, id uuid.UUID, code string) ([]byte, error) {
	mac, err := r.MAC("challenge.code")
	if err != nil {
		return nil, err
	}
	sum, err := mac.Sum([]byte(p), id[:], []byte(code))
	if err != nil {
		return nil, fmt.Errorf("authenticate a code: %w", err)
	}
	return sum, nil
}

func payloadAAD(r realm.Realm, id uuid.UUID) []byte {
	return r.AAD("challenges", "payload", id.String())
}

// Challenge is one that was shown back, or looked at.
type Challenge struct {
	ID      uuid.UUID
	Purpose Purpose
	// User is uuid.Nil while there is no account.
	User    uuid.UUID
	Address string
	// Tx is the flow that it was asked for in, "" when in none.
	Tx string
	// Registers is what New had. Payload, too; nil once it was used.
	Registers bool
	Payload   []byte
	CreatedAt time.Time
}

// maxToken bounds what is hashed of an address.
const maxToken = 128

// Look reads the live challenge of a link and changes nothing; realm.ErrUnknown when there is none.
func Look(ctx context.Context, r postgres.Reader, p Purpose, token string, now time.Time) (Challenge, error) {
	if len(token) > maxToken {
		return Challenge{}, realm.ErrUnknown
	}
	row, err := db.New().ByToken(ctx, r, db.ByTokenParams{TokenHash: hashToken(r.RealmID(), p, token), Purpose: string(p), Now: now})
	if postgres.NoRows(err) {
		return Challenge{}, fmt.Errorf("challenge: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("read a challenge: %w", err)
	}
	return Challenge{ID: row.ID, Purpose: p, User: orNil(row.UserID), Address: row.Address, Tx: row.Tx, CreatedAt: row.CreatedAt}, nil
}

// Redeem spends the challenge of a link; realm.ErrUnknown when it was spent, replaced, has expired or never was, or went
// to an address that is not the person's any more, or the person is disabled.
func Redeem(ctx context.Context, tx realm.Tx, p Purpose, token string, now time.Time) (Challenge, error) {
	if len(token) > maxToken {
		return Challenge{}, realm.ErrUnknown
	}
	row, err := db.New().SpendToken(ctx, tx, db.SpendTokenParams{TokenHash: hashToken(tx.RealmID(), p, token), Purpose: string(p), Now: &now})
	if postgres.NoRows(err) {
		return Challenge{}, fmt.Errorf("challenge: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("spend a challenge: %w", err)
	}
	c := Challenge{ID: row.ID, Purpose: p, User: orNil(row.UserID), Address: row.Address, Tx: row.Tx, Registers: row.Registers, CreatedAt: row.CreatedAt}
	over, err := c.over(ctx, tx)
	if err != nil {
		return Challenge{}, err
	}
	if over {
		return Challenge{}, fmt.Errorf("challenge of an account that has changed: %w", realm.ErrUnknown)
	}
	return c, c.spent(ctx, tx, row.Payload, "link", now)
}

// over tells whether the person has another address by now than the one that this went to (ID-05), or may not sign in
// any more (AZ-15). Proving an address that is not theirs yet is what Verify is for.
func (c *Challenge) over(ctx context.Context, tx realm.Tx) (bool, error) {
	if c.Purpose == Verify {
		return false, nil
	}
	who, err := user.ContactOf(ctx, tx, c.User)
	return !who.Reachable() || who.Email != c.Address, err
}

// spent opens the payload, forgets it, lets nothing come of those that were shown back before, and records that the
// challenge was shown back.
func (c *Challenge) spent(ctx context.Context, tx realm.Tx, sealed []byte, by string, now time.Time) (err error) {
	if _, err := void(ctx, tx, c.User, c.ID, c.Purpose); err != nil {
		return fmt.Errorf("end older challenges: %w", err)
	}
	if sealed != nil {
		if c.Payload, err = tx.In().DataKey.Open(sealed, payloadAAD(tx.In(), c.ID)); err != nil {
			return fmt.Errorf("open a challenge's payload: %w", err)
		}
		if err := db.New().ForgetPayload(ctx, tx, c.ID); err != nil {
			return fmt.Errorf("forget a challenge's payload: %w", err)
		}
	}
	about := event.Subject{User: c.User, Object: c.ID.String()}
	return event.Record(ctx, tx, Redeemed{Subject: about, Purpose: string(c.Purpose), By: by}, now)
}

// Verdict is what became of a typed code.
type Verdict int

// The verdicts.
const (
	Dead  Verdict = iota // there is no code that could still be tried: expired, spent, replaced, tried too often, sent elsewhere
	Wrong                // not this one; it may be tried again
	Right                // spent now
)

// Try compares what was typed with the code that a flow waits for. The transaction must commit whatever the verdict:
// the try counts.
func Try(ctx context.Context, tx realm.Tx, p Purpose, flow, typed string, now time.Time) (Challenge, Verdict, error) {
	row, err := db.New().Try(ctx, tx, db.TryParams{Tx: flow, Purpose: string(p), Now: now, Most: MaxTries})
	if postgres.NoRows(err) {
		return Challenge{}, Dead, nil
	}
	if err != nil {
		return Challenge{}, Dead, fmt.Errorf("try a code: %w", err)
	}
	c := Challenge{ID: row.ID, Purpose: p, User: orNil(row.UserID), Address: row.Address, Tx: flow, Registers: row.Registers, CreatedAt: row.CreatedAt}
	mac, err := tx.In().MAC("challenge.code")
	if err != nil {
		return Challenge{}, Dead, err
	}
	right, over := mac.Verify(row.CodeMac, []byte(p), row.ID[:], []byte(normal(typed))), false
	if right { // asked of a wrong code, it would tell a decoy from what somebody was sent
		if over, err = c.over(ctx, tx); err != nil {
			return Challenge{}, Dead, err
		}
	}
	if !right || over {
		about := event.Subject{User: c.User, Object: c.ID.String()}
		verdict := Wrong
		if row.Tries >= MaxTries || over {
			verdict = Dead
		}
		return Challenge{}, verdict, event.Record(ctx, tx, Refused{Subject: about, Purpose: string(p), Tries: int(row.Tries)}, now)
	}
	if _, err := db.New().Spend(ctx, tx, db.SpendParams{ID: row.ID, Now: &now}); err != nil {
		return Challenge{}, Dead, fmt.Errorf("spend a code: %w", err)
	}
	return c, Right, c.spent(ctx, tx, row.Payload, "code", now)
}

// normal is a code as it is compared: what people and mail programs put between digits does not count.
func normal(typed string) string {
	return strings.NewReplacer(" ", "", "-", "", "\u00a0", "", "\u2009", "").Replace(typed)
}

// End ends what a flow waits for, because the person went another way.
func End(ctx context.Context, tx realm.Tx, flow string, now time.Time) error {
	n, err := db.New().EndOfFlow(ctx, tx, db.EndOfFlowParams{Tx: flow, Now: &now})
	return ended(ctx, tx, n, err, uuid.Nil, now)
}

// Void makes a person's challenges of some purposes void, also those that were shown back and whose owner has not yet
// done what that allows: outstanding recoveries die when the address changes (ID-05).
func Void(ctx context.Context, tx realm.Tx, user uuid.UUID, now time.Time, purposes ...Purpose) error {
	n, err := void(ctx, tx, user, uuid.Nil, purposes...)
	return ended(ctx, tx, n, err, user, now)
}

func void(ctx context.Context, tx realm.Tx, user, kept uuid.UUID, purposes ...Purpose) (int64, error) {
	p := db.VoidParams{UserID: &user, Kept: kept}
	for _, purpose := range purposes {
		p.Purposes = append(p.Purposes, string(purpose))
	}
	return db.New().Void(ctx, tx, p)
}

func ended(ctx context.Context, tx realm.Tx, n int64, err error, user uuid.UUID, now time.Time) error {
	if err != nil {
		return fmt.Errorf("end challenges: %w", err)
	}
	if n == 0 {
		return nil
	}
	return event.Record(ctx, tx, Ended{Subject: event.Subject{User: user}}, now)
}

// Waiting reads a challenge that was neither spent nor replaced, locked, with the registration that it carries;
// realm.ErrUnknown when there is none.
func Waiting(ctx context.Context, tx realm.Tx, id uuid.UUID, now time.Time) (Challenge, error) {
	row, err := db.New().Pending(ctx, tx, db.PendingParams{ID: id, Now: now})
	if postgres.NoRows(err) {
		return Challenge{}, fmt.Errorf("challenge: %w", realm.ErrUnknown)
	}
	if err != nil {
		return Challenge{}, fmt.Errorf("read a registration: %w", err)
	}
	c := Challenge{ID: row.ID, Purpose: Verify, User: orNil(row.UserID), Address: row.Address, CreatedAt: row.CreatedAt}
	if row.Payload == nil {
		return c, nil
	}
	if c.Payload, err = tx.In().DataKey.Open(row.Payload, payloadAAD(tx.In(), c.ID)); err != nil {
		return c, fmt.Errorf("open a registration: %w", err)
	}
	return c, nil
}

// Assign gives a registration to the account that was made of it before its address was proved. The caller records
// the account's making.
func Assign(ctx context.Context, tx realm.Tx, id, user uuid.UUID) error {
	if _, err := db.New().Assign(ctx, tx, db.AssignParams{ID: id, UserID: &user}); err != nil {
		return fmt.Errorf("assign a challenge: %w", err)
	}
	return nil
}

// Forget deletes what was sent to a person. It belongs to deleting the person.
func Forget(ctx context.Context, tx realm.Tx, user uuid.UUID) error {
	if err := db.New().DeleteOfUser(ctx, tx, &user); err != nil {
		return fmt.Errorf("delete a person's challenges: %w", err)
	}
	return nil
}

// flowKept is longer than a flow is (package flow), which names what was shown back in it.
const flowKept = 24 * time.Hour

// Clean deletes at most that many challenges that have expired, with the registrations that nobody proved, and says how
// many there were. Those that were shown back carry nothing any more, and stay for a day: what they allow is not over.
func Clean(ctx context.Context, tx realm.Tx, now time.Time, most int32) (int64, error) {
	before := now.Add(-flowKept)
	n, err := db.New().DeleteEnded(ctx, tx, db.DeleteEndedParams{Now: now, Before: &before, Most: most})
	if err != nil {
		return 0, fmt.Errorf("delete challenges: %w", err)
	}
	return n, nil
}

func orNil(id *uuid.UUID) uuid.UUID {
	if id == nil {
		return uuid.Nil
	}
	return *id
}

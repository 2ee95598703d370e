package challenge

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/gatehouse-id/gatehouse/internal/challenge/internal/db"
	"github.com/gatehouse-id/gatehouse/internal/limit"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realm"
)

// Mailer sends challenges by mail.
type Mailer struct {
	Random io.Reader
	// Limits counts what is sent, by address and by who asked for it.
	Limits limit.Source
	// Unproved makes the account that a challenge registers soon after the commit, for realms that do not wait for its
	// proof.
	Unproved func(ctx context.Context, tx realm.Tx, challenge uuid.UUID) error
}

// Letter is the mail of a challenge.
type Letter struct {
	// Template is the purpose's own when "". Any other is sent as it is, without the secrets: what the owner of a known
	// address is told instead.
	Template notify.Template
	// Locale is the language of the page that the person is on.
	Locale string
	// App is the application that the person came from, "" when from none.
	App string
}

// path is where the link of a purpose leads, below the issuer. The steps of these names own what is there.
func (p Purpose) path() string {
	switch p {
	case Reset:
		return "recover"
	case Invite:
		return "invitation"
	case SignIn:
		return "email-code"
	case Verify:
	}
	return "verify-email"
}

func (n New) template() notify.Template {
	switch n.Purpose {
	case Reset:
		return notify.Reset
	case Invite:
		return notify.Invitation
	case SignIn:
		return notify.Code
	case Verify:
	}
	if n.Tx == "" { // no page waits for a code
		return notify.VerifyLink
	}
	return notify.Verify
}

// Registration is what a mail is for that asks for a new account.
const Registration = "register"

// Allow counts a mail that somebody at from wants sent to an address, and says how long to wait when it is one too
// many. What they do it for, a purpose or Registration, has budgets of its own (LG-05, RS-07), which are the realm's
// (realm.Throttling). It is asked for unknown addresses as well, and the answer does not depend on whether there is an
// account.
func (m Mailer) Allow(ctx context.Context, r realm.Realm, what, canonical string, from netip.Addr) (wait time.Duration, ok bool) {
	budgets := r.Settings.Throttling
	asked := budgets.Mails.FromAddress
	if what == Registration {
		asked = budgets.Registrations
	}
	for _, budget := range []struct {
		rate limit.Rate
		key  string
	}{
		{asked.Rate(), r.LimitKey("mail", "from", what, limit.Prefix(from))},
		{budgets.Mails.ToAddress.Rate(), r.LimitKey("mail", "to", what, canonical)},
	} {
		if d := m.Limits.Spend(ctx, budget.key, budget.rate); !d.OK {
			return d.RetryAfter, false
		}
	}
	return 0, true
}

// Send makes a challenge and its mail in the transaction of the change that it belongs to, and returns its id. A decoy
// costs the same statements.
func (m Mailer) Send(ctx context.Context, tx realm.Tx, n New, l Letter, now time.Time) (uuid.UUID, error) {
	own := l.Template == "" || l.Template == n.template()
	if l.Template == "" {
		l.Template = n.template()
	}
	s, err := issue(ctx, tx, m.Random, n, string(l.Template), now)
	if err != nil {
		return uuid.Nil, err
	}
	r := tx.In()
	message := notify.Message{
		Template: l.Template, User: n.User, To: n.Address, Locale: l.Locale, Suppressed: own && n.Decoy, ExpiresAt: now.Add(n.Purpose.Life()),
		Data: map[string]string{
			"code_minutes": strconv.Itoa(int(CodeLife / time.Minute)), "recover": r.Issuer + "/recover", "signin": signIn(r),
		},
	}
	if l.App != "" {
		message.Data["app"] = l.App
	}
	if own {
		// The link's host is the realm's configured issuer, whatever the request says (RS-03).
		message.Secrets = map[string]string{"code": s.code, "link": r.Issuer + "/" + n.Purpose.path() + "/" + s.token}
	}
	if _, err := notify.Send(ctx, tx, message, now); err != nil {
		return uuid.Nil, err
	}
	if proved := r.Flags.RequireEmailVerification; n.Registers && (proved == nil || !*proved) {
		return s.id, m.Unproved(ctx, tx, s.id) // for a decoy as well
	}
	return s.id, nil
}

// Again sends what a flow waits for once more, under a new code and link; the older ones end. It returns the new
// challenge's id, and realm.ErrUnknown when the flow waits for nothing.
func (m Mailer) Again(ctx context.Context, tx realm.Tx, flow string, l Letter, now time.Time) (uuid.UUID, error) {
	row, err := db.New().OfFlow(ctx, tx, flow)
	if postgres.NoRows(err) {
		return uuid.Nil, fmt.Errorf("challenge: %w", realm.ErrUnknown)
	}
	if err != nil {
		return uuid.Nil, fmt.Errorf("read what a flow waits for: %w", err)
	}
	n := New{
		Purpose: Purpose(row.Purpose), User: orNil(row.UserID), Address: row.Address, Shown: row.Shown, Tx: flow, Registers: row.Registers, Decoy: row.Decoy,
	}
	if row.Payload != nil {
		if n.Payload, err = tx.In().DataKey.Open(row.Payload, payloadAAD(tx.In(), row.ID)); err != nil {
			return uuid.Nil, fmt.Errorf("open a challenge's payload: %w", err)
		}
	}
	l.Template = notify.Template(row.Template)
	return m.Send(ctx, tx, n, l, now)
}

// signIn is where somebody signs in who comes from no application: where the realm says that people start, else the
// page that says so.
func signIn(r realm.Realm) string {
	if r.Settings.StartURL != "" {
		return r.Settings.StartURL
	}
	return r.Issuer
}

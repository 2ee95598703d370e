// Package mail is what sends mails: the Message, the Sender that every way of sending implements, and the Chain that
// tries several in order. What a mail says and when it is tried again belongs to package notify.
//
// Senders are mail/smtp and, for development and tests, mail/capture; each passes the suite in mail/mailtest. A new one
// is a package and a line in app/plugins.go.
package mail

import (
	"context"
	"errors"
	"fmt"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// Sender sends one mail. It is safe for concurrent use and returns when the mail was taken, or an *Error that says
// whether trying again makes sense. Where it cannot know whether the mail was taken, it says that it was not.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Message is one mail to one person, as text and as HTML. Senders add Auto-Submitted: auto-generated (RFC 3834 §5) and
// nothing that tells which program or machine sent it.
type Message struct {
	// ID is the Message-ID without its angle brackets. It is the same at every attempt (RFC 5322 §3.6.4).
	ID         string
	Date       time.Time
	From, To   Address
	ReplyTo    Address // the zero value is none
	Subject    string
	Text, HTML string
}

// Check tells whether the message can be sent without writing more headers than meant (ID-02). Senders call it first.
func (m Message) Check() error {
	switch {
	case m.ID == "" || strings.ContainsFunc(m.ID, notInID) || strings.Count(m.ID, "@") != 1:
		return errors.New("the Message-ID is not left@right")
	case m.Date.IsZero():
		return errors.New("the mail has no date")
	case strings.ContainsFunc(m.Subject, unicode.IsControl):
		return errors.New("the subject holds a line break or another control character")
	case m.Text == "" || m.HTML == "":
		return errors.New("the mail lacks its text or its HTML")
	}
	if m.ReplyTo != (Address{}) {
		if err := m.ReplyTo.check(); err != nil {
			return err
		}
	}
	return errors.Join(m.From.check(), m.To.check())
}

func notInID(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`<>()[]\,:;"`, r) }

// Address is whom a mail is from or to.
type Address struct {
	// Name is shown beside the mailbox; "" for none.
	Name string
	// Mailbox is local@domain, the domain as A-labels.
	Mailbox string
}

const (
	maxMailbox = 254 // octets; RFC 5321 §4.5.3.1.3 with erratum 1690
	maxName    = 200 // octets; a header line has at most 998
)

// ParseAddress reads local@domain or Name <local@domain>. Its errors do not repeat what was given.
func ParseAddress(s string) (Address, error) {
	if strings.ContainsFunc(s, unicode.IsControl) || !utf8.ValidString(s) {
		return Address{}, errors.New("an address holds a line break or another control character")
	}
	parsed, err := netmail.ParseAddress(s)
	if err != nil {
		return Address{}, errors.New("this is not local@domain or Name <local@domain>")
	}
	at := strings.LastIndexByte(parsed.Address, '@')
	domain, err := idna.New(idna.MapForLookup(), idna.Transitional(false), idna.VerifyDNSLength(true)).ToASCII(parsed.Address[at+1:])
	if err != nil {
		return Address{}, errors.New("the domain of an address is not one")
	}
	a := Address{Name: parsed.Name, Mailbox: parsed.Address[:at+1] + domain}
	return a, a.check()
}

// Domain is what stands behind the @.
func (a Address) Domain() string { return a.Mailbox[strings.LastIndexByte(a.Mailbox, '@')+1:] }

// check refuses what could end a header or a command and start another (ID-02). The quoted form of local parts, which
// would allow spaces and a second @, is refused as user.Email refuses it.
func (a Address) check() error {
	local, domain, found := strings.Cut(a.Mailbox, "@")
	switch {
	case !found || local == "" || domain == "" || len(a.Mailbox) > maxMailbox:
		return errors.New("an address is not local@domain")
	case strings.ContainsFunc(a.Mailbox, notInMailbox) || strings.Contains(domain, "@"):
		return errors.New("an address holds a character that no mailbox has")
	case len(a.Name) > maxName || !utf8.ValidString(a.Name) || strings.ContainsFunc(a.Name, unicode.IsControl):
		return errors.New("the name beside an address is too long or holds a control character")
	}
	return nil
}

func notInMailbox(r rune) bool {
	return !unicode.IsGraphic(r) || unicode.IsSpace(r) || r == utf8.RuneError || strings.ContainsRune(`"(),:;<>[]\`, r)
}

// Kind says what a failed attempt means.
type Kind int

// The kinds of failure.
const (
	// Temporary: this mail was not taken now; the sender itself works.
	Temporary Kind = iota
	// Unavailable: the sender cannot be reached, hangs, broke off or does not let us in; no mail gets through.
	Unavailable
	// Permanent: this mail will never be taken.
	Permanent
)

// Error says why a mail was not sent.
type Error struct {
	Kind Kind
	// Code is one of few words, to be stored, counted and shown: "refused", "deferred", "unreachable".
	Code string
	// RetryAfter is how long trying makes no sense; zero when that is not known.
	RetryAfter time.Duration
	// Err is the cause, for the log. It holds no address.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("mail not sent (%s): %v", e.Code, e.Err) }

// Unwrap is the cause.
func (e *Error) Unwrap() error { return e.Err }

// Fail makes an *Error.
func Fail(kind Kind, code string, cause error) error {
	return &Error{Kind: kind, Code: code, Err: cause}
}

// Cause finds what kind of failure err is; one that no sender made counts as temporary.
func Cause(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	return &Error{Kind: Temporary, Code: "unknown", Err: err}
}

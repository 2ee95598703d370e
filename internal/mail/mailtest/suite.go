package mailtest

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/mail"
)

// Message is a mail with nothing wrong.
func Message() mail.Message {
	return mail.Message{
		ID: "0193-test@login.example.com", Date: time.Date(2026, time.March, 1, 12, 30, 0, 0, time.UTC),
		From:    mail.Address{Name: "Ätna \"Login\"", Mailbox: "login@example.com"},
		To:      mail.Address{Mailbox: "ana@example.org"},
		Subject: "Código 123456 – grüße", Text: "Olá\n.\nYour code is 123456\n", HTML: "<p>Your code is <b>123456</b></p>",
	}
}

// Received is what came out at the other end.
type Received struct {
	To string
	// ID is the Message-ID without angle brackets.
	ID string
}

// Run runs the suite. open makes a sender that reaches its end, and what tells the mails that arrived there.
func Run(t *testing.T, open func(t *testing.T) (sender mail.Sender, received func() []Received)) {
	t.Run("a mail arrives once, under its id", func(t *testing.T) {
		t.Parallel()
		sender, received := open(t)
		require.NoError(t, sender.Send(t.Context(), Message()))
		require.Equal(t, []Received{{To: "ana@example.org", ID: "0193-test@login.example.com"}}, received())
	})
	t.Run("an address of another script arrives", func(t *testing.T) {
		t.Parallel()
		sender, received := open(t)
		m := Message()
		var err error
		m.To, err = mail.ParseAddress("josé@straße.example")
		require.NoError(t, err)
		require.NoError(t, sender.Send(t.Context(), m))
		require.Equal(t, "josé@xn--strae-oqa.example", received()[0].To)
	})
	t.Run("ID-02: what could write another header is refused for good", func(t *testing.T) {
		t.Parallel()
		sender, received := open(t)
		for name, spoil := range spoiled() {
			m := Message()
			spoil(&m)
			err := sender.Send(t.Context(), m)
			require.Error(t, err, name)
			require.Equal(t, mail.Permanent, mail.Cause(err).Kind, name)
		}
		require.Empty(t, received())
	})
	t.Run("many at once do not disturb each other", func(t *testing.T) {
		t.Parallel()
		sender, received := open(t)
		var all sync.WaitGroup
		errs := make([]error, 10)
		for i := range errs {
			all.Go(func() {
				m := Message()
				m.To.Mailbox = strings.Repeat("a", i+1) + "@example.org"
				errs[i] = sender.Send(context.WithoutCancel(t.Context()), m)
			})
		}
		all.Wait()
		to := map[string]bool{}
		for _, r := range received() {
			to[r.To] = true
		}
		require.Len(t, to, len(errs), "%v", errs)
	})
}

// spoiled are the ways to break out of a header or a command.
func spoiled() map[string]func(*mail.Message) {
	return map[string]func(*mail.Message){
		"line break in the recipient": func(m *mail.Message) { m.To.Mailbox = "ana@example.org\r\nBcc: eve@example.net" },
		"second recipient":            func(m *mail.Message) { m.To.Mailbox = "ana@example.org,eve@example.net" },
		"end of the path":             func(m *mail.Message) { m.To.Mailbox = "ana@example.org> NOTIFY=SUCCESS" },
		"two at signs":                func(m *mail.Message) { m.To.Mailbox = "ana@evil@example.org" },
		"quoted local part":           func(m *mail.Message) { m.To.Mailbox = `"ana@evil"@example.org` },
		"line break in a name":        func(m *mail.Message) { m.From.Name = "Login\nBcc: eve@example.net" },
		"line break in the sender":    func(m *mail.Message) { m.From.Mailbox = "login@example.com\nX: y" },
		"line break in the reply-to":  func(m *mail.Message) { m.ReplyTo.Mailbox = "help@example.com\nX: y" },
		"line break in the subject":   func(m *mail.Message) { m.Subject = "Hello\r\nBcc: eve@example.net" },
		"NUL in the subject":          func(m *mail.Message) { m.Subject = "Hello\x00" },
		"line break in the id":        func(m *mail.Message) { m.ID = "a@b>\r\nBcc: eve@example.net" },
		"nobody":                      func(m *mail.Message) { m.To.Mailbox = "" },
	}
}

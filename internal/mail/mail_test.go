package mail_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/mailtest"
)

func TestID02_ParseAddress(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]mail.Address{
		"ana@example.org":                 {Mailbox: "ana@example.org"},
		"Ana Silva <ana@example.org>":     {Name: "Ana Silva", Mailbox: "ana@example.org"},
		`"Silva, Ana" <ana@example.org>`:  {Name: "Silva, Ana", Mailbox: "ana@example.org"},
		"ana+x@BÜCHER.example":            {Mailbox: "ana+x@xn--bcher-kva.example"},
		"josé@straße.example":             {Mailbox: "josé@xn--strae-oqa.example"},
		"Gatehouse <gatehouse@localhost>": {Name: "Gatehouse", Mailbox: "gatehouse@localhost"},
	} {
		got, err := mail.ParseAddress(given)
		require.NoError(t, err, given)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{
		"", "ana", "@example.org", "ana@", "a b@example.org", "ana@example.org\r\nBcc: eve@example.net", "ana@example.org\n",
		"ana@example.org, eve@example.net", `"a@b"@example.org`, "a@b@example.org", "ana\x00@example.org", "ana@exa mple.org",
		"=?utf-8?q?a=0D=0AX:_y?= <ana@example.org>", "ana@[127.0.0.1]",
	} {
		_, err := mail.ParseAddress(bad)
		require.Error(t, err, "%q", bad)
		if bad != "" {
			require.NotContains(t, err.Error(), bad)
		}
	}
}

// scripted answers each mail with the next error, nil at the end.
type scripted struct {
	errs  []error
	calls int
}

func (s *scripted) Send(context.Context, mail.Message) error {
	s.calls++
	if s.calls <= len(s.errs) {
		return s.errs[s.calls-1]
	}
	return nil
}

// asking fails always and, while it does, calls during.
type asking struct {
	during func()
	calls  int
}

func (a *asking) Send(context.Context, mail.Message) error {
	a.calls++
	if a.during != nil {
		a.during()
	}
	return mail.Fail(mail.Unavailable, "timeout", errors.New("x"))
}

func TestChain(t *testing.T) {
	t.Parallel()
	away := mail.Fail(mail.Unavailable, "unreachable", errors.New("x"))
	deferred := mail.Fail(mail.Temporary, "deferred", errors.New("x"))
	refused := mail.Fail(mail.Permanent, "refused", errors.New("x"))
	type bundle struct {
		chain         *mail.Chain
		first, second *scripted
		now           *time.Time
	}
	setup := func(first, second []error) bundle {
		now := time.Unix(0, 0)
		b := bundle{first: &scripted{errs: first}, second: &scripted{errs: second}, now: &now}
		b.chain = mail.NewChain(func() time.Time { return now }, slog.New(slog.DiscardHandler),
			mail.Named{Name: "first", Sender: b.first}, mail.Named{Name: "second", Sender: b.second})
		return b
	}
	send := func(t *testing.T, b bundle) error { t.Helper(); return b.chain.Send(t.Context(), mailtest.Message()) }

	t.Run("the second is asked only when the first fails", func(t *testing.T) {
		t.Parallel()
		b := setup([]error{nil, away, deferred}, nil)
		for range 3 {
			require.NoError(t, send(t, b))
		}
		require.Equal(t, 3, b.first.calls)
		require.Equal(t, 2, b.second.calls)
	})
	t.Run("what is refused for good is not offered again", func(t *testing.T) {
		t.Parallel()
		b := setup([]error{refused}, nil)
		require.Equal(t, mail.Permanent, mail.Cause(send(t, b)).Kind)
		require.Zero(t, b.second.calls)
	})
	t.Run("one that fails three times is passed over, then tried by one mail", func(t *testing.T) {
		t.Parallel()
		b := setup([]error{away, away, away, away}, nil)
		for range 5 {
			require.NoError(t, send(t, b))
		}
		require.Equal(t, 3, b.first.calls)
		*b.now = b.now.Add(5 * time.Second)
		require.NoError(t, send(t, b))
		require.NoError(t, send(t, b))
		require.Equal(t, 4, b.first.calls, "it failed again and is left alone for twice as long")
		*b.now = b.now.Add(10 * time.Second)
		require.NoError(t, send(t, b))
		require.NoError(t, send(t, b))
		require.Equal(t, 6, b.first.calls, "it works again")
	})
	t.Run("answers that concern one mail never open the breaker", func(t *testing.T) {
		t.Parallel()
		b := setup([]error{deferred, refused, deferred, refused, deferred}, nil)
		for range 6 {
			_ = send(t, b)
		}
		require.Equal(t, 6, b.first.calls)
	})
	t.Run("with all passed over it says for how long and tries nothing", func(t *testing.T) {
		t.Parallel()
		b := setup([]error{away, away, away}, []error{away, away, away})
		for range 3 {
			require.Equal(t, "unreachable", mail.Cause(send(t, b)).Code)
		}
		cause := mail.Cause(send(t, b))
		require.Equal(t, "paused", cause.Code)
		require.Equal(t, 5*time.Second, cause.RetryAfter)
		open := map[string]bool{}
		b.chain.Open(func(name string, is bool) { open[name] = is })
		require.Equal(t, map[string]bool{"first": true, "second": true}, open)
	})
	t.Run("while one mail tries a sender, others pass it over", func(t *testing.T) {
		t.Parallel()
		now, second := time.Unix(0, 0), &scripted{}
		first := &asking{}
		chain := mail.NewChain(func() time.Time { return now }, slog.New(slog.DiscardHandler),
			mail.Named{Name: "first", Sender: first}, mail.Named{Name: "second", Sender: second})
		for range 3 {
			require.NoError(t, chain.Send(t.Context(), mailtest.Message()))
		}
		now = now.Add(time.Minute)
		first.during = func() { require.NoError(t, chain.Send(t.Context(), mailtest.Message())) }
		require.NoError(t, chain.Send(t.Context(), mailtest.Message()))
		require.Equal(t, 4, first.calls)
	})
	t.Run("without senders it says so", func(t *testing.T) {
		t.Parallel()
		err := mail.NewChain(nil, slog.New(slog.DiscardHandler)).Send(t.Context(), mailtest.Message())
		require.ErrorIs(t, err, mail.ErrNoSender)
		require.Equal(t, "unconfigured", mail.Cause(err).Code)
	})
}

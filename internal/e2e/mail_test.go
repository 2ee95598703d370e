package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
	"github.com/gatehouse-id/gatehouse/internal/mail/mailtest"
	"github.com/gatehouse-id/gatehouse/internal/notify"
	"github.com/gatehouse-id/gatehouse/internal/outbox"
	"github.com/gatehouse-id/gatehouse/internal/postgres/jobs"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// mails delivers what waits in a realm, as the background work would, and returns the outbox, the last mail first.
func (i *instance) mails(t testing.TB, slug string) []capture.Kept {
	t.Helper()
	r := i.Realm(t, slug)
	rows, err := r.Query(t.Context(), `SELECT id FROM deliveries WHERE status = 'pending' AND next_at <= $1 ORDER BY created_at, id`, i.Clock.Now())
	require.NoError(t, err)
	var ids []uuid.UUID
	for rows.Next() {
		var id uuid.UUID
		require.NoError(t, rows.Scan(&id))
		ids = append(ids, id)
	}
	require.NoError(t, rows.Err())
	for _, id := range ids {
		require.NoError(t, i.Mail.Deliver(t.Context(), r, jobs.Work{Realm: r.ID, Row: id}))
	}
	return i.Outbox.Mails()
}

// notify writes a message as a use case would.
func (i *instance) notify(t testing.TB, slug string, m notify.Message) {
	t.Helper()
	require.NoError(t, i.Realm(t, slug).InTx(t.Context(), func(tx realm.Tx) error {
		_, err := notify.Send(t.Context(), tx, m, i.Clock.Now())
		return err
	}))
}

func verification(i *instance) notify.Message {
	return notify.Message{
		Template: notify.Verify, To: "ana@example.test", Data: map[string]string{"app": "Web shop", "code_minutes": "10"},
		Secrets:   map[string]string{"code": "482913", "link": i.Issuer("one") + "/.well-known/openid-configuration?from=mail"},
		ExpiresAt: i.Clock.Now().Add(24 * time.Hour),
	}
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	i := start(t, realmFile("one"))
	i.notify(t, "one", verification(i))
	require.Len(t, i.mails(t, "one"), 1)
	get := func(host string) (int, []byte) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, i.URL+outbox.Path+"/mails.json", nil)
		require.NoError(t, err)
		req.Host = host
		resp, err := http.DefaultClient.Do(req)
		require.NoError(t, err)
		body, err := io.ReadAll(resp.Body)
		require.NoError(t, errors.Join(err, resp.Body.Close()))
		return resp.StatusCode, body
	}
	t.Run("tells programs what was sent", func(t *testing.T) {
		t.Parallel()
		status, body := get("")
		require.Equal(t, http.StatusOK, status)
		var list []struct {
			To           string
			Codes, Links []string
		}
		require.NoError(t, json.Unmarshal(body, &list))
		require.Len(t, list, 1)
		require.Equal(t, "ana@example.test", list[0].To)
		require.Equal(t, []string{"482913"}, list[0].Codes)
		require.Len(t, list[0].Links, 1)
	})
	t.Run("answers no page that made its own name point here", func(t *testing.T) {
		t.Parallel()
		status, body := get("evil.example")
		require.Equal(t, http.StatusMisdirectedRequest, status)
		require.NotContains(t, string(body), "482913")
	})
}

// A mail server hangs at one mail and dies in the middle of the next: whoever signs in meanwhile notices nothing, and the
// second mail arrives once, by the background work of whichever of two processes takes it. Their clock goes.
func TestMailServerTrouble(t *testing.T) {
	t.Parallel()
	server := mailtest.NewServer(t, mailtest.ServerOptions{})
	server.Next(mailtest.Hang, mailtest.DieInData)
	database := testdb.NewURL(t)
	withServer := func(p *app.Process, o *app.Options) {
		o.Now, p.Config.MailFrom = time.Now, "login@example.com"
		require.NoError(t, p.Config.MailServers.UnmarshalText(fmt.Appendf(nil, "smtp://%s:%d", server.Host, server.Port)))
	}
	i := startWith(t, database, withServer, realmFile("one"))
	other := startWith(t, database, withServer)
	require.Nil(t, i.Outbox)
	i.work(t)
	other.work(t)

	i.notify(t, "one", verification(i))
	require.Eventually(t, func() bool { return server.Connections() == 1 }, time.Minute, 10*time.Millisecond)
	m := verification(i)
	m.To = "bob@example.test"
	i.notify(t, "one", m)
	newBrowser(t).code(i, "one") // requires that it succeeds

	require.Eventually(t, func() bool {
		return one[bool](t, i, "one", `SELECT EXISTS (SELECT 1 FROM deliveries WHERE status = 'sent')`)
	}, time.Minute, 50*time.Millisecond)
	require.Equal(t, 3, server.Connections())
	require.Len(t, server.Taken(), 1)
	require.Equal(t, "bob@example.test", server.Taken()[0].To)
}

func chromiumReadsMail(t *testing.T, browser chrome) {
	i := start(t, realmFile("one"))
	i.notify(t, "one", verification(i))
	i.mails(t, "one")
	for name, scripts := range bothWays {
		t.Run(name, func(t *testing.T) {
			tb := openTab(t, browser, scripts)
			tb.do(chromedp.Navigate(i.URL+outbox.Path), chromedp.WaitVisible("main .copy"))
			tb.is(`document.querySelector("main .copy").innerText === "482913"`)
			tb.do(chromedp.Click("main h2 a"), chromedp.WaitVisible("#as-html"))
			tb.is(`document.querySelector("pre").innerText.includes("Confirm your e-mail for Web shop")`)
			frame := func(is string) bool {
				ok, err := chromedp.Run(tb.ctx, chromedp.Evaluate[bool](
					`(inside => !!inside?.querySelector(".button") && `+is+`)(document.querySelector("iframe").contentDocument)`))
				return err == nil && ok
			}
			require.Eventually(t, func() bool { return frame(`inside.querySelector(".button").href.includes("from=mail")`) }, time.Minute, 10*time.Millisecond)
			require.True(t, frame(`inside.querySelector("base").target === "_blank" && inside.documentElement.scrollWidth <= inside.defaultView.innerWidth`))
			require.Empty(t, tb.violations())
		})
	}
}

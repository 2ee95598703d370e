package main

import (
	"bufio"
	"bytes"
	"context"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/testdb"
)

// newcomer is somebody at the demo, with a browser that follows every redirect.
type newcomer struct {
	*http.Client
	at   string
	page string
}

func (n *newcomer) do(t *testing.T, r *http.Request) {
	t.Helper()
	response, err := n.Do(r)
	require.NoError(t, err)
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	require.Equal(t, http.StatusOK, response.StatusCode, "%s", body)
	n.at, n.page = response.Request.URL.String(), string(body)
}

func (n *newcomer) open(t *testing.T, address string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	n.do(t, r)
}

// follow clicks the first link to an address that contains a text.
func (n *newcomer) follow(t *testing.T, part string) {
	t.Helper()
	found := regexp.MustCompile(`href="([^"]*` + regexp.QuoteMeta(part) + `[^"]*)"`).FindStringSubmatch(n.page)
	require.Len(t, found, 2, n.page)
	at, err := url.Parse(n.at)
	require.NoError(t, err)
	to, err := at.Parse(html.UnescapeString(found[1]))
	require.NoError(t, err)
	n.open(t, to.String())
}

// fill sends the page's form.
func (n *newcomer) fill(t *testing.T, action string, fields url.Values) {
	t.Helper()
	if token := regexp.MustCompile(`name="csrf" value="([^"]*)"`).FindStringSubmatch(n.page); len(token) == 2 {
		fields.Set("csrf", html.UnescapeString(token[1]))
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, action, strings.NewReader(fields.Encode()))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	n.do(t, r)
}

// startDemo runs "gatehouse dev" in this process and returns the addresses that it prints, by their labels.
func startDemo(t *testing.T) map[string]string {
	t.Helper()
	at := "http://" + freeAddress(t)
	line := []string{"dev", "--addr", "127.0.0.1:0", "--private-addr", "127.0.0.1:0", "--data-dir", t.TempDir()}
	environ := []string{"GATEHOUSE_DATABASE_URL=" + testdb.NewEmptyURL(t)}
	ctx, stop := context.WithCancel(t.Context())
	read, write := io.Pipe()
	var log bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- execute(ctx, line, environment{
			Environ: environ, Stdout: write, Stderr: &log,
			Do: operations{Dev: func(ctx context.Context, p app.Process, o app.DevOptions) error {
				o.DemoURL = at
				return app.Dev(ctx, p, o)
			}},
		})
		_ = write.Close()
	}()
	printed := map[string]string{}
	for lines := bufio.NewScanner(read); lines.Scan() && !strings.Contains(lines.Text(), "Ctrl-C"); {
		if label, value, found := strings.Cut(strings.TrimSpace(lines.Text()), "   "); found {
			printed[label] = strings.Fields(value)[0]
		}
	}
	go func() { _, _ = io.Copy(io.Discard, read) }()
	t.Cleanup(func() {
		stop()
		require.Zero(t, <-ended, log.String())
	})
	require.Equal(t, at+"/", printed["Demo application"])
	return printed
}

func TestANewcomerMakesAnAccountAtTheDemo(t *testing.T) {
	t.Parallel()
	printed := startDemo(t)
	jar, err := cookiejar.New(nil)
	require.NoError(t, err)
	n := &newcomer{Client: &http.Client{Jar: jar, Timeout: patience}}

	n.open(t, printed["Demo application"])
	require.Contains(t, n.page, `href="`+printed["Mails"]+`"`, "the page says where the mails are")
	n.fill(t, printed["Demo application"]+"login", url.Values{})
	require.Contains(t, n.page, "/recover?")
	require.Contains(t, n.page, "/email-code?")
	n.follow(t, "/signup?")
	n.fill(t, n.at, url.Values{"email": {"nova@example.org"}, "name": {"Nova"}, "new-password": {"a quiet river under stones"}})
	require.Contains(t, n.page, `name="code"`)

	var mails []struct {
		To    string
		Codes []string
	}
	require.Eventually(t, func() bool {
		return answerOf(t, printed["Mails"]+"/mails.json", "", &mails) == http.StatusOK && len(mails) > 0
	}, patience, 20*time.Millisecond)
	require.Equal(t, "nova@example.org", mails[0].To)
	n.fill(t, n.at, url.Values{"code": {mails[0].Codes[0]}})
	require.Equal(t, printed["Demo application"], n.at, n.page)
	require.Contains(t, n.page, "Hello, Nova")
	require.Contains(t, n.page, "email_verified")
}

package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/problem"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
)

// log runs write with a logger of that format and returns what it wrote.
func log(t *testing.T, format string, write func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, format, slog.LevelDebug)
	require.NoError(t, err)
	write(logger)
	return out.String()
}

// canary is what must never come out again.
const canary = "cAnAry-7f3a9"

// valuer resolves to a group that holds the canary.
type valuer struct{}

func (valuer) LogValue() slog.Value {
	return slog.GroupValue(slog.String("client_secret", canary), slog.Int("n", 1))
}

type form struct {
	Email    string
	Answer   string `json:"otp"`
	Inner    *form
	hidden   string
	Password []string
}

func TestAU03_SecretsNeverReachTheLog(t *testing.T) {
	t.Parallel()
	failed := &url.Error{Op: "Get", URL: "https://rp.test/cb?code=" + canary + "&iss=x", Err: errors.New("refused")}
	cases := map[string][]any{
		"map":             {"body", map[string]any{"user": map[string]string{"password": canary}}},
		"structure":       {"form", form{Email: canary, Answer: canary, hidden: canary, Password: []string{canary}}},
		"pointer":         {"form", &form{Inner: &form{Email: canary}}},
		"list":            {"forms", []any{form{Email: canary}, valuer{}}},
		"header":          {"header", http.Header{"Authorization": {canary}, "Cookie": {canary}, "Set-Cookie": {canary}}},
		"values":          {"query", url.Values{"code": {canary}, "refresh_token": {canary}}},
		"url":             {"url", &url.URL{Scheme: "https", Host: "rp.test", RawQuery: "access_token=" + canary}},
		"group":           {slog.Group("request", slog.Group("body", slog.String("otp", canary)))},
		"sensitive_group": {slog.Group("credentials", slog.String("value", canary))},
		"log_valuer":      {"client", valuer{}},
		"bytes":           {"raw", []byte(canary)},
		"error_with_url":  {"err", failed},
		"wrapped_error":   {"err", fmt.Errorf("call back: %w", failed)},
		"problem":         {"err", problem.New(problem.Internal).Because(failed)},
		"bearer":          {"head", "Bearer " + canary},
		"jwt":             {"seen", "got eyJhbGciOiJub25lIn0.eyJzdWIiOiIx" + canary},
		"connection":      {"target", "postgres://app:" + canary + "@db/g"},
		"address":         {"to", "ana." + canary + "@example.test"},
	}
	for _, key := range []string{
		"password", "new_password", "NewPassword", "token", "id_token_hint", "accessToken", "code", "user_code",
		"code_verifier", "client_secret", "cookie", "Set-Cookie", "authorization", "Proxy-Authorization", "email",
		"user.email", "phone_number", "client_assertion", "otp", "private_key", "signing_key", "login_hint", "credentials",
	} {
		cases["key_"+key] = []any{key, canary}
		cases["any_"+key] = []any{key, struct{ V string }{canary}}
	}
	for claim, attrs := range cases {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			for _, format := range []string{"json", "text"} {
				out := log(t, format, func(l *slog.Logger) {
					l.Info("direct", attrs...)
					l.With(attrs...).Info("with")
					l.WithGroup("g").With(attrs...).Info("grouped")
					l.WithGroup("password").Info("inside", "value", canary)
					l.Info("get /cb?code=" + canary)
				})
				require.Equal(t, 5, strings.Count(out, "\n"))
				require.NotContains(t, out, canary)
			}
		})
	}
}

func TestRedaction_spares_what_is_needed(t *testing.T) {
	t.Parallel()
	out := log(t, "json", func(l *slog.Logger) {
		l.Info("bearer authentication is required", "status_code", 200, "route", "/r/:realm/token", "took", time.Second,
			"client", "web", "kid", "k1", "err", errors.New("load session: no rows"), "list", []string{"a"}, "none", nil,
			"key_id", "k2", "barcode", "b", "problem", problem.New(problem.Gone))
	})
	require.NotContains(t, out, "redacted")
	for _, want := range []string{
		"bearer authentication", `"status_code":200`, "/r/:realm/token", `"took":1000000000`, `"load session: no rows"`,
		`["a"]`, `"none":null`, `"problem":"gone"`,
	} {
		require.Contains(t, out, want)
	}
}

func TestAU04_LogValuesAreEncoded(t *testing.T) {
	t.Parallel()
	// A line break that forges a record, ANSI in two spellings, a bidirectional
	// override, a line separator, and bytes that are not UTF-8.
	const attack = "x\r\nlevel=ERROR msg=forged \x1b[31m \u009b31m \u202e \u2028 \xff"
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			out := log(t, format, func(l *slog.Logger) {
				l.Info(attack, "agent", attack, "any", []string{attack}, "err", errors.New(attack),
					slog.Group("g", "v", attack))
			})
			require.Equal(t, 1, strings.Count(out, "\n"), "one record is one line")
			require.NotContains(t, out, "\r")
			for _, raw := range []string{"\x1b", "\u009b", "\u202e", "\u2028", "\xff"} {
				require.NotContains(t, out, raw)
			}
			require.Contains(t, out, "<U+202E>")
			if format == "json" {
				require.True(t, json.Valid([]byte(out)))
			}
		})
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()

	t.Run("adds_request_and_realm_at_the_top_level", func(t *testing.T) {
		t.Parallel()
		ctx := telemetry.WithRealm(context.WithValue(context.Background(), telemetry.FactsKey{}, &telemetry.Facts{RequestID: "r-1"}), "demo")
		out := log(t, "json", func(l *slog.Logger) {
			l.InfoContext(ctx, "plain", "a", 1)
			l.With("b", 2).WithGroup("g").With("c", 3).InfoContext(ctx, "grouped", "d", 4)
			l.Info("without")
		})
		lines := strings.Split(strings.TrimSpace(out), "\n")
		require.Contains(t, lines[0], `"request_id":"r-1","realm":"demo"`)
		require.Contains(t, lines[1], `"request_id":"r-1","realm":"demo","b":2,"g":{"c":3,"d":4}`)
		require.NotContains(t, lines[2], "request_id")
	})
	t.Run("names_the_realm_of_a_request_on_its_way", func(t *testing.T) {
		t.Parallel()
		facts := &telemetry.Facts{RequestID: "r-1"}
		ctx := context.WithValue(context.Background(), telemetry.FactsKey{}, facts)
		facts.Realm = "demo"
		other := telemetry.WithRealm(ctx, "other")
		out := log(t, "json", func(l *slog.Logger) {
			l.InfoContext(ctx, "own")
			l.InfoContext(other, "of another")
		})
		lines := strings.Split(strings.TrimSpace(out), "\n")
		require.Contains(t, lines[0], `"request_id":"r-1","realm":"demo"`)
		require.Contains(t, lines[1], `"request_id":"r-1","realm":"other"`)
	})
	t.Run("auto_is_json_when_nobody_watches", func(t *testing.T) {
		t.Parallel()
		out := log(t, "auto", func(l *slog.Logger) { l.Info("x") })
		require.True(t, json.Valid([]byte(out)))
	})
	t.Run("an_unknown_format_is_refused", func(t *testing.T) {
		t.Parallel()
		_, err := telemetry.NewLogger(&bytes.Buffer{}, "xml", slog.LevelInfo)
		require.Error(t, err)
	})
	t.Run("survives_a_value_that_panics", func(t *testing.T) {
		t.Parallel()
		out := log(t, "json", func(l *slog.Logger) { l.Info("x", "err", []error{(*url.Error)(nil), bomb{}}) })
		require.Contains(t, out, "unprintable")
	})
	t.Run("cuts_what_is_too_long", func(t *testing.T) {
		t.Parallel()
		out := log(t, "json", func(l *slog.Logger) { l.Info("x", "agent", strings.Repeat("é", 1<<20)) })
		require.Less(t, len(out), 10<<10)
	})
}

func TestLogger_handles_records_as_slog_demands(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		logger, err := telemetry.NewLogger(&out, "json", slog.LevelDebug)
		require.NoError(t, err)
		return logger.Handler()
	}, func(t *testing.T) map[string]any {
		t.Helper()
		var got map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &got), out.String())
		return got
	})
}

// TestLogger_writes_as_slog_does compares with slog's own handlers, but for what is redacted.
func TestLogger_writes_as_slog_does(t *testing.T) {
	t.Parallel()
	write := func(h slog.Handler) {
		r := slog.NewRecord(time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.FixedZone("x", 3600)), slog.LevelInfo+1, "a message", 0)
		r.Add("n", -1, "u", uint64(2), "yes", true, "f", 0.125, "whole", 3.0, "took", time.Minute, "at", time.Unix(0, 0).UTC(), "nothing", nil,
			"text", "plain", "quoted", `a "b" \\ c=d <&>`, "lines", "a\nb\t\x01", "empty", "", "wide", "é 日", "list", []int{1, 2}, "map", map[string]int{"a": 1},
			"two words", 1, slog.Group("empty"), slog.Group("g", "a", 1, slog.Group("h", "b", "c")), slog.Group("", "inline", 2))
		require.NoError(t, h.Handle(t.Context(), r))
		require.NoError(t, h.WithAttrs([]slog.Attr{slog.Int("w", 1)}).WithGroup("o").WithAttrs([]slog.Attr{slog.Int("x", 1)}).WithGroup("p").Handle(t.Context(), r))
		require.NoError(t, h.WithGroup("o").WithGroup("p").WithAttrs([]slog.Attr{slog.Group("e")}).Handle(t.Context(), slog.NewRecord(r.Time, slog.LevelWarn, "bare", 0)))
	}
	for format, theirs := range map[string]func(*bytes.Buffer) slog.Handler{
		"json": func(b *bytes.Buffer) slog.Handler { return slog.NewJSONHandler(b, nil) },
		"text": func(b *bytes.Buffer) slog.Handler { return slog.NewTextHandler(b, nil) },
	} {
		var want bytes.Buffer
		write(theirs(&want))
		require.Equal(t, want.String(), log(t, format, func(l *slog.Logger) { write(l.Handler()) }))
	}
}

func TestRedaction_takes_any_key(t *testing.T) {
	t.Parallel()
	for _, key := range []string{"\xff", "a\xff", "\xfftoken", "token\xff", "é\xf0token", "日token", "日Token", "日_token"} {
		out := log(t, "json", func(l *slog.Logger) { l.Info("x", key, canary) })
		require.Equal(t, key != "\xff" && key != "a\xff" && key != "日token", !strings.Contains(out, canary), key)
	}
}

type bomb struct{}

func (bomb) Error() string { panic("boom") }

func BenchmarkLogLine(b *testing.B) {
	var out bytes.Buffer
	logger, err := telemetry.NewLogger(&out, "json", slog.LevelInfo)
	require.NoError(b, err)
	ctx := context.WithValue(context.Background(), telemetry.FactsKey{}, &telemetry.Facts{RequestID: "0198c5e2-7f3a", Realm: "demo"})
	for b.Loop() {
		out.Reset()
		logger.InfoContext(ctx, "request", "method", "POST", "route", "/r/:realm/token", "status", 200,
			"client", "web", "took_ms", 3)
	}
}

// pieces are what was written, write by write.
type pieces struct {
	mu     sync.Mutex
	writes []string
	err    error
}

func (p *pieces) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.writes = append(p.writes, string(b))
	return len(b), p.err
}

func (p *pieces) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.writes)
}

func TestServerLogger(t *testing.T) {
	t.Parallel()

	t.Run("writes_many_lines_at_a_time", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			out := &pieces{}
			log, finish, err := telemetry.NewServerLogger(out, "json", slog.LevelInfo)
			require.NoError(t, err)
			log.Info("one")
			log.Info("two")
			require.Empty(t, out.all())
			time.Sleep(51 * time.Millisecond)
			synctest.Wait()
			require.Len(t, out.all(), 1, "a line waited too long, or not at all")
			require.Equal(t, 2, strings.Count(out.all()[0], "\n"))
			log.Info("three")
			require.NoError(t, finish())
			require.Len(t, out.all(), 2)
			time.Sleep(time.Second)
			synctest.Wait()
			require.Len(t, out.all(), 2)
		})
	})
	t.Run("does_not_let_a_warning_wait", func(t *testing.T) {
		t.Parallel()
		out := &pieces{}
		log, _, err := telemetry.NewServerLogger(out, "json", slog.LevelInfo)
		require.NoError(t, err)
		log.Info("before")
		log.With("a", 1).WithGroup("g").Warn("urgent")
		require.Equal(t, 2, strings.Count(strings.Join(out.all(), ""), "\n"))
	})
	t.Run("gathers_no_more_than_it_has_room_for", func(t *testing.T) {
		t.Parallel()
		out := &pieces{}
		log, finish, err := telemetry.NewServerLogger(out, "json", slog.LevelInfo)
		require.NoError(t, err)
		for range 1000 {
			log.Info("x", "y", strings.Repeat("z", 100))
		}
		require.NoError(t, finish())
		require.Greater(t, len(out.all()), 3)
		require.Equal(t, 1000, strings.Count(strings.Join(out.all(), ""), "\n"))
	})
	t.Run("reports_a_disk_that_is_full", func(t *testing.T) {
		t.Parallel()
		log, finish, err := telemetry.NewServerLogger(&pieces{err: errors.New("no space left")}, "json", slog.LevelInfo)
		require.NoError(t, err)
		log.Info("lost")
		require.ErrorContains(t, finish(), "no space left")
	})
}

package config_test

import (
	"encoding/base64"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

// key is 32 bytes that are not one byte repeated.
const key = "0123456789abcdef0123456789abcdef"

func ring(ids ...string) string {
	items := make([]string, 0, len(ids))
	for _, id := range ids {
		items = append(items, id+":"+base64.StdEncoding.EncodeToString([]byte(key)))
	}
	return strings.Join(items, ",")
}

// serving is the least that "serve" starts with.
func serving(more ...string) []string {
	return append([]string{
		"GATEHOUSE_PUBLIC_URL=https://login.example.com",
		"GATEHOUSE_DATABASE_URL=postgres://app:pw@db/gatehouse",
		"GATEHOUSE_SECRET_KEY=" + ring("k1"),
	}, more...)
}

func files(content map[string]string) func(string) ([]byte, error) {
	return func(path string) ([]byte, error) {
		text, ok := content[path]
		if !ok {
			return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
		}
		return []byte(text), nil
	}
}

func invalid(t *testing.T, environ []string, o config.Options) config.Invalid {
	t.Helper()
	_, err := config.Load(environ, o)
	require.Error(t, err)
	var issues config.Invalid
	require.ErrorAs(t, err, &issues)
	return issues
}

func TestLoad_defaults(t *testing.T) {
	t.Parallel()

	t.Run("serve_starts_with_three_settings", func(t *testing.T) {
		t.Parallel()
		c, err := config.Load(serving(), config.Options{Mode: config.ModeServe})
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:8080", c.Addr)
		require.Equal(t, "127.0.0.1:9090", c.PrivateAddr)
		require.Equal(t, config.Origin("https://login.example.com"), c.PublicURL)
		require.Equal(t, config.Bytes(256<<20), c.PasswordMemory)
		require.Equal(t, 5*time.Second, c.ShutdownDelay)
		require.Equal(t, slog.LevelInfo, c.LogLevel)
		require.Empty(t, c.RealmFiles)
		require.False(t, c.AllowAutoRegistration)
		require.False(t, c.RequireEmailVerification)
		require.False(t, c.ForcePasswordRotation)
		require.True(t, c.EnableMFA)
	})
	t.Run("dev_starts_with_none_and_stops_at_once", func(t *testing.T) {
		t.Parallel()
		c, err := config.Load(nil, config.Options{Mode: config.ModeDev})
		require.NoError(t, err)
		require.Zero(t, c.ShutdownDelay)
		require.True(t, c.DatabaseURL.IsZero())
	})
	t.Run("an_empty_value_counts_as_none", func(t *testing.T) {
		t.Parallel()
		c, err := config.Load(serving("GATEHOUSE_ADDR=", "GATEHOUSE_REALM_FILES=", "ENABLE_MFA="),
			config.Options{Mode: config.ModeServe})
		require.NoError(t, err)
		require.Equal(t, "127.0.0.1:8080", c.Addr)
		require.Empty(t, c.RealmFiles)
		require.True(t, c.EnableMFA)
	})
	t.Run("migrate_needs_a_database_only", func(t *testing.T) {
		t.Parallel()
		_, err := config.Load([]string{"GATEHOUSE_MIGRATION_DATABASE_URL=postgres://o@db/g"},
			config.Options{Mode: config.ModeMigrate})
		require.NoError(t, err)
	})
}

func TestLoad_precedence(t *testing.T) {
	t.Parallel()
	const name = "GATEHOUSE_DRAIN_TIMEOUT"
	file := files(map[string]string{"/etc/gatehouse.yaml": "drain_timeout: 7s\n"})
	for _, row := range []struct {
		claim   string
		environ []string
		options config.Options
		want    time.Duration
		source  config.Source
	}{
		{"default", nil, config.Options{}, 20 * time.Second, config.SourceDefault},
		{"file_over_default", nil, config.Options{ConfigFile: "/etc/gatehouse.yaml"}, 7 * time.Second, config.SourceFile},
		{
			"file_named_by_the_environment",
			[]string{"GATEHOUSE_CONFIG_FILE=/etc/gatehouse.yaml"},
			config.Options{},
			7 * time.Second, config.SourceFile,
		},
		{
			"env_over_file",
			[]string{name + "=8s"},
			config.Options{ConfigFile: "/etc/gatehouse.yaml"},
			8 * time.Second, config.SourceEnv,
		},
		{
			"flag_over_env",
			[]string{name + "=8s"},
			config.Options{ConfigFile: "/etc/gatehouse.yaml", Flags: map[string]string{name: "9s"}},
			9 * time.Second, config.SourceFlag,
		},
	} {
		t.Run(row.claim, func(t *testing.T) {
			t.Parallel()
			o := row.options
			o.Mode, o.ReadFile = config.ModeServe, file
			c, err := config.Load(serving(row.environ...), o)
			require.NoError(t, err)
			require.Equal(t, row.want, c.DrainTimeout)
			for _, s := range c.Settings() {
				if s.Name == name {
					require.Equal(t, row.source, s.Source)
					return
				}
			}
			t.Fatalf("%s is not listed", name)
		})
	}
}

func TestLoad_yaml(t *testing.T) {
	t.Parallel()
	load := func(text string) (config.Config, error) {
		return config.Load(nil, config.Options{
			Mode: config.ModeServe, ConfigFile: "g.yaml",
			ReadFile: files(map[string]string{"g.yaml": text, "/run/db": "postgres://app:pw@db/g\n"}),
		})
	}
	base := "public_url: https://login.example.com\nsecret_key: " + ring("k1") + "\ndatabase_url_file: /run/db\n"

	t.Run("lists_flags_and_files_of_secrets_can_be_given", func(t *testing.T) {
		t.Parallel()
		c, err := load(base + "trusted_proxies: [10.0.0.0/8, 192.168.1.7]\nrealm_files:\n- a.yaml\n- b.yaml\nenable_mfa: false\n")
		require.NoError(t, err)
		require.Equal(t, "postgres://app:pw@db/g", c.DatabaseURL.Reveal())
		require.Len(t, c.TrustedProxies.Prefixes(), 2)
		require.Equal(t, []string{"a.yaml", "b.yaml"}, c.RealmFiles)
		require.False(t, c.EnableMFA)
	})
	for claim, row := range map[string]struct{ text, want string }{
		"an_unknown_key_names_its_line_and_the_nearest": {"adr: x\n", "g.yaml:4: adr is not a setting. Did you mean addr?"},
		"a_key_twice_is_refused":                        {"addr: a:1\naddr: b:2\n", "g.yaml:5: addr occurs twice"},
		"a_nested_value_is_refused":                     {"addr: {host: x}\n", "g.yaml:4: addr is neither a value nor a list"},
		"broken_text_names_its_line":                    {"addr: [\n", "g.yaml is not YAML"},
	} {
		t.Run(claim, func(t *testing.T) {
			t.Parallel()
			_, err := load(base + row.text)
			require.ErrorContains(t, err, row.want)
		})
	}
	t.Run("a_missing_file_is_refused", func(t *testing.T) {
		t.Parallel()
		_, err := config.Load(nil, config.Options{Mode: config.ModeDev, ConfigFile: "x.yaml", ReadFile: files(nil)})
		require.ErrorContains(t, err, "GATEHOUSE_CONFIG_FILE names a file that cannot be read")
	})
}

func TestLoad_unknown_names(t *testing.T) {
	t.Parallel()
	for _, row := range []struct{ given, want string }{
		{"GATEHOUSE_DATABSE_URL=x", "GATEHOUSE_DATABSE_URL is not a setting. Did you mean GATEHOUSE_DATABASE_URL?"},
		{"GATEHOUSE_ENABLE_MFA=true", "Did you mean ENABLE_MFA?"},
		{"GATEHOUSE_SECRET_KEY_FIL=x", "Did you mean GATEHOUSE_SECRET_KEY_FILE?"},
		{"GATEHOUSE_COFFEE_STRENGTH=9", `"gatehouse config show" lists the names`},
		{"GATEHOUSE_PORT=8080", "GATEHOUSE_PORT is not a setting"},
	} {
		t.Run(row.given, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load([]string{row.given}, config.Options{Mode: config.ModeDev})
			require.ErrorContains(t, err, row.want)
		})
	}
	t.Run("an_unknown_flag_is_refused", func(t *testing.T) {
		t.Parallel()
		_, err := config.Load(nil, config.Options{Mode: config.ModeDev, Flags: map[string]string{"GATEHOUSE_ADR": "x"}})
		require.ErrorContains(t, err, "Did you mean GATEHOUSE_ADDR?")
	})
	t.Run("names_of_others_pass", func(t *testing.T) {
		t.Parallel()
		_, err := config.Load([]string{
			"HOME=/root", "GATEHOUSE_TEST_DATABASE_URL=postgres://x", "GATEHOUSE_PG_BIN=/usr/lib/postgresql/15/bin",
			"GATEHOUSE_SERVICE_HOST=10.0.0.1", "GATEHOUSE_SERVICE_PORT_HTTP=80", "GATEHOUSE_PORT=tcp://10.0.0.1:80",
			"GATEHOUSE_PORT_80_TCP_ADDR=10.0.0.1", "GATEHOUSE_REDIS_PORT=tcp://10.0.0.2:6379",
			"GATEHOUSE_REDIS_SERVICE_HOST=10.0.0.2", "GATEHOUSE_REDIS_PORT_6379_TCP=tcp://10.0.0.2:6379",
		}, config.Options{Mode: config.ModeDev})
		require.NoError(t, err)
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		claim   string
		mode    config.Mode
		environ []string
		want    string
	}{
		{"serve_needs_a_public_url", config.ModeServe, nil, "GATEHOUSE_PUBLIC_URL is missing"},
		{"serve_needs_a_database", config.ModeServe, nil, "GATEHOUSE_DATABASE_URL is missing"},
		{"mail_needs_a_sender", config.ModeServe, serving("GATEHOUSE_SMTP_URL=smtps://mail.test"), "GATEHOUSE_MAIL_FROM is missing"},
		{"a_sender_is_one_address", config.ModeServe, serving("GATEHOUSE_MAIL_FROM=a@b.test, c@d.test"), "GATEHOUSE_MAIL_FROM is not an address"},
		{"a_mail_server_has_a_scheme", config.ModeServe, serving("GATEHOUSE_SMTP_URL=mail.test:25"), "server 1 does not begin with smtps:// or smtp://"},
		{"serve_needs_a_key", config.ModeServe, nil, "GATEHOUSE_SECRET_KEY is missing"},
		{"worker_needs_a_key", config.ModeWorker, nil, "GATEHOUSE_SECRET_KEY is missing"},
		{"plain_http_is_refused", config.ModeServe, []string{"GATEHOUSE_PUBLIC_URL=http://login.example.com"}, "is not https"},
		{"a_path_is_refused", config.ModeServe, []string{"GATEHOUSE_PUBLIC_URL=https://a.test/x"}, "must be an origin"},
		{"a_query_is_refused", config.ModeServe, []string{"GATEHOUSE_PUBLIC_URL=https://a.test/?x"}, "must be an origin"},
		{"a_user_is_refused", config.ModeServe, []string{"GATEHOUSE_PUBLIC_URL=https://u@a.test"}, "contains a user name"},
		{"another_scheme_is_refused", config.ModeServe, []string{"GATEHOUSE_PUBLIC_URL=login.example.com"}, "does not start with"},
		{"dev_refuses_a_public_url_elsewhere", config.ModeDev, []string{"GATEHOUSE_PUBLIC_URL=https://a.test"}, "is not on this machine"},
		{"dev_refuses_every_interface", config.ModeDev, []string{"GATEHOUSE_ADDR=:8080"}, "is not a loopback address"},
		{"dev_refuses_a_public_metrics_address", config.ModeDev, []string{"GATEHOUSE_PRIVATE_ADDR=0.0.0.0:9090"}, "is not a loopback address"},
		{"one_listener_for_both_is_refused", config.ModeDev, []string{"GATEHOUSE_PRIVATE_ADDR=127.0.0.1:8080"}, "is the same as"},
		{"an_address_needs_a_port", config.ModeDev, []string{"GATEHOUSE_ADDR=127.0.0.1"}, "is not host:port"},
		{"a_certificate_needs_its_key", config.ModeServe, []string{"GATEHOUSE_TLS_CERT_FILE=c.pem"}, "GATEHOUSE_TLS_KEY_FILE is missing"},
		{"a_key_needs_its_certificate", config.ModeServe, []string{"GATEHOUSE_TLS_KEY_FILE=k.pem"}, "GATEHOUSE_TLS_CERT_FILE is missing"},
		{"trusting_everybody_is_refused", config.ModeServe, []string{"GATEHOUSE_TRUSTED_PROXIES=0.0.0.0/0"}, "is everybody"},
		{"a_network_with_stray_bits_is_refused", config.ModeServe, []string{"GATEHOUSE_TRUSTED_PROXIES=10.1.0.0/8"}, "did you mean 10.0.0.0/8"},
		{"a_short_key_is_refused", config.ModeServe, []string{"GATEHOUSE_SECRET_KEY=k1:AAAA"}, `"k1" has 3 bytes instead of 32`},
		{"a_key_without_id_is_refused", config.ModeServe, []string{"GATEHOUSE_SECRET_KEY=AAAA"}, "has no id"},
		{"a_key_id_twice_is_refused", config.ModeServe, []string{"GATEHOUSE_SECRET_KEY=" + ring("a", "a")}, "occurs twice"},
		{
			"a_constant_key_is_refused", config.ModeServe,
			[]string{"GATEHOUSE_SECRET_KEY=k1:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="},
			"one byte repeated",
		},
		{"a_flag_is_true_or_false", config.ModeDev, []string{"ENABLE_MFA=perhaps"}, `ENABLE_MFA cannot be used: "perhaps" is not true or false`},
		{"a_number_is_a_number", config.ModeDev, []string{"GATEHOUSE_DATABASE_MAX_CONNS=many"}, `"many" is not a whole number`},
		{"a_duration_has_a_unit", config.ModeDev, []string{"GATEHOUSE_DRAIN_TIMEOUT=20"}, "Give a duration such as 20s"},
		{"an_amount_has_a_known_unit", config.ModeDev, []string{"GATEHOUSE_PASSWORD_MEMORY=1lb"}, "is not an amount such as 256MiB"},
		{"too_little_memory_is_refused", config.ModeDev, []string{"GATEHOUSE_PASSWORD_MEMORY=1MiB"}, "are fewer than 40MiB"},
		{"the_pool_is_bounded", config.ModeDev, []string{"GATEHOUSE_DATABASE_MIN_CONNS=30"}, "is not between 0 and"},
		{"a_worker_is_on_or_off", config.ModeDev, []string{"GATEHOUSE_WORKER=maybe"}, "Give on or off"},
		{"a_log_format_is_known", config.ModeDev, []string{"GATEHOUSE_LOG_FORMAT=xml"}, "Give json, text or auto"},
		{"a_log_level_is_known", config.ModeDev, []string{"GATEHOUSE_LOG_LEVEL=loud"}, "Give debug, info, warn or error"},
		{"an_unknown_mode_is_refused", "party", nil, `mode "party" is unknown`},
	} {
		t.Run(row.claim, func(t *testing.T) {
			t.Parallel()
			require.Contains(t, invalid(t, row.environ, config.Options{Mode: row.mode}).Error(), row.want)
		})
	}
	t.Run("all_issues_are_told_at_once_and_each_setting_once", func(t *testing.T) {
		t.Parallel()
		issues := invalid(t, []string{"GATEHOUSE_PUBLIC_URL=nonsense", "GATEHOUSE_LOG_FORMAT=xml"},
			config.Options{Mode: config.ModeServe})
		names := make([]string, 0, len(issues))
		for _, issue := range issues {
			names = append(names, issue.Name)
		}
		require.ElementsMatch(t, []string{
			"GATEHOUSE_PUBLIC_URL", "GATEHOUSE_DATABASE_URL", "GATEHOUSE_SECRET_KEY", "GATEHOUSE_LOG_FORMAT",
		}, names)
	})
	t.Run("plain_http_is_served_on_loopback", func(t *testing.T) {
		t.Parallel()
		_, err := config.Load(serving("GATEHOUSE_PUBLIC_URL=http://localhost:8080"), config.Options{Mode: config.ModeServe})
		require.NoError(t, err)
	})
}

// TestWorks: who does the background work.
func TestWorks(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mode   config.Mode
		worker string
		want   bool
	}{
		{config.ModeServe, "on", true},
		{config.ModeServe, "off", false},
		{config.ModeDev, "on", true},
		{config.ModeWorker, "on", true},
		{config.ModeWorker, "off", true}, // one file for the server and the worker
		{config.ModeRealm, "on", false},
		{config.ModeMigrate, "on", false},
	} {
		require.Equal(t, c.want, config.Config{Mode: c.mode, Worker: c.worker}.Works(), "%+v", c)
	}
}

func TestOP01_ServeRefusesPlainHTTPToTheNetwork(t *testing.T) {
	t.Parallel()
	o := config.Options{Mode: config.ModeServe}
	issues := invalid(t, serving("GATEHOUSE_ADDR=0.0.0.0:8080"), o)
	require.Contains(t, issues.Error(), "would serve plain http to the network")

	for claim, more := range map[string][]string{
		"behind_a_declared_proxy": {"GATEHOUSE_TRUSTED_PROXIES=10.0.0.0/8"},
		"with_tls":                {"GATEHOUSE_TLS_CERT_FILE=c.pem", "GATEHOUSE_TLS_KEY_FILE=k.pem"},
	} {
		t.Run("except_"+claim, func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(serving(append(more, "GATEHOUSE_ADDR=0.0.0.0:8080")...), o)
			require.NoError(t, err)
		})
	}
}

func TestOP01_RedisOnAnotherMachineNeedsTLS(t *testing.T) {
	t.Parallel()
	o := config.Options{Mode: config.ModeServe}
	for claim, row := range map[string]struct{ address, want string }{
		"plain":                 {"redis://:hunter2@cache.example:6379/0", `reaches "cache.example" without TLS`},
		"plain_private_address": {"redis://10.0.0.2:6379", `reaches "10.0.0.2" without TLS`},
		"plain_second_machine":  {"redis://127.0.0.1:6379?addr=10.0.0.2:6379", `reaches "10.0.0.2" without TLS`},
		"certificate_unchecked": {"rediss://:hunter2@cache.example?skip_verify=1", `"skip_verify" that is unknown`},
		"another_scheme":        {"http://:hunter2@cache.example", "is not the address of a Redis"},
		"no_host":               {"redis:///0", "is not the address of a Redis"},
		"nonsense":              {"redis://:hunter2@%zz", "is not the address of a Redis"},
	} {
		t.Run(claim+"_is_refused", func(t *testing.T) {
			t.Parallel()
			said := invalid(t, serving("GATEHOUSE_REDIS_URL="+row.address), o).Error()
			require.Contains(t, said, row.want)
			require.NotContains(t, said, "hunter2")
		})
	}
	for claim, address := range map[string]string{
		"tls": "rediss://:hunter2@cache.example:6379/0?addr=other.example:6379&ca_file=/etc/ca.pem", "this_machine": "redis://127.0.0.1:6379",
		"this_machine_by_name": "redis://localhost", "a_socket": "unix:///run/redis.sock?db=1",
	} {
		t.Run(claim+"_is_taken", func(t *testing.T) {
			t.Parallel()
			_, err := config.Load(serving("GATEHOUSE_REDIS_URL="+address), o)
			require.NoError(t, err)
		})
	}
	_, err := config.Load([]string{"GATEHOUSE_REDIS_URL=redis://cache:6379"}, config.Options{Mode: config.ModeDev})
	require.NoError(t, err, "development may use any")
}

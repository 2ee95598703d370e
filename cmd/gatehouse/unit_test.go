package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/config"
)

// unit reads a systemd unit: section, then key, then the values in their order.
func unit(t *testing.T, text string) map[string]map[string][]string {
	t.Helper()
	sections, section := map[string]map[string][]string{}, ""
	for _, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
		case strings.HasPrefix(line, "["):
			section = strings.Trim(line, "[]")
			require.NotContains(t, sections, section, "twice")
			sections[section] = map[string][]string{}
		default:
			key, value, found := strings.Cut(line, "=")
			require.True(t, found, line)
			sections[section][key] = append(sections[section][key], value)
		}
	}
	return sections
}

func TestUnit(t *testing.T) {
	t.Parallel()
	text := read(t, "deploy/systemd/gatehouse.service")
	service := unit(t, text)["Service"]
	require.NotEmpty(t, service)

	t.Run("starts_a_server_that_the_configuration_accepts", func(t *testing.T) {
		t.Parallel()
		require.Len(t, service["ExecStart"], 1)
		line, found := strings.CutPrefix(service["ExecStart"][0], "/usr/local/bin/gatehouse ")
		require.True(t, found)
		_, _, err := newRoot(environment{}).Find(strings.Fields(line))
		require.NoError(t, err)

		var credentials []string
		for _, credential := range service["LoadCredential"] {
			name, _, _ := strings.Cut(credential, ":")
			credentials = append(credentials, "%d/"+name)
		}
		environ := []string{"GATEHOUSE_PUBLIC_URL=https://login.example.test"}
		for _, entry := range service["Environment"] {
			_, value, _ := strings.Cut(entry, "=")
			if strings.HasPrefix(value, "%d/") {
				require.Contains(t, credentials, value, "the file is a credential")
			}
			environ = append(environ, entry)
		}
		secrets := map[string]string{
			"%d/database-url": "postgres://gatehouse@db.example.test/gatehouse\n",
			"%d/secret-key":   "k1:MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=\n",
		}
		_, err = config.Load(environ, config.Options{Mode: config.ModeServe, ReadFile: func(path string) ([]byte, error) {
			return []byte(secrets[path]), nil
		}})
		require.NoError(t, err)
	})

	t.Run("waits_longer_than_the_server_needs_to_stop", func(t *testing.T) {
		t.Parallel()
		loaded, _ := config.Load(nil, config.Options{Mode: config.ModeServe})
		patience, err := time.ParseDuration(service["TimeoutStopSec"][0])
		require.NoError(t, err)
		require.Greater(t, patience, loaded.ShutdownDelay+loaded.DrainTimeout)
	})

	t.Run("does_not_restart_what_is_wrongly_configured", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, []string{"2"}, service["RestartPreventExitStatus"])
		require.Equal(t, 2, exitUsage)
	})

	t.Run("may_do_next_to_nothing", func(t *testing.T) {
		t.Parallel()
		for key, want := range map[string]string{
			"DynamicUser": "yes", "CapabilityBoundingSet": "", "AmbientCapabilities": "", "NoNewPrivileges": "yes", "ProtectSystem": "strict",
			"ProtectHome": "yes", "PrivateTmp": "yes", "PrivateDevices": "yes", "MemoryDenyWriteExecute": "yes", "RestrictNamespaces": "yes",
			"RestrictAddressFamilies": "AF_INET AF_INET6 AF_UNIX", "SystemCallArchitectures": "native", "UMask": "0077", "LimitCORE": "0",
		} {
			require.Equal(t, []string{want}, service[key], key)
		}
		require.Equal(t, []string{"@system-service", "~@privileged"}, service["SystemCallFilter"])
	})

	t.Run("is_what_systemd_understands", func(t *testing.T) {
		t.Parallel()
		analyze, err := exec.LookPath("systemd-analyze")
		if err != nil {
			t.Skip("systemd-analyze is not installed here; the other checks read the unit by themselves")
		}
		// The program is not installed where the unit expects it, and one that is not there counts as a fault.
		installed := regexp.MustCompile(`/usr/local/bin/gatehouse`).ReplaceAllString(text, os.Args[0])
		file := filepath.Join(t.TempDir(), "gatehouse.service")
		require.NoError(t, os.WriteFile(file, []byte(installed), 0o600))
		out, err := exec.CommandContext(t.Context(), analyze, "verify", "--man=no", file).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Empty(t, string(out), "systemd only warns of keys that it does not know")
	})
}

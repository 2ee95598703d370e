package devpg

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeRelease makes a directory whose postgres only tells a version.
func fakeRelease(t *testing.T, version string) string {
	t.Helper()
	dir := t.TempDir()
	script := "#!/bin/sh\necho 'postgres (PostgreSQL) " + version + "'\n"
	for _, name := range []string{"postgres", "initdb"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o700))
	}
	return dir
}

// These tests set environment variables, so they do not run in parallel.

func TestFindBinaries(t *testing.T) {
	t.Run("takes GATEHOUSE_PG_BIN and nothing else", func(t *testing.T) {
		dir := fakeRelease(t, "17.2")
		t.Setenv("GATEHOUSE_PG_BIN", dir)
		found, err := findBinaries(0, "")
		require.NoError(t, err)
		require.Equal(t, binaries{dir: dir, version: "17.2", major: 17}, found)

		t.Setenv("GATEHOUSE_PG_BIN", filepath.Join(dir, "missing"))
		_, err = findBinaries(0, "")
		require.ErrorContains(t, err, "GATEHOUSE_PG_BIN="+filepath.Join(dir, "missing"))
	})
	t.Run("looks beside the program that a link in the path leads to", func(t *testing.T) {
		release, path := fakeRelease(t, "18.4"), t.TempDir()
		require.NoError(t, os.Symlink(filepath.Join(release, "postgres"), filepath.Join(path, "postgres")))
		t.Setenv("GATEHOUSE_PG_BIN", "")
		t.Setenv("PATH", path+":/usr/bin:/bin")
		found, err := findBinaries(0, "")
		require.NoError(t, err)
		require.Equal(t, release, found.dir)
	})
	t.Run("finds a packaged server that is not in the path", func(t *testing.T) {
		if packaged, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb"); err != nil || len(packaged) == 0 {
			t.Skip("no packaged server here")
		}
		t.Setenv("GATEHOUSE_PG_BIN", "")
		t.Setenv("PATH", "/nonexistent")
		found, err := findBinaries(0, "")
		require.NoError(t, err)
		require.FileExists(t, found.program("initdb"))
	})
	t.Run("refuses an old server and offers three ways out", func(t *testing.T) {
		t.Setenv("GATEHOUSE_PG_BIN", fakeRelease(t, "14.9"))
		_, err := findBinaries(0, "")
		require.ErrorContains(t, err, "too old: 14.9")
		for _, way := range []string{"make deps", "GATEHOUSE_PG_BIN=", "GATEHOUSE_DATABASE_URL="} {
			require.ErrorContains(t, err, way)
		}
	})
	t.Run("does not open the files of another version", func(t *testing.T) {
		t.Setenv("GATEHOUSE_PG_BIN", fakeRelease(t, "17.2"))
		_, err := findBinaries(15, "/some/cluster")
		require.ErrorContains(t, err, "/some/cluster was made by PostgreSQL 15")
		require.ErrorContains(t, err, "17.2")
	})
}

func TestParseVersion(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]binaries{
		"postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)\n": {version: "15.18", major: 15},
		"postgres (PostgreSQL) 19beta1\n":                        {version: "19beta1", major: 19},
		"postgres (PostgreSQL) 9.6.24\n":                         {version: "9.6.24", major: 9},
	} {
		got, err := parseVersion("", line)
		require.NoError(t, err, line)
		require.Equal(t, want, got)
	}
	_, err := parseVersion("", "mysqld 8")
	require.ErrorContains(t, err, "not understood")
}

func TestPathVersionOrdersByNumber(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int{
		"/usr/lib/postgresql/9/bin": 9, "/usr/lib/postgresql/15/bin": 15, "/opt/homebrew/opt/postgresql@17/bin": 17, "/none": 0,
	} {
		require.Equal(t, want, pathVersion(path), strconv.Quote(path))
	}
}

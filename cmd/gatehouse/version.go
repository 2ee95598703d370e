package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// Releases are built with -ldflags "-X main.version=v1.2.3 -X main.commit=…". Without, the toolchain's own record is used.
var (
	version string
	commit  string //nolint:gochecknoglobals // the linker can set nothing else
)

// build says which program this is.
type build struct {
	Version string `json:"version"`
	Commit  string `json:"commit"`
	Go      string `json:"go"`
	System  string `json:"system"`
}

func readBuild() build {
	b := build{Version: version, Commit: commit, Go: runtime.Version(), System: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		b = b.completed(info)
	}
	if b.Version == "" || b.Version == "(devel)" {
		b.Version = "dev"
	}
	if b.Commit == "" {
		b.Commit = "unknown"
	}
	return b
}

// completed takes from the toolchain's record what the linker did not set.
func (b build) completed(info *debug.BuildInfo) build {
	if b.Version == "" {
		b.Version = info.Main.Version
	}
	if b.Commit != "" {
		return b
	}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.Commit = s.Value + b.Commit
		case s.Key == "vcs.modified" && s.Value == "true":
			b.Commit += "+changes"
		}
	}
	return b
}

func (c *cli) version() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Say which program this is",
		Args:  noArguments,
		RunE: func(*cobra.Command, []string) error {
			if c.output == outputJSON {
				return c.printJSON(c.Build)
			}
			_, err := fmt.Fprintf(c.Stdout, "gatehouse %s (commit %s, %s, %s)\n", c.Build.Version, c.Build.Commit, c.Build.Go, c.Build.System)
			return err
		},
	}
}

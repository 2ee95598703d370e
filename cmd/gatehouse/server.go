package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
)

func (c *cli) serve() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the server",
		Long: `Run the server until it is told to stop.

It needs a migrated database, a public URL and a secret key, and refuses to start without them. On SIGTERM or an
interrupt it answers "not ready", lets requests under way finish, and ends.

It does the background work as well, unless GATEHOUSE_WORKER is off.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.process(cmd, config.ModeServe)
			if err != nil {
				return err
			}
			log, finish, err := telemetry.NewServerLogger(c.Stderr, p.Config.LogFormat, p.Config.LogLevel)
			if err != nil {
				return fmt.Errorf("make the log: %w", err)
			}
			p.Log = log
			return errors.Join(c.Do.Serve(cmd.Context(), p), finish())
		},
	}
	addSettingFlags(cmd)
	return cmd
}

func (c *cli) worker() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Run the background work apart from the server",
		Long: `Run the background work until it is told to stop: jobs, housekeeping, the rotation of keys, and the consumers of
events. It serves nobody, only metrics and health on the private address.

It takes the settings of the server, which then runs with GATEHOUSE_WORKER=off. Any number of workers may run and
share the work. On SIGTERM or an interrupt it begins nothing more, lets jobs under way finish, and ends.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.process(cmd, config.ModeWorker)
			if err != nil {
				return err
			}
			return c.Do.Work(cmd.Context(), p)
		},
	}
	addSettingFlags(cmd, "addr")
	return cmd
}

func (c *cli) dev() *cobra.Command {
	options := app.DevOptions{Demo: true}
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run everything on this machine, with a demo to click through",
		Long: `Run the server for development: on loopback, on an embedded PostgreSQL of its own unless GATEHOUSE_DATABASE_URL
names one, with keys that it makes and keeps itself, and with a demo realm and a demo application.

It needs no configuration, and refuses to be reached from another machine.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p, err := c.process(cmd, config.ModeDev)
			if err != nil {
				return err
			}
			return c.Do.Dev(cmd.Context(), p, options)
		},
	}
	cmd.Flags().StringVar(&options.DataDir, "data-dir", "", "keep the database and the keys in this `DIR`ectory")
	cmd.Flags().BoolVar(&options.Demo, "demo", true, "make the demo realm and serve the demo application")
	addSettingFlags(cmd)
	return cmd
}

// settingAnnotation marks a flag that stands for a setting; its value is the setting's name.
const settingAnnotation = "gatehouse_setting"

// addSettingFlags offers the settings that people change from one start to the next. The others are in the environment or
// the file, and secrets are there only: arguments can be read by everybody on the machine. but names what means nothing to
// the command.
func addSettingFlags(cmd *cobra.Command, but ...string) {
	for _, f := range []struct{ flag, setting, text string }{
		{"addr", "GATEHOUSE_ADDR", "listen on this `HOST:PORT`"},
		{"private-addr", "GATEHOUSE_PRIVATE_ADDR", "serve metrics and health on this `HOST:PORT`"},
		{"public-url", "GATEHOUSE_PUBLIC_URL", "the `ORIGIN` under which browsers reach the server"},
		{"log-format", "GATEHOUSE_LOG_FORMAT", "json, text or auto as `FORMAT` of the log"},
		{"log-level", "GATEHOUSE_LOG_LEVEL", "debug, info, warn or error as `LEVEL` of the log"},
	} {
		if slices.Contains(but, f.flag) {
			continue
		}
		cmd.Flags().String(f.flag, "", f.text)
		cmd.Flags().Lookup(f.flag).Annotations = map[string][]string{settingAnnotation: {f.setting}}
	}
}

// settingFlags collects the settings that were given as flags.
func settingFlags(cmd *cobra.Command) map[string]string {
	given := map[string]string{}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if setting := f.Annotations[settingAnnotation]; len(setting) == 1 {
			given[setting[0]] = f.Value.String()
		}
	})
	return given
}

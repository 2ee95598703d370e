package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
	"github.com/gatehouse-id/gatehouse/internal/telemetry"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// environment is everything a command may touch of the world around it.
type environment struct {
	Environ        []string // in the form of os.Environ
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	ReadFile       func(path string) ([]byte, error) // for configuration files
	Build          build
	Do             operations
}

// operations are the functions of package app that the commands call.
type operations struct {
	Serve         func(context.Context, app.Process) error
	Work          func(context.Context, app.Process) error
	Dev           func(context.Context, app.Process, app.DevOptions) error
	MigrateUp     func(context.Context, app.Process) ([]postgres.Migration, error)
	Migrations    func(context.Context, app.Process) ([]postgres.Migration, error)
	RealmApply    func(context.Context, app.Process, []string, realmfile.ApplyOptions) ([]realmfile.Report, error)
	RealmList     func(context.Context, app.Process) ([]app.RealmSummary, error)
	KeysList      func(ctx context.Context, p app.Process, realm string) ([]keyset.Status, error)
	KeysRotate    func(ctx context.Context, p app.Process, realm, alg string, now bool) ([]string, error)
	SecretsRotate func(ctx context.Context, p app.Process) ([]string, error)
	Peppers       func(ctx context.Context, p app.Process) ([]app.PepperUse, error)
	KeysRevoke    func(ctx context.Context, p app.Process, realm, kid string) (string, error)
	UserList      func(ctx context.Context, p app.Process, realm string, q user.Query) (user.Page, error)
	UserShow      func(ctx context.Context, p app.Process, realm, name string) (app.UserDetails, error)
	UserCreate    func(ctx context.Context, p app.Process, realm string, n app.NewUser) (app.MadeUser, error)
	UserDo        func(ctx context.Context, p app.Process, realm, name string, act app.UserAct, reason string) (lifecycle.Result, error)

	UserSetPassword func(ctx context.Context, p app.Process, realm, name, plain string) (lifecycle.Result, error)
	UserInvite      func(ctx context.Context, p app.Process, realm, name string) (lifecycle.Mailed, error)

	UserSetOneTimePassword func(ctx context.Context, p app.Process, realm, name string, life time.Duration) (app.OneTimePassword, lifecycle.Result, error)
	UserSendVerification   func(ctx context.Context, p app.Process, realm, name string) (lifecycle.Mailed, error)
}

const rootHelp = `Gatehouse is an OpenID Connect identity provider in one program.

Settings come from flags, the environment (GATEHOUSE_…), a YAML file and defaults, the first that has one.
"gatehouse config show" lists them all.`

const exitHelp = `
Exit status:
  0  done
  1  failed
  2  wrong usage, configuration or realm file: nothing was done
  3  refused or unavailable: database not reachable or not migrated, address in use
  "devdb exec" ends with the status of the command that it runs.
`

const usageTemplate = `Usage:
  {{if .HasAvailableSubCommands}}{{.CommandPath}} COMMAND{{else}}{{.UseLine}}{{end}}{{if .HasExample}}

Examples:
{{.Example}}{{end}}{{if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding}}  {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Flags:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Global flags:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}
`

// cli is what the commands share: the environment and the global flags.
type cli struct {
	environment
	configFile string
	output     string
}

// newRoot builds the command tree on an environment.
func newRoot(env environment) *cobra.Command {
	c := &cli{environment: env}
	root := group("gatehouse", "Sign people in to applications", c.serve(), c.worker(), c.dev(), c.migrate(), c.realm(), c.user(), c.keys(), c.secrets(), c.config(),
		c.hash(), c.devdb(), c.version(), c.completion())
	root.Long = rootHelp
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetIn(env.Stdin)
	root.SetOut(env.Stdout)
	root.SetErr(env.Stderr)
	root.SetUsageTemplate(usageTemplate)
	root.SetHelpTemplate(`{{or .Long .Short | trimTrailingWhitespaces}}

{{.UsageString}}{{if not .HasParent}}` + exitHelp + `{{end}}`)
	root.SetHelpCommand(help())
	root.SetFlagErrorFunc(flagError)
	root.CompletionOptions.DisableDefaultCmd = true
	root.PersistentFlags().StringVar(&c.configFile, "config", "", "read settings from this YAML `FILE`")
	root.PersistentFlags().StringVarP(&c.output, "output", "o", outputTable, "print data in this `FORM`: table or json")
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return checkOutput(cmd, c.output) }
	// Called without a command, the program introduces itself; the groups below need one.
	root.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
	return root
}

// execute runs the command line and returns the exit status.
func execute(ctx context.Context, args []string, env environment) int {
	root := newRoot(env) //nolint:contextcheck // commands take theirs from cobra, which has it from ExecuteContext
	root.SetArgs(args)
	return report(env.Stderr, root.ExecuteContext(ctx))
}

// group makes a command that only holds others. It can be run, else cobra would answer an unknown command below it by
// help and success.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   use,
		Short: short,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return unknownCommand(cmd, args[0])
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(cmd, "a command is missing after %q", "Give one of: "+strings.Join(names(cmd), ", ")+".", cmd.CommandPath())
		},
	}
	cmd.AddCommand(commands...)
	return cmd
}

// help shows the help of a command; cobra's own answers an unknown one with success.
func help() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			found := cmd.Root()
			for _, name := range args {
				at := slices.IndexFunc(found.Commands(), func(c *cobra.Command) bool { return c.Name() == name })
				if at < 0 {
					return unknownCommand(found, name)
				}
				found = found.Commands()[at]
			}
			found.InitDefaultHelpFlag()
			return found.Help()
		},
	}
}

func (c *cli) completion() *cobra.Command {
	return &cobra.Command{
		Use:       "completion bash|zsh|fish|powershell",
		Short:     "Print a script that completes commands in a shell",
		Example:   "  source <(gatehouse completion bash)",
		ValidArgs: []string{"bash", "zsh", "fish", "powershell"},
		Args:      exactly(1, "the shell"),
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return root.GenBashCompletionV2(c.Stdout, true)
			case "zsh":
				return root.GenZshCompletion(c.Stdout)
			case "fish":
				return root.GenFishCompletion(c.Stdout, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(c.Stdout)
			default:
				return usage(cmd, "there is no completion for %q", "Give bash, zsh, fish or powershell.", args[0])
			}
		},
	}
}

// process loads the configuration for a mode and puts together what app needs. Settings that have flags on the command
// win over everything else.
func (c *cli) process(cmd *cobra.Command, mode config.Mode) (app.Process, error) {
	loaded, err := c.load(cmd, mode)
	if err != nil {
		return app.Process{}, err
	}
	log, err := telemetry.NewLogger(c.Stderr, loaded.LogFormat, loaded.LogLevel)
	if err != nil {
		return app.Process{}, fmt.Errorf("make the log: %w", err)
	}
	return app.Process{
		Config: loaded, Log: log, Stdout: c.Stdout, Stderr: c.Stderr,
		Version: c.Build.Version, Commit: c.Build.Commit,
	}, nil
}

func (c *cli) load(cmd *cobra.Command, mode config.Mode) (config.Config, error) {
	loaded, err := config.Load(c.Environ, config.Options{
		Mode: mode, ConfigFile: c.configFile, Flags: settingFlags(cmd), ReadFile: c.ReadFile,
	})
	if err != nil {
		return loaded, &misconfigured{mode: mode, err: err}
	}
	return loaded, nil
}

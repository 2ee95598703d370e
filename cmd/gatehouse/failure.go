package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gatehouse-id/gatehouse/internal/app"
	"github.com/gatehouse-id/gatehouse/internal/config"
	"github.com/gatehouse-id/gatehouse/internal/keyset"
	"github.com/gatehouse-id/gatehouse/internal/password/policy"
	"github.com/gatehouse-id/gatehouse/internal/postgres"
	"github.com/gatehouse-id/gatehouse/internal/postgres/devpg"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/realmfile"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// The exit statuses, as "gatehouse --help" explains them.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitUnavailable = 3
)

// failure is an error as a person should read it: what happened, why, and how to mend it. Why and how may be empty.
type failure struct {
	code           int
	what, why, how string
	issues         []string // everything wrong, one a line, instead of why
}

// Error implements error.
func (f *failure) Error() string { return f.what }

// misconfigured is an error of config.Load.
type misconfigured struct {
	mode config.Mode
	err  error
}

// Error implements error.
func (m *misconfigured) Error() string { return "load the configuration: " + m.err.Error() }

// Unwrap returns what Load returned.
func (m *misconfigured) Unwrap() error { return m.err }

// exitStatus ends the program with the status of another one, which has said itself what was wrong.
type exitStatus int

// Error implements error.
func (s exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(s)) }

// report tells a person what went wrong and returns the exit status. Without an error it does nothing.
func report(w io.Writer, err error) int {
	if err == nil {
		return 0
	}
	if status := exitStatus(0); errors.As(err, &status) {
		return int(status)
	}
	f := explain(err)
	var text strings.Builder
	text.WriteString("gatehouse: " + strings.TrimSuffix(f.what, ".") + "\n")
	for _, issue := range f.issues {
		text.WriteString("  - " + issue + "\n")
	}
	if f.why != "" {
		text.WriteString("  why: " + strings.ReplaceAll(strings.TrimSpace(f.why), "\n", "\n       ") + "\n")
	}
	if f.how != "" {
		text.WriteString("  mend: " + f.how + "\n")
	}
	_, _ = io.WriteString(w, text.String()) // when nobody listens, the status still tells
	return f.code
}

// explain finds out what an error means for the person at the command line.
func explain(err error) *failure {
	var f *failure
	var m *misconfigured
	var file realmfile.InvalidError
	var nobody *app.UnknownUserError
	switch {
	case errors.As(err, &f):
		return f
	case errors.As(err, &m):
		return m.failure()
	case errors.As(err, &file):
		return invalidFile(file)
	case errors.As(err, &nobody):
		return &failure{exitFailed, nobody.Error(), "", fmt.Sprintf(`look with "gatehouse user list %s --search TEXT"`, nobody.Realm), nil}
	case errors.Is(err, realm.ErrUnknown):
		return &failure{exitFailed, "there is no such realm", "", `list them with "gatehouse realm list"`, nil}
	case errors.Is(err, keyset.ErrUnknown):
		return &failure{exitFailed, err.Error(), "", `list its keys with "gatehouse keys list REALM"; a key is revoked once`, nil}
	case errors.Is(err, postgres.ErrPlaintext):
		return &failure{
			exitUsage, err.Error(), "Whoever is on the network in between could read every secret, and answer in its place.",
			"add sslmode=verify-full to the connection string, and sslrootcert=FILE for a private certificate authority; sslmode=disable takes the risk", nil,
		}
	case errors.Is(err, context.Canceled):
		return &failure{code: exitFailed, what: "interrupted"}
	}
	if f = unavailable(err); f != nil {
		return f
	}
	if f = unfit(err); f != nil {
		return f
	}
	if f = unmailable(err); f != nil {
		return f
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return &failure{exitUsage, "a file cannot be used", err.Error(), "correct the path, or let this user read it", nil}
	}
	return &failure{exitFailed, "it did not work", err.Error(), "when that does not say enough, set GATEHOUSE_LOG_LEVEL=debug and try again", nil}
}

// unfit recognises what cannot be of a person.
func unfit(err error) *failure {
	var name *user.IdentifierError
	var unfit app.UnfitPasswordError
	switch {
	case errors.As(err, &unfit):
		f := &failure{code: exitUsage, what: "the realm's policy refuses this password", how: "give another one"}
		for _, v := range unfit {
			f.issues = append(f.issues, violation(v))
		}
		return f
	case errors.As(err, &name):
		return &failure{exitUsage, "this cannot be a name to sign in with", err.Error(), "give another one", nil}
	case errors.Is(err, app.ErrNameTaken):
		return &failure{exitFailed, err.Error(), "", `look with "gatehouse user show REALM NAME"`, nil}
	case errors.Is(err, user.ErrAfter):
		return &failure{exitUsage, "--after: " + err.Error(), "", "give what the list before named, with the same --search", nil}
	}
	return nil
}

// violation says in the terminal's English what the pages say in the person's language.
func violation(v policy.Violation) string {
	counted := func(what string) string { return fmt.Sprintf("it has fewer than %v %s", v.Params["n"], what) }
	switch v.Rule {
	case policy.Length:
		return fmt.Sprintf("it is shorter than %v characters", v.Params["n"])
	case policy.Longest:
		return fmt.Sprintf("it is longer than %v characters", v.Params["n"])
	case policy.Upper:
		return counted("capital letters")
	case policy.Lower:
		return counted("small letters")
	case policy.Digits:
		return counted("digits")
	case policy.Symbols:
		return counted("symbols")
	case policy.Text:
		return "it is not text in UTF-8"
	case policy.Forbidden:
		return "it has a word that the realm forbids"
	case policy.Personal:
		return "it is built from the person's names or the realm's"
	case policy.Common:
		return "it is one of the passwords that people use most"
	case policy.Leaked:
		return "it is known from a data breach"
	case policy.Reused:
		return "it was used before"
	}
	return "it is easy to guess"
}

func invalidFile(all realmfile.InvalidError) *failure {
	f := &failure{code: exitUsage, what: "the realm file cannot be applied", how: "correct it; with --dry-run nothing changes while you try"}
	for _, issue := range all {
		f.issues = append(f.issues, issue.String())
	}
	return f
}

// unavailable recognises what is not the command's own fault and may be otherwise in a minute.
func unavailable(err error) *failure {
	switch {
	case errors.Is(err, postgres.ErrSchema):
		return &failure{exitUnavailable, "the database and this program do not fit", err.Error(), `run "gatehouse migrate up" of the version that you want to run`, nil}
	case errors.Is(err, devpg.ErrInUse):
		return &failure{exitUnavailable, "the development database is in use", err.Error(), `stop the other "gatehouse dev", or give this one another place with --data-dir`, nil}
	case errors.Is(err, syscall.EADDRINUSE):
		return &failure{exitUnavailable, "the address is in use", err.Error(), "stop the other program, or choose other addresses by GATEHOUSE_ADDR and GATEHOUSE_PRIVATE_ADDR", nil}
	case postgres.Unavailable(err), loginRefused(err):
		return &failure{exitUnavailable, "the database cannot be used", err.Error(), "start PostgreSQL, or correct GATEHOUSE_DATABASE_URL (for migrations GATEHOUSE_MIGRATION_DATABASE_URL)", nil}
	}
	return nil
}

// loginRefused recognises PostgreSQL's answers to a connection string that leads nowhere: no such user or password (class
// 28), no such database (class 3D), or no role to act as, which is how a server looks that was never migrated (22023).
func loginRefused(err error) bool {
	var answer interface{ SQLState() string }
	if !errors.As(err, &answer) {
		return false
	}
	state := answer.SQLState()
	return strings.HasPrefix(state, "28") || strings.HasPrefix(state, "3D") || state == "22023"
}

func (m *misconfigured) failure() *failure {
	f := &failure{
		code: exitUsage,
		what: fmt.Sprintf("the configuration cannot be used for %q", commandOf(m.mode)),
		how:  `"gatehouse config show" lists the settings and where their values come from`,
	}
	var invalid config.Invalid
	if !errors.As(m.err, &invalid) {
		f.why = m.err.Error()
		return f
	}
	for _, issue := range invalid {
		f.issues = append(f.issues, issue.String())
	}
	return f
}

// usage is an error in how a command was called. The mend names the command's help too.
func usage(cmd *cobra.Command, what, how string, values ...any) error {
	return &failure{
		code: exitUsage,
		what: fmt.Sprintf(what, values...),
		how:  strings.TrimSpace(how + fmt.Sprintf(` See "%s --help".`, cmd.CommandPath())),
	}
}

// names lists the commands below one that people can call.
func names(cmd *cobra.Command) []string {
	var list []string
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() {
			list = append(list, below.Name())
		}
	}
	return list
}

func unknownCommand(cmd *cobra.Command, name string) error {
	how := "The commands are: " + strings.Join(names(cmd), ", ") + "."
	if meant := config.Nearest(name, names(cmd)); meant != "" {
		how = fmt.Sprintf("Did you mean %q?", cmd.CommandPath()+" "+meant)
	}
	return usage(cmd, "there is no command %q", how, cmd.CommandPath()+" "+name)
}

// flagError explains a flag that cannot be used.
func flagError(cmd *cobra.Command, err error) error {
	how := ""
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) {
		var known []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
		if meant := config.Nearest(unknown.GetSpecifiedName(), known); meant != "" && len(unknown.GetSpecifiedName()) > 1 {
			how = "Did you mean --" + meant + "?"
		}
	}
	return usage(cmd, "%v", how, err)
}

// noArguments refuses everything that is no flag.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return usage(cmd, "%q takes no arguments, and %q is one", "Remove it.", cmd.CommandPath(), args[0])
}

// exactly demands that many arguments.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return usage(cmd, "%q needs %s", "", cmd.CommandPath(), what)
	}
}

// firstError returns the first error that is one.
func firstError(list ...error) error {
	for _, err := range list {
		if err != nil {
			return err
		}
	}
	return nil
}

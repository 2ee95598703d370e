// Command gatehouse is the identity provider and the tools around it.
//
// This package is the command line and nothing else: it reads arguments, loads the configuration, calls one function of
// package app, and turns what comes back into text and an exit status. What a command does belongs to app and the
// packages below it. There is one file for each group of commands; newRoot puts them together out of an environment that
// is handed in, so that tests run the same commands on texts of their own.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/gatehouse-id/gatehouse/internal/app"
)

func main() { os.Exit(run()) }

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks for an orderly end. The second one finds no handler any more and ends the process.
	context.AfterFunc(ctx, stop)
	return execute(ctx, os.Args[1:], environment{
		Environ:  os.Environ(),
		Stdin:    os.Stdin,
		Stdout:   os.Stdout,
		Stderr:   os.Stderr,
		ReadFile: os.ReadFile,
		Build:    readBuild(),
		Do: operations{
			Serve:         app.Serve,
			Work:          app.Work,
			Dev:           app.Dev,
			MigrateUp:     app.MigrateUp,
			Migrations:    app.Migrations,
			RealmApply:    app.RealmApply,
			RealmList:     app.RealmList,
			KeysList:      app.KeysList,
			KeysRotate:    app.KeysRotate,
			KeysRevoke:    app.KeysRevoke,
			SecretsRotate: app.SecretsRotate,
			Peppers:       app.SecretsPeppers,
			UserList:      app.UserList,
			UserShow:      app.UserShow,
			UserCreate:    app.UserCreate,
			UserDo:        app.UserDo,

			UserSetPassword: app.UserSetPassword,
			UserInvite:      app.UserInvite,

			UserSetOneTimePassword: app.UserSetOneTimePassword,
			UserSendVerification:   app.UserSendVerification,
		},
	})
}

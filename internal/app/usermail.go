package app

import (
	"context"

	"github.com/gatehouse-id/gatehouse/internal/lifecycle"
	"github.com/gatehouse-id/gatehouse/internal/realm"
	"github.com/gatehouse-id/gatehouse/internal/user"
)

// UserInvite mails the person whom a name means a link by which they set their first password. It leaves the mail in
// the queue; a server or worker sends it.
func UserInvite(ctx context.Context, p Process, slug, name string) (mailed lifecycle.Mailed, err error) {
	err = withUser(ctx, p, slug, name, func(ctx context.Context, s *System, r realm.Realm, u user.User) error {
		return r.InTx(ctx, func(tx realm.Tx) error {
			mailed, err = lifecycle.Invite(ctx, tx, s.mailer, u.ID, s.now())
			return err
		})
	})
	return mailed, err
}

// UserSendVerification mails them a link by which they confirm their address, likewise.
func UserSendVerification(ctx context.Context, p Process, slug, name string) (mailed lifecycle.Mailed, err error) {
	err = withUser(ctx, p, slug, name, func(ctx context.Context, s *System, r realm.Realm, u user.User) error {
		return r.InTx(ctx, func(tx realm.Tx) error {
			mailed, err = lifecycle.SendVerification(ctx, tx, s.mailer, s.Users, u.ID, s.now())
			return err
		})
	})
	return mailed, err
}

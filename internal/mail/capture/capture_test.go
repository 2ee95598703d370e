package capture_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/mail"
	"github.com/gatehouse-id/gatehouse/internal/mail/capture"
	"github.com/gatehouse-id/gatehouse/internal/mail/mailtest"
)

func TestSender(t *testing.T) {
	t.Parallel()
	mailtest.Run(t, func(*testing.T) (mail.Sender, func() []mailtest.Received) {
		outbox := capture.New(50)
		return outbox, func() (list []mailtest.Received) {
			for _, m := range outbox.Mails() {
				list = append(list, mailtest.Received{To: m.To.Mailbox, ID: m.ID})
			}
			return list
		}
	})
}

func TestOutbox_keeps_the_last_ones(t *testing.T) {
	t.Parallel()
	outbox := capture.New(2)
	for i := range 3 {
		m := mailtest.Message()
		m.Subject = fmt.Sprint("mail ", i+1)
		require.NoError(t, outbox.Send(t.Context(), m))
	}
	mails := outbox.Mails()
	require.Len(t, mails, 2)
	require.Equal(t, []int{3, 2}, []int{mails[0].Number, mails[1].Number})
	kept, ok := outbox.Mail(3)
	require.True(t, ok)
	require.Equal(t, "mail 3", kept.Subject)
	_, ok = outbox.Mail(1)
	require.False(t, ok)
}

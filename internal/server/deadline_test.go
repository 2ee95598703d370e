package server

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

type key struct{}

func TestDeadline(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, ctx *deadline, request context.CancelFunc){
		"ends_whoever_waits": func(t *testing.T, ctx *deadline, _ context.CancelFunc) {
			t.Helper()
			child, cancel := context.WithTimeout(context.WithValue(ctx, key{}, 2), time.Hour)
			defer cancel()
			start := time.Now()
			<-child.Done()
			require.Equal(t, time.Minute, time.Since(start))
			require.ErrorIs(t, child.Err(), context.DeadlineExceeded)
			require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		},
		"is_over_for_who_looks_late": func(t *testing.T, ctx *deadline, _ context.CancelFunc) {
			t.Helper()
			require.NoError(t, ctx.Err())
			time.Sleep(time.Minute)
			synctest.Wait()
			require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
		},
		"ends_with_the_request": func(t *testing.T, ctx *deadline, request context.CancelFunc) {
			t.Helper()
			done := ctx.Done()
			request()
			<-done
			require.ErrorIs(t, ctx.Err(), context.Canceled)
		},
		"ends_with_the_request_unseen": func(t *testing.T, ctx *deadline, request context.CancelFunc) {
			t.Helper()
			request()
			require.ErrorIs(t, ctx.Err(), context.Canceled)
		},
		"ends_at_stop": func(t *testing.T, ctx *deadline, _ context.CancelFunc) {
			t.Helper()
			done := ctx.Done()
			ctx.stop()
			<-done
			require.ErrorIs(t, ctx.Err(), context.Canceled)
		},
		"stays_ended_after_stop": func(t *testing.T, ctx *deadline, _ context.CancelFunc) {
			t.Helper()
			ctx.stop()
			<-ctx.Done()
			require.ErrorIs(t, ctx.Err(), context.Canceled)
		},
		"says_when": func(t *testing.T, ctx *deadline, _ context.CancelFunc) {
			t.Helper()
			at, ok := ctx.Deadline()
			require.True(t, ok)
			require.Equal(t, time.Now().Add(time.Minute), at)
			at, _ = (&deadline{Context: ctx, timeout: time.Hour}).Deadline()
			require.Equal(t, time.Now().Add(time.Minute), at, "the sooner one counts")
		},
		"has_the_values_of_the_request": func(t *testing.T, ctx *deadline, _ context.CancelFunc) {
			t.Helper()
			require.Equal(t, 1, ctx.Value(key{}))
			_ = ctx.Done()
			require.Equal(t, 1, ctx.Value(key{}))
			require.Nil(t, ctx.Value("another"))
		},
		"needs_no_goroutine_for_its_children": func(t *testing.T, ctx *deadline, _ context.CancelFunc) {
			t.Helper()
			goroutines := runtime.NumGoroutine()
			child, cancel := context.WithCancel(context.WithValue(ctx, key{}, 2))
			defer cancel()
			require.Equal(t, goroutines, runtime.NumGoroutine())
			ctx.stop()
			require.ErrorIs(t, child.Err(), context.Canceled, "at once")
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				request, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, 1))
				defer cancel()
				ctx := &deadline{Context: request, timeout: time.Minute}
				defer ctx.stop()
				test(t, ctx, cancel)
			})
		})
	}
}

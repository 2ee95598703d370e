package postgres_test

import (
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestUUIDs(t *testing.T) {
	t.Parallel()
	r := setupRows(t).one
	id, other := uuid.New(), uuid.New()

	t.Run("travel as parameters and columns", func(t *testing.T) {
		var got uuid.UUID
		var null, pointer *uuid.UUID
		require.NoError(t, r.QueryRow(t.Context(), `SELECT $1::uuid, $2::uuid, $3::uuid`, id, (*uuid.UUID)(nil), &other).Scan(&got, &null, &pointer))
		require.Equal(t, id, got)
		require.Nil(t, null)
		require.Equal(t, &other, pointer)
	})
	t.Run("travel in arrays", func(t *testing.T) {
		var got []uuid.UUID
		require.NoError(t, r.QueryRow(t.Context(), `SELECT $1::uuid[]`, []uuid.UUID{id, other}).Scan(&got))
		require.Equal(t, []uuid.UUID{id, other}, got)
	})
	t.Run("travel as text to and from strings", func(t *testing.T) {
		var text string
		var got uuid.UUID
		require.NoError(t, r.QueryRow(t.Context(), `SELECT $1::uuid, $2::uuid`, id, other.String()).Scan(&text, &got))
		require.Equal(t, id.String(), text)
		require.Equal(t, other, got)
	})
	// It tells this codec from pgx's own way, by which NULL is the zero value.
	t.Run("do not come of NULL", func(t *testing.T) {
		var got uuid.UUID
		require.ErrorContains(t, r.QueryRow(t.Context(), `SELECT NULL::uuid`).Scan(&got), "NULL")
	})
}

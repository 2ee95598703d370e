package problem_test

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/gatehouse-id/gatehouse/internal/problem"
)

func TestFrom(t *testing.T) {
	t.Parallel()

	t.Run("finds_a_problem_in_the_chain_and_keeps_the_context", func(t *testing.T) {
		t.Parallel()
		inner := problem.New(problem.Conflict).WithKey("error.taken")
		got := problem.From(fmt.Errorf("create user: %w", inner))
		require.Equal(t, problem.Conflict, got.Code)
		require.Equal(t, "error.taken", got.MessageKey())
		require.Contains(t, got.Error(), "create user")
	})
	t.Run("returns_a_bare_problem_as_it_is", func(t *testing.T) {
		t.Parallel()
		p := problem.New(problem.Gone)
		require.Same(t, p, problem.From(p))
	})
	t.Run("makes_anything_else_internal", func(t *testing.T) {
		t.Parallel()
		got := problem.From(fs.ErrNotExist)
		require.Equal(t, problem.Internal, got.Code)
		require.ErrorIs(t, got, fs.ErrNotExist)
	})
	t.Run("is_nil_for_nil", func(t *testing.T) {
		t.Parallel()
		require.Nil(t, problem.From(nil))
	})
}

func TestHas(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("load: %w", problem.New(problem.NotFound))
	require.True(t, problem.Has(err, problem.NotFound))
	require.False(t, problem.Has(err, problem.Gone))
	require.False(t, problem.Has(errors.New("x"), problem.NotFound))
}

func TestWith(t *testing.T) {
	t.Parallel()

	t.Run("never_changes_the_original", func(t *testing.T) {
		t.Parallel()
		base := problem.New(problem.InvalidRequest).WithParam("a", 1).WithField("x", "field.required", nil)
		a := base.WithParam("b", 2).WithField("y", "field.required", nil).
			WithRetryAfter(time.Minute).WithHint("set %s", "y").WithKey("k").Because(errors.New("c"))
		b := base.WithField("z", "field.required", nil)

		require.Equal(t, map[string]any{"a": 1}, base.Params)
		require.Len(t, base.Fields, 1)
		require.Zero(t, base.RetryAfter)
		require.Empty(t, base.Hint)
		require.NoError(t, base.Unwrap())
		require.Equal(t, "y", a.Fields[1].Name)
		require.Equal(t, "z", b.Fields[1].Name)
		require.Equal(t, "set y", a.Hint)
	})
	t.Run("has_a_message_key_from_the_code", func(t *testing.T) {
		t.Parallel()
		require.Equal(t, "error.not_found", problem.New(problem.NotFound).MessageKey())
	})
}

func TestLog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	p := problem.New(problem.InvalidRequest).
		WithParam("email", "ana@example.test").
		WithField("email", "field.taken", map[string]any{"value": "ana@example.test"}).
		Because(errors.New("unique violation"))
	slog.New(slog.NewTextHandler(&out, nil)).Error("refused", "err", p)

	t.Run("shows_code_field_and_cause", func(t *testing.T) {
		t.Parallel()
		require.Contains(t, out.String(), "err.problem=invalid_request")
		require.Contains(t, out.String(), "field.taken")
		require.Contains(t, out.String(), "unique violation")
	})
	t.Run("leaves_out_what_a_person_typed", func(t *testing.T) {
		t.Parallel()
		require.NotContains(t, out.String(), "ana@example.test")
	})
}

// The catalogue test and the API description walk Codes, so a constant missing
// there would have no message.
func TestCodes_lists_every_constant(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "code.go", nil, 0)
	require.NoError(t, err)

	var declared []problem.Code
	for _, decl := range file.Decls {
		gen, ok := decl.(*ast.GenDecl)
		if !ok || gen.Tok != token.CONST {
			continue
		}
		for _, spec := range gen.Specs {
			for _, value := range spec.(*ast.ValueSpec).Values {
				text, err := strconv.Unquote(value.(*ast.BasicLit).Value)
				require.NoError(t, err)
				declared = append(declared, problem.Code(text))
			}
		}
	}
	require.NotEmpty(t, declared)
	require.Equal(t, declared, problem.Codes())
}

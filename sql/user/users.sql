-- name: InsertUser :exec
-- InsertUser makes a person.
INSERT INTO users (id, subject, status, claims, created_at, updated_at)
VALUES (@id, @subject, @status, @claims, @now, @now);

-- name: UpdateUser :exec
UPDATE users u SET status = @status, claims = @claims, updated_at = @now WHERE u.id = @id;

-- name: InsertIdentifier :exec
-- InsertIdentifier gives a person a name to sign in with.
INSERT INTO identifiers (id, user_id, kind, canonical, display, verified_at, created_at)
VALUES (@id, @user_id, @kind, @canonical, @display, @verified_at, @now);

-- name: UpdateIdentifier :exec
UPDATE identifiers i SET canonical = @canonical, display = @display, verified_at = @verified_at WHERE i.id = @id;

-- name: DeleteIdentifier :exec
DELETE FROM identifiers i WHERE i.id = @id;

-- name: UserByIdentifier :one
-- UserByIdentifier finds the person who signs in with a canonical name.
SELECT u.id, u.subject, u.status FROM identifiers i JOIN users u ON u.id = i.user_id WHERE i.canonical = @canonical;

-- name: LockUser :one
SELECT u.id, u.subject, u.status, u.claims, u.created_at, u.updated_at FROM users u WHERE u.id = @id FOR UPDATE;

-- name: UserBySubject :one
SELECT u.id, u.subject, u.status, u.claims, u.created_at, u.updated_at FROM users u WHERE u.subject = @subject;

-- name: Identifiers :many
SELECT i.id, i.kind, i.canonical, i.display, i.verified_at FROM identifiers i WHERE i.user_id = @user_id ORDER BY i.kind;

-- name: IsClientID :one
-- IsClientID tells whether an application has that client_id: it is the sub of its own access tokens, so that nobody's
-- subject may be the same.
SELECT EXISTS (SELECT 1 FROM clients c WHERE c.client_id = @subject)::boolean;

-- name: Contact :one
-- Contact finds the person of a canonical name and where mail reaches them.
SELECT u.id, u.status, coalesce(e.display, '')::text AS email
FROM identifiers i JOIN users u ON u.id = i.user_id LEFT JOIN identifiers e ON e.user_id = u.id AND e.kind = 'email'
WHERE i.canonical = @canonical;

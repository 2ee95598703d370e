-- name: InsertUser :exec
-- InsertUser makes a person.
INSERT INTO users (id, subject, status, claims, created_at, updated_at)
VALUES (@id, @subject, @status, @claims, @now, @now);

-- name: UpdateUser :exec
UPDATE users u SET claims = @claims, updated_at = @now WHERE u.id = @id;

-- name: HoldStatus :one
-- HoldStatus reads a person's status and keeps everything of theirs from beginning until the transaction ends.
SELECT u.status FROM users u WHERE u.id = @id FOR UPDATE;

-- name: SetStatus :exec
UPDATE users u SET status = @status WHERE u.id = @id;

-- name: Forgive :execrows
-- Forgive begins new counters of a person's attempts.
UPDATE users u SET forgiven = u.forgiven + 1 WHERE u.id = @id;

-- name: SignOut :exec
-- SignOut makes every proof of identity from before count no more.
UPDATE users u SET signed_out_at = greatest(u.signed_out_at, @now) WHERE u.id = @id;

-- name: MaySignIn :one
-- MaySignIn tells whether a proof of that moment may make a session, and waits for whoever ends everything of the
-- person's.
SELECT (u.status = 'active' AND coalesce(u.signed_out_at <= @proved_at, true))::boolean FROM users u WHERE u.id = @id FOR KEY SHARE;

-- name: DeleteUser :exec
-- DeleteUser deletes a person and, by their foreign keys, all that is theirs.
DELETE FROM users u WHERE u.id = @id;

-- name: InsertIdentifier :exec
-- InsertIdentifier gives a person a name to sign in with.
INSERT INTO identifiers (id, user_id, kind, canonical, display, verified_at, created_at)
VALUES (@id, @user_id, @kind, @canonical, @display, @verified_at, @now);

-- name: UpdateIdentifier :exec
UPDATE identifiers i SET canonical = @canonical, display = @display, verified_at = @verified_at WHERE i.id = @id;

-- name: DeleteIdentifier :exec
DELETE FROM identifiers i WHERE i.id = @id;

-- name: UserIDByIdentifier :one
-- UserIDByIdentifier finds the person who signs in with a canonical name.
SELECT i.user_id FROM identifiers i WHERE i.canonical = @canonical;

-- name: UserIDBySubject :one
SELECT u.id FROM users u WHERE u.subject = @subject;

-- name: LockUser :one
SELECT u.id, u.subject, u.status, u.claims, u.created_at, u.updated_at FROM users u WHERE u.id = @id FOR UPDATE;

-- name: UserByID :one
SELECT u.id, u.subject, u.status, u.claims, u.created_at, u.updated_at FROM users u WHERE u.id = @id;

-- name: Identifiers :many
SELECT i.id, i.kind, i.canonical, i.display, i.verified_at FROM identifiers i WHERE i.user_id = @user_id ORDER BY i.kind;

-- name: IsClientID :one
-- IsClientID tells whether an application has that client_id: it is the sub of its own access tokens, so that nobody's
-- subject may be the same.
SELECT EXISTS (SELECT 1 FROM clients c WHERE c.client_id = @subject)::boolean;

-- name: People :many
-- People lists people in the order in which they were made, those after a given one.
SELECT u.id, u.subject, u.status, coalesce(u.claims->>'name', '')::text AS name, coalesce(e.display, '')::text AS email,
  coalesce(n.display, '')::text AS username, u.created_at
FROM users u
LEFT JOIN identifiers e ON e.user_id = u.id AND e.kind = 'email'
LEFT JOIN identifiers n ON n.user_id = u.id AND n.kind = 'username'
WHERE u.id > @after AND (@status::text = '' OR u.status = @status)
ORDER BY u.id LIMIT @most;

-- name: PeopleByName :many
-- PeopleByName lists people by those of their canonical names that begin alike, after a given name, everybody once.
SELECT i.canonical, u.id, u.subject, u.status, coalesce(u.claims->>'name', '')::text AS name, coalesce(e.display, '')::text AS email,
  coalesce(n.display, '')::text AS username, u.created_at
FROM identifiers i JOIN users u ON u.id = i.user_id
LEFT JOIN identifiers e ON e.user_id = u.id AND e.kind = 'email'
LEFT JOIN identifiers n ON n.user_id = u.id AND n.kind = 'username'
WHERE i.canonical >= @from_name AND i.canonical < @to_name AND i.canonical > @after AND (@status::text = '' OR u.status = @status)
  AND NOT EXISTS (
    SELECT 1 FROM identifiers o WHERE o.user_id = u.id AND o.canonical >= @from_name AND o.canonical < i.canonical)
ORDER BY i.canonical LIMIT @most;

-- name: Contact :one
-- Contact finds the person of a canonical name and where mail reaches them. For a name that nobody has it looks for nobody,
-- so that both cost the same (LG-08). There is always a row.
SELECT coalesce(u.id, '00000000-0000-0000-0000-000000000000')::uuid AS id, coalesce(u.status, '')::text AS status,
  coalesce(u.forgiven, 0)::integer AS forgiven, coalesce(e.display, '')::text AS email
FROM (SELECT 1) AS one
LEFT JOIN identifiers i ON i.canonical = @canonical
LEFT JOIN LATERAL (SELECT p.id, p.status, p.forgiven FROM users p
  WHERE p.id = CASE WHEN i.user_id IS NULL THEN '00000000-0000-0000-0000-000000000000' ELSE i.user_id END LIMIT 1) AS u ON true
LEFT JOIN LATERAL (SELECT n.display FROM identifiers n
  WHERE n.user_id = CASE WHEN i.user_id IS NULL THEN '00000000-0000-0000-0000-000000000000' ELSE i.user_id END AND n.kind = 'email' LIMIT 1) AS e ON true;

-- name: ContactOf :one
-- ContactOf reads where mail reaches a person.
SELECT u.id, u.status, u.forgiven, coalesce(e.display, '')::text AS email
FROM users u LEFT JOIN identifiers e ON e.user_id = u.id AND e.kind = 'email'
WHERE u.id = @id;

-- name: EmailOf :one
SELECT i.display FROM identifiers i WHERE i.user_id = @user_id AND i.kind = 'email';

-- name: Candidate :one
-- Candidate finds the person of a canonical identifier and their password; the hash is empty when there is none. For a name
-- that nobody has it looks for nobody's, so that both cost the same (LG-06). There is always a row.
SELECT coalesce(u.id, '00000000-0000-0000-0000-000000000000')::uuid AS id, coalesce(u.subject, '')::text AS subject,
  coalesce(u.status, '')::text AS status, coalesce(u.forgiven, 0)::integer AS forgiven,
  coalesce(p.hash, '')::text AS hash, coalesce(p.must_change, '')::text AS must_change, p.changed_at, p.expires_at
FROM (SELECT 1) AS one
LEFT JOIN identifiers i ON i.canonical = @canonical
LEFT JOIN LATERAL (SELECT o.id, o.subject, o.status, o.forgiven FROM users o
  WHERE o.id = CASE WHEN i.user_id IS NULL THEN '00000000-0000-0000-0000-000000000000' ELSE i.user_id END LIMIT 1) AS u ON true
LEFT JOIN passwords p ON p.user_id = CASE WHEN i.user_id IS NULL THEN '00000000-0000-0000-0000-000000000000' ELSE i.user_id END;

-- name: SetPassword :exec
INSERT INTO passwords (user_id, hash, changed_at, must_change, expires_at)
VALUES (@user_id, @hash, @now, @must_change, sqlc.narg(expires_at))
ON CONFLICT ON CONSTRAINT passwords_pkey DO UPDATE
SET hash = excluded.hash, changed_at = excluded.changed_at, must_change = excluded.must_change, expires_at = excluded.expires_at;

-- name: Lock :one
-- Lock returns the hash that is about to be replaced, and lets nobody else replace it meanwhile.
SELECT p.hash FROM passwords p WHERE p.user_id = @user_id FOR UPDATE;

-- name: Remember :exec
-- Remember keeps a hash that is being replaced.
INSERT INTO password_history (user_id, position, hash, replaced_at)
SELECT @user_id, coalesce(max(h.position), 0) + 1, @hash, @now FROM password_history h WHERE h.user_id = @user_id;

-- name: Forget :exec
-- Forget deletes all replaced hashes but the latest ones.
DELETE FROM password_history h
WHERE h.user_id = @user_id
  AND h.position <= (SELECT max(l.position) FROM password_history l WHERE l.user_id = @user_id) - @keep::bigint;

-- name: Replaced :many
-- Replaced returns replaced hashes, the latest first.
SELECT h.hash FROM password_history h WHERE h.user_id = @user_id ORDER BY h.position DESC LIMIT @most;

-- name: DemandChange :execrows
-- DemandChange touches no row where the same is demanded already, or there is no password.
UPDATE passwords p SET must_change = @reason WHERE p.user_id = @user_id AND p.must_change <> @reason;

-- name: Upgrade :execrows
-- Upgrade replaces a hash by a stronger one of the same password, unless the password changed meanwhile.
UPDATE passwords p SET hash = @hash WHERE p.user_id = @user_id AND p.hash = @seen;

-- name: Hash :one
SELECT p.hash FROM passwords p WHERE p.user_id = @user_id;

-- name: Peppers :many
-- Peppers counts passwords by the name of their hash's pepper, '' for none. It reads every one of the realm.
SELECT (CASE WHEN split_part(p.hash, '$', 2) = 'peppered' THEN split_part(p.hash, '$', 3) ELSE '' END)::text AS pepper, count(*) AS passwords
FROM passwords p GROUP BY 1 ORDER BY 1;

-- name: Kept :one
-- Kept reads all that is kept of a person's password.
SELECT p.hash, p.changed_at, p.must_change, p.expires_at FROM passwords p WHERE p.user_id = @user_id;

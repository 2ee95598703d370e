-- name: State :one
-- State is everything that deciding the next step needs, by one statement: the flow of ?tx= when it belongs to this
-- browser, the browser's live session, and the person of whichever of the two is known, the flow's first.
SELECT
  f.tx_hash, coalesce(f.client_id, '')::text AS flow_client_id, coalesce(f.request, '')::text AS request, f.user_id AS flow_user_id,
  f.auth_time AS flow_auth_time, coalesce(f.amr, '{}')::text[] AS flow_amr, coalesce(f.persistent, false)::boolean AS flow_persistent,
  f.created_at AS flow_created_at, f.expires_at AS flow_expires_at, f.completed_at AS flow_completed_at,
  s.id AS session_id, s.user_id AS session_user_id, s.auth_time AS session_auth_time, coalesce(s.amr, '{}')::text[] AS session_amr,
  coalesce(s.acr, '')::text AS session_acr, s.persistent AS session_persistent,
  u.id AS user_id, coalesce(u.subject, '')::text AS subject, coalesce(u.status, '')::text AS user_status
FROM (SELECT 1) AS one
LEFT JOIN flows f ON f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.ends_at > @now
LEFT JOIN sessions s ON s.token_hash = @browser_hash AND s.ended_at IS NULL AND s.ends_at > @now
  AND s.seen_at + make_interval(secs => s.idle_seconds) > @now
LEFT JOIN users u ON u.id = coalesce(f.user_id, s.user_id);

-- name: InsertFlow :exec
-- InsertFlow starts a flow.
INSERT INTO flows (tx_hash, kind, client_id, browser_hash, request, created_at, expires_at, ends_at)
VALUES (@tx_hash, @kind, @client_id, @browser_hash, @request, @now, @expires_at, @ends_at);

-- name: BindFlow :execrows
-- BindFlow gives a flow that another site's form started to the browser that follows, once and at once.
UPDATE flows f SET browser_hash = @browser_hash
WHERE f.tx_hash = @tx_hash AND f.browser_hash IS NULL AND f.created_at > @since;

-- name: LockFlow :one
-- LockFlow reads a flow of this browser and keeps others from writing it.
SELECT f.client_id, f.request, f.expires_at, f.completed_at FROM flows f
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.ends_at > @now FOR UPDATE;

-- name: Authenticated :execrows
-- Authenticated notes who proved to be whom, and when.
UPDATE flows f SET user_id = @user_id, auth_time = @auth_time, amr = @amr, persistent = @persistent
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash;

-- name: Restart :execrows
-- Restart takes a lapsed flow back to its beginning: the request stays, the progress goes.
UPDATE flows f SET user_id = NULL, auth_time = NULL, amr = '{}', persistent = false, expires_at = @expires_at
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: Complete :execrows
-- Complete ends a flow, once.
UPDATE flows f SET completed_at = @now
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: MoveBrowser :exec
-- MoveBrowser gives the flows of a browser, those of its other tabs too, to its new cookie.
UPDATE flows f SET browser_hash = @browser_hash WHERE f.browser_hash = @seen;

-- name: State :one
-- State is everything that deciding the next step needs, by one statement: the flow of ?tx= when it belongs to this
-- browser, the mailed code it waits for, the address that what was shown back in it went to unless that is void, the
-- browser's live session, the person of whichever of the two is known, the flow's first, and what that person allowed
-- the client. Names are read when a step may need them, the address when the realm wants it confirmed.
--
-- Each row is to be found by its key. What coalesce yields reaches no index under row-level security: a person sought by it
-- is found by reading all of the realm, hence CASE; consents are meant to be found by person alone. IS TRUE and LIMIT 1
-- keep a planner that knows little of the tables from finding rows by when they end, or by their realm.
SELECT
  f.tx_hash, coalesce(f.client_id, '')::text AS flow_client_id, coalesce(f.request, '')::text AS request,
  coalesce(f.hint_subject, '')::text AS hint_subject, f.chosen_user_id, coalesce(f.another, false)::boolean AS another,
  f.user_id AS flow_user_id, coalesce(f.auth_time < u.signed_out_at, false)::boolean AS flow_stale, f.auth_time AS flow_auth_time, coalesce(f.amr, '{}')::text[] AS flow_amr,
  coalesce(f.persistent, false)::boolean AS flow_persistent, f.decided_user_id, coalesce(f.decided_scopes, '{}')::text[] AS decided_scopes,
  coalesce(f.kind, '')::text AS flow_kind, f.redeemed_user_id, coalesce(f.redeemed_purpose, '')::text AS redeemed_purpose,
  coalesce(x.address, '')::text AS redeemed_address,
  coalesce(f.notice, '')::text AS notice,
  coalesce(c.purpose, '')::text AS mail_purpose, coalesce(c.shown, '')::text AS mail_shown, c.user_id AS mail_user_id,
  coalesce((SELECT m.forgiven FROM users m
    WHERE c.id IS NOT NULL AND m.id = CASE WHEN c.user_id IS NULL THEN '00000000-0000-0000-0000-000000000000' ELSE c.user_id END LIMIT 1), 0)::integer AS mail_forgiven, c.code_expires_at AS mail_code_expires_at,
  f.created_at AS flow_created_at, f.expires_at AS flow_expires_at, f.completed_at AS flow_completed_at,
  s.id AS session_id, s.user_id AS session_user_id, s.auth_time AS session_auth_time, coalesce(s.amr, '{}')::text[] AS session_amr,
  coalesce(s.acr, '')::text AS session_acr, s.persistent AS session_persistent,
  coalesce(u.id, '00000000-0000-0000-0000-000000000000')::uuid AS user_id, coalesce(u.subject, '')::text AS subject, coalesce(u.status, '')::text AS user_status, coalesce(u.forgiven, 0)::integer AS forgiven,
  coalesce(CASE WHEN @with_names::boolean THEN u.claims END, '{}')::jsonb AS claims,
  coalesce(CASE WHEN @with_email::boolean THEN n.email END, '')::text AS email, coalesce(@with_email::boolean AND n.email_verified, false)::boolean AS email_verified,
  coalesce(p.must_change, '')::text AS must_change, p.changed_at AS password_changed_at,
  coalesce(CASE WHEN @with_names::boolean THEN n.canonical END, '{}')::text[] AS canonical_names,
  coalesce(CASE WHEN @with_names::boolean THEN n.display END, '{}')::text[] AS names,
  coalesce(k.scopes, '{}')::text[] AS consented_scopes
FROM (SELECT 1) AS one
LEFT JOIN flows f ON f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.kind IN ('authorize', 'mailed') AND (f.ends_at > @now) IS TRUE
LEFT JOIN challenges c ON c.tx = @tx::text AND c.tx <> '' AND c.ended_at IS NULL AND c.expires_at > @now AND f.tx_hash IS NOT NULL
LEFT JOIN challenges x ON x.id = f.redeemed_challenge_id AND NOT x.void
LEFT JOIN sessions s ON s.token_hash = @browser_hash AND s.ended_at IS NULL AND (s.ends_at > @now) IS TRUE
  AND s.seen_at + make_interval(secs => s.idle_seconds) > @now
LEFT JOIN LATERAL (SELECT o.* FROM users o WHERE o.id = CASE
    WHEN f.redeemed_user_id IS NOT NULL THEN f.redeemed_user_id WHEN f.user_id IS NOT NULL THEN f.user_id ELSE s.user_id END LIMIT 1) AS u ON true
LEFT JOIN LATERAL (SELECT array_agg(i.canonical) AS canonical, array_agg(i.display) AS display,
    max(i.display) FILTER (WHERE i.kind = 'email') AS email, bool_or(i.kind = 'email' AND i.verified_at IS NOT NULL) AS email_verified
  FROM (SELECT o.* FROM identifiers o WHERE o.user_id = u.id AND (@with_names::boolean OR @with_email::boolean) ORDER BY o.kind) AS i) AS n ON true
LEFT JOIN passwords p ON p.user_id = u.id
LEFT JOIN LATERAL (SELECT c.scopes FROM consents c WHERE c.user_id = u.id AND c.client_id = coalesce(f.client_id, @client_id) LIMIT 1) AS k ON true;

-- name: InsertFlow :exec
-- InsertFlow starts a flow.
INSERT INTO flows (tx_hash, kind, client_id, browser_hash, request, hint_subject, created_at, expires_at, ends_at)
VALUES (@tx_hash, @kind, @client_id, @browser_hash, @request, @hint_subject, @now, @expires_at, @ends_at);

-- name: BindFlow :execrows
-- BindFlow gives a flow that another site's form started to the browser that follows, once and at once.
UPDATE flows f SET browser_hash = @browser_hash
WHERE f.tx_hash = @tx_hash AND f.kind = @kind AND f.browser_hash IS NULL AND f.created_at > @since;

-- name: LogoutRequest :one
-- LogoutRequest reads the logout request that another site's form posted and this browser came for.
SELECT f.request FROM flows f
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.kind = 'logout' AND f.expires_at > @now;

-- name: InsertMailed :exec
-- InsertMailed starts a flow that no application asked for, in the browser that came for it.
INSERT INTO flows (tx_hash, kind, client_id, browser_hash, request, redeemed_user_id, redeemed_purpose, redeemed_challenge_id, created_at, expires_at, ends_at)
VALUES (@tx_hash, 'mailed', @client_id, @browser_hash, '', sqlc.narg(redeemed_user_id), @redeemed_purpose, sqlc.narg(redeemed_challenge_id), @now, @expires_at, @ends_at);

-- name: Hold :execrows
-- Hold locks a flow while a step changes what it waits for, and leaves a notice for the next page.
UPDATE flows f SET notice = @notice WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: Lock :exec
-- Lock holds a flow, whosever it is, until the transaction ends.
SELECT f.tx_hash FROM flows f WHERE f.tx_hash = @tx_hash FOR UPDATE;

-- name: Origin :one
-- Origin tells where a mailed secret was asked for: in which browser, and for which client.
SELECT f.browser_hash, f.client_id, f.kind FROM flows f WHERE f.tx_hash = @tx_hash AND f.ends_at > @now AND f.completed_at IS NULL;

-- name: Redeemed :execrows
-- Redeemed notes who showed a mailed secret back, and what it lets them do.
UPDATE flows f SET redeemed_user_id = @redeemed_user_id, redeemed_purpose = @redeemed_purpose, redeemed_challenge_id = @redeemed_challenge_id, user_id = NULL, auth_time = NULL, amr = '{}',
  persistent = false, notice = ''
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: Used :execrows
-- Used ends what showing a mailed secret back allowed, once, unless that is void, and leaves a notice for the next page.
UPDATE flows f SET redeemed_user_id = NULL, redeemed_purpose = '', redeemed_challenge_id = NULL, notice = @notice
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL AND f.redeemed_user_id = @redeemed_user_id
  AND EXISTS (SELECT 1 FROM challenges x WHERE x.id = f.redeemed_challenge_id AND NOT x.void);

-- name: ProvedElsewhere :execrows
-- ProvedElsewhere notes in the flow in which an account was asked for that its address was proved from another browser:
-- the person typed its password here.
UPDATE flows f SET user_id = @user_id, auth_time = @auth_time, amr = @amr, another = false
WHERE f.tx_hash = @tx_hash AND f.kind = 'authorize' AND f.completed_at IS NULL AND f.user_id IS NULL AND f.expires_at > @now;

-- name: Authenticated :execrows
-- Authenticated notes who proved to be whom, and when. It answers the account chooser, too.
UPDATE flows f SET user_id = @user_id, auth_time = @auth_time, amr = @amr, persistent = @persistent, another = false, notice = ''
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: SignedIn :execrows
-- SignedIn takes the proof out of a flow: a session is made of it, once.
UPDATE flows f SET user_id = NULL, auth_time = NULL, amr = '{}', persistent = false
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL AND f.user_id = @user_id AND f.auth_time = @auth_time;

-- name: Chosen :execrows
-- Chosen notes the answer of the account chooser: this person's session, or another account. Wanting another account
-- forgets who was there.
UPDATE flows f SET chosen_user_id = @chosen_user_id, another = @another, user_id = NULL, auth_time = NULL, amr = '{}', persistent = false
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: Decided :execrows
-- Decided notes what a person allows the application in this flow.
UPDATE flows f SET decided_user_id = @decided_user_id, decided_scopes = @decided_scopes
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: Restart :execrows
-- Restart takes a lapsed flow back to its beginning: the request stays, the progress goes.
UPDATE flows f SET user_id = NULL, auth_time = NULL, amr = '{}', persistent = false, chosen_user_id = NULL, another = false,
  decided_user_id = NULL, decided_scopes = '{}', redeemed_user_id = NULL, redeemed_purpose = '', redeemed_challenge_id = NULL,
  notice = '', expires_at = @expires_at
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: Complete :execrows
-- Complete ends a flow, once.
UPDATE flows f SET completed_at = @now
WHERE f.tx_hash = @tx_hash AND f.browser_hash = @browser_hash AND f.completed_at IS NULL;

-- name: MoveBrowser :exec
-- MoveBrowser gives the flows of a browser, those of its other tabs too, to its new cookie.
UPDATE flows f SET browser_hash = @browser_hash WHERE f.browser_hash = @seen;

-- name: DeleteLapsed :execrows
-- DeleteLapsed deletes flows whose request is no longer kept, a batch at a time.
DELETE FROM flows f WHERE f.tx_hash IN (
  SELECT g.tx_hash FROM flows g WHERE g.ends_at < @now ORDER BY g.ends_at LIMIT @most FOR UPDATE SKIP LOCKED);

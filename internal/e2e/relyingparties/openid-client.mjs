import "./webcrypto.mjs";
import assert from "node:assert/strict";
import * as client from "openid-client";
import { Person, applications, checked, field, issuer, version } from "./person.mjs";

version("openid-client");

const redirectURI = "http://127.0.0.1:9/callback";
const goodbye = "http://127.0.0.1:9/goodbye";
const insecure = [client.allowInsecureRequests, client.enableNonRepudiationChecks];

// discover finds the realm as one of its applications. The ID token's signature is checked, too, which OpenID Connect
// leaves open where it comes from the token endpoint.
const discover = (id, authentication, metadata, options) => client.discovery(
  new URL(issuer), id, { id_token_signed_response_alg: "ES256", ...metadata }, authentication, { execute: insecure, ...options });

// start makes an authorization request with everything that guards it.
async function start(config, parameters) {
  const checks = {
    pkceCodeVerifier: client.randomPKCECodeVerifier(), expectedState: client.randomState(), expectedNonce: client.randomNonce(),
  };
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectURI, scope: "openid profile email", state: checks.expectedState, nonce: checks.expectedNonce,
    code_challenge: await client.calculatePKCECodeChallenge(checks.pkceCodeVerifier), code_challenge_method: "S256", ...parameters,
  });
  return { url: url.href, checks: { ...checks, idTokenExpected: true } };
}

// refused runs what must fail with an error of the protocol.
const refused = (promise, type, error) => assert.rejects(promise, (e) => {
  assert.ok(e instanceof type, e);
  assert.equal(e.error, error);
  return true;
});

// redeem signs in once and has the code refused when it comes again, which ends what it brought (RFC 6749 §4.1.2).
async function redeem(name, config) {
  const person = new Person();
  const { url, checks } = await start(config, { max_age: "600" });
  const back = new URL((await person.visit(url, redirectURI)).url);
  const tokens = await client.authorizationCodeGrant(config, back, { ...checks, maxAge: 600 });
  const claims = tokens.claims();
  assert.equal(claims.iss, issuer);
  assert.ok(claims.auth_time && claims.sid && claims.sub);
  checked(`${name}: code, PKCE, state, nonce, iss, max_age and the ID token's signature`);

  await refused(client.authorizationCodeGrant(config, back, checks), client.ResponseBodyError, "invalid_grant");
  await assert.rejects(client.fetchUserInfo(config, tokens.access_token, claims.sub), client.WWWAuthenticateChallengeError);
  checked(`${name}: a code is good for once`);
  return { person, claims };
}

// again makes another authorization in the same browser, without a page.
async function again(config, person) {
  const { url, checks } = await start(config, { prompt: "none" });
  return client.authorizationCodeGrant(config, new URL((await person.visit(url, redirectURI)).url), checks);
}

async function confidential(name, authentication) {
  const config = await discover(applications[name].id, authentication(applications[name].secret));
  assert.ok(config.serverMetadata().supportsPKCE("S256"));
  const { person, claims } = await redeem(name, config);

  const tokens = await again(config, person);
  assert.equal(tokens.claims().sid, claims.sid);
  checked(`${name}: single sign-on in the same session`);

  const info = await client.fetchUserInfo(config, tokens.access_token, claims.sub);
  assert.equal(info.name, "Ana Silva");
  assert.equal(info.preferred_username, "ana");
  assert.equal(info.email, "ana@example.test");
  assert.equal(info.email_verified, true);
  checked(`${name}: userinfo`);

  const renewed = await client.refreshTokenGrant(config, tokens.refresh_token);
  assert.notEqual(renewed.refresh_token, tokens.refresh_token);
  assert.equal(renewed.claims().sub, claims.sub);
  assert.equal((await client.fetchUserInfo(config, renewed.access_token, claims.sub)).sub, claims.sub);
  checked(`${name}: refresh`);

  const leave = client.buildEndSessionUrl(config, { id_token_hint: renewed.id_token, post_logout_redirect_uri: goodbye, state: "bye" });
  assert.equal((await person.visit(leave.href, goodbye)).url, `${goodbye}?state=bye`);
  await refused(client.refreshTokenGrant(config, renewed.refresh_token), client.ResponseBodyError, "invalid_grant");
  checked(`${name}: signing out ends the session and its refresh tokens`);
}

await confidential("basic", client.ClientSecretBasic);
await confidential("post", client.ClientSecretPost);

// A key instead of a secret, the one of RFC 8037, appendix A.
const key = await crypto.subtle.importKey("jwk", {
  kty: "OKP", crv: "Ed25519", x: "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo", d: "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
}, "Ed25519", false, ["sign"]);
await confidential("keyed", () => client.PrivateKeyJwt({ key, kid: "rfc8037" }));
const keyed = await discover(applications.keyed.id, client.PrivateKeyJwt({ key, kid: "rfc8037" }));
const lent = await again(keyed, (await redeem("keyed", keyed)).person);
assert.equal((await client.tokenIntrospection(keyed, lent.access_token)).active, true);
await client.tokenRevocation(keyed, lent.access_token);
assert.equal((await client.tokenIntrospection(keyed, lent.access_token)).active, false);
checked("keyed: introspection and revocation");
const own = await client.clientCredentialsGrant(keyed);
assert.equal((await client.tokenIntrospection(keyed, own.access_token)).sub, applications.keyed.id);
checked("keyed: client_credentials");

const native = await discover(applications.native.id, client.None());
await redeem("native", native);

// What comes back without a page.
const silent = await start(native, { prompt: "none" });
const nobody = new URL((await new Person().visit(silent.url, redirectURI)).url);
await refused(client.authorizationCodeGrant(native, nobody, silent.checks), client.AuthorizationResponseError, "login_required");
checked("prompt=none of a stranger");

// Another address than the one that was asked for.
const elsewhere = await start(native);
const mistaken = new URL((await new Person().visit(elsewhere.url, redirectURI)).url);
mistaken.pathname = "/other";
await refused(client.authorizationCodeGrant(native, mistaken, elsewhere.checks), client.ResponseBodyError, "invalid_grant");
checked("an exchange with another redirect_uri");

const wrong = await discover(applications.basic.id, client.ClientSecretBasic("not the secret"));
await assert.rejects(client.refreshTokenGrant(wrong, "none"), (e) => {
  assert.ok(e instanceof client.WWWAuthenticateChallengeError, e);
  assert.equal(e.status, 401);
  assert.equal(e.cause[0].scheme, "basic");
  return true;
});
checked("a wrong secret");

// RS256, a signed userinfo and the metadata of RFC 8414, whose place is another one.
const signed = await discover(
  applications.signed.id, client.ClientSecretBasic(applications.signed.secret),
  { id_token_signed_response_alg: "RS256", userinfo_signed_response_alg: "EdDSA" }, { algorithm: "oauth2" });
const { person, claims } = await redeem("signed", signed);
const { access_token } = await again(signed, person);
assert.equal((await client.fetchUserInfo(signed, access_token, claims.sub)).name, "Ana Silva");
checked("signed: RS256, EdDSA at userinfo, metadata of RFC 8414");

// The answer as a form.
const posted = await start(native, { response_mode: "form_post" });
const page = await new Person().visit(posted.url);
const answer = {};
for (const name of ["code", "state", "iss"]) answer[name] = field(page.body, name);
const request = new Request(redirectURI, { method: "POST", body: new URLSearchParams(answer) });
assert.ok((await client.authorizationCodeGrant(native, request, posted.checks)).id_token);
checked("response_mode=form_post");

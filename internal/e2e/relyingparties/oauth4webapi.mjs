// oauth4webapi is the library below openid-client: it makes one request at a time, and checks each answer.
import "./webcrypto.mjs";
import assert from "node:assert/strict";
import * as oauth from "oauth4webapi";
import { Person, applications, checked, issuer, version } from "./person.mjs";

version("oauth4webapi");

const redirectURI = "http://127.0.0.1:9/callback";
const insecure = { [oauth.allowInsecureRequests]: true };
const client = { client_id: applications.web.id, id_token_signed_response_alg: "ES256" };

// The key of RFC 7515, appendix A.3.
const key = await crypto.subtle.importKey("jwk", {
  kty: "EC", crv: "P-256", x: "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", y: "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
  d: "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI",
}, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
const authentication = oauth.PrivateKeyJwt({ key, kid: "rfc7515" });

const at = new URL(issuer);
const as = await oauth.processDiscoveryResponse(at, await oauth.discoveryRequest(at, insecure));
assert.ok(as.token_endpoint_auth_methods_supported.includes("private_key_jwt"));
for (const name of ["introspection", "revocation"]) {
  assert.ok(as[`${name}_endpoint_auth_methods_supported`].includes("private_key_jwt"), name);
}
checked("discovery");

const introspect = async (token, more) => oauth.processIntrospectionResponse(
  as, client, await oauth.introspectionRequest(as, client, authentication, token, { ...insecure, ...more }));
const revoke = async (token) => oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, authentication, token, insecure));
const refused = (promise, error) => assert.rejects(promise, (e) => {
  assert.ok(e instanceof oauth.ResponseBodyError, e);
  assert.equal(e.error, error);
  return true;
});

// A service.
const granted = await oauth.clientCredentialsGrantRequest(as, client, authentication, { scope: "read" }, insecure);
const own = await oauth.processClientCredentialsResponse(as, client, granted);
assert.equal(own.scope, "read");
assert.equal(own.refresh_token, undefined);
checked("client_credentials");

const call = new Request("http://127.0.0.1:9/api", { headers: { authorization: `Bearer ${own.access_token}` } });
const claims = await oauth.validateJwtAccessToken(as, call, "https://api.example", insecure);
assert.equal(claims.sub, client.client_id);
await assert.rejects(oauth.validateJwtAccessToken(as, call, "https://other.example", insecure));
checked("its access token is one of RFC 9068");

const known = await introspect(own.access_token);
assert.equal(known.active, true);
assert.equal(known.client_id, client.client_id);
checked("introspection");

const signed = await oauth.introspectionRequest(as, client, authentication, own.access_token, { ...insecure, requestJwtResponse: true });
const told = await oauth.processIntrospectionResponse(as, { ...client, introspection_signed_response_alg: "ES256" }, signed);
await oauth.validateApplicationLevelSignature(as, signed, insecure);
assert.equal(told.active, true);
checked("introspection, signed");

await revoke(own.access_token);
await revoke(own.access_token);
assert.deepEqual(await introspect(own.access_token), { active: false });
checked("revocation");

// An application with people.
const verifier = oauth.generateRandomCodeVerifier();
const state = oauth.generateRandomState();
const nonce = oauth.generateRandomNonce();
const url = new URL(as.authorization_endpoint);
url.search = new URLSearchParams({
  client_id: client.client_id, redirect_uri: redirectURI, response_type: "code", scope: "openid profile email", state, nonce,
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256",
});
const back = new URL((await new Person().visit(url.href, redirectURI)).url);
const parameters = oauth.validateAuthResponse(as, client, back, state);
const exchange = () => oauth.authorizationCodeGrantRequest(as, client, authentication, parameters, redirectURI, verifier, insecure);
const exchanged = await exchange();
const tokens = await oauth.processAuthorizationCodeResponse(as, client, exchanged, { expectedNonce: nonce, requireIdToken: true });
await oauth.validateApplicationLevelSignature(as, exchanged, insecure);
const { sub } = oauth.getValidatedIdTokenClaims(tokens);
checked("code, PKCE, state, nonce, iss and the ID token's signature");

const info = await oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, tokens.access_token, insecure));
assert.equal(info.name, "Ana Silva");
const renewing = await oauth.refreshTokenGrantRequest(as, client, authentication, tokens.refresh_token, insecure);
const renewed = await oauth.processRefreshTokenResponse(as, client, renewing);
assert.notEqual(renewed.refresh_token, tokens.refresh_token);
checked("userinfo and refresh");

await revoke(renewed.refresh_token);
for (const dead of [renewed.refresh_token, renewed.access_token, tokens.access_token]) assert.deepEqual(await introspect(dead), { active: false });
const late = await oauth.refreshTokenGrantRequest(as, client, authentication, renewed.refresh_token, insecure);
await refused(oauth.processRefreshTokenResponse(as, client, late), "invalid_grant");
checked("revoking a refresh token ends all that came of its code");

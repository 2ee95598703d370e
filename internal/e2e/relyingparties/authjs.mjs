// Auth.js reads the profile from the ID token and nothing else.
import "./webcrypto.mjs";
import assert from "node:assert/strict";
import express from "express";
import { ExpressAuth, getSession } from "@auth/express";
import { Person, applications, checked, issuer, listen, origin, version } from "./person.mjs";

version("@auth/express");
version("@auth/core");

const { id, secret } = applications.authjs;
const config = {
  providers: [{ id: "gatehouse", name: "Gatehouse", type: "oidc", issuer, clientId: id, clientSecret: secret, checks: ["pkce", "state", "nonce"] }],
  secret: "of the test, and longer than thirty-two characters", trustHost: true, basePath: "/auth",
};
const app = express();
app.use("/auth", ExpressAuth(config));
app.get("/", async (req, res) => res.json(await getSession(req, config)));
await listen(app);

const person = new Person();
const { csrfToken } = JSON.parse((await person.send(`${origin}/auth/csrf`)).body);
const started = await person.send(`${origin}/auth/signin/gatehouse`, { csrfToken, callbackUrl: `${origin}/` });
assert.ok(started.location?.startsWith(`${issuer}/authorize?`), `signing in leads to ${started.location}: ${started.body}`);
const arrived = await person.visit(started.location);
assert.equal(arrived.url, `${origin}/`, arrived.body);
checked("discovery, code, PKCE, state, nonce, client_secret_basic, ID token");

const { user } = JSON.parse(arrived.body);
assert.equal(user?.name, "Ana Silva", arrived.body);
assert.equal(user.email, "ana@example.test");
assert.equal(user.image, "https://pictures.example/ana.png");
checked("the profile in the ID token");
process.exit();

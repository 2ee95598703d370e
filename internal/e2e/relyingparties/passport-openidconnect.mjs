// passport-openidconnect sends neither a PKCE challenge nor HTTP Basic, and reads the profile from userinfo.
import "./webcrypto.mjs";
import assert from "node:assert/strict";
import express from "express";
import session from "express-session";
import passport from "passport";
import OpenIDConnectStrategy from "passport-openidconnect";
import { Person, applications, checked, issuer, listen, origin, version } from "./person.mjs";

version("passport-openidconnect");

const { id, secret } = applications.passport;
const verify = (iss, profile, context, idToken, accessToken, refreshToken, done) =>
  done(null, { iss, profile, context, idToken, accessToken, refreshToken });
const strategy = (more) => new OpenIDConnectStrategy({
  issuer, authorizationURL: `${issuer}/authorize`, tokenURL: `${issuer}/token`, userInfoURL: `${issuer}/userinfo`,
  clientID: id, clientSecret: secret, callbackURL: `${origin}/callback`, scope: ["profile", "email"], skipUserProfile: false, nonce: "yes",
  ...more,
}, verify);
passport.use(strategy());
passport.use("silent", strategy({ prompt: "none" }));
passport.serializeUser((user, done) => done(null, user));
passport.deserializeUser((user, done) => done(null, user));

const app = express();
app.use(session({ secret: "of the test", resave: false, saveUninitialized: false }));
app.use(passport.session());
app.get("/login", passport.authenticate("openidconnect"));
app.get("/silent", passport.authenticate("silent"));
app.get("/callback", passport.authenticate("openidconnect", { failureMessage: true, failWithError: true }), (_, res) => res.redirect("/me"));
app.get("/me", (req, res) => res.json(req.user ?? null));
app.use((err, req, res, next) => res.status(500).json({ name: err.name, code: err.code, message: err.message, told: req.session.messages }));
await listen(app);

const person = new Person();
const nobody = await person.visit(`${origin}/silent`);
assert.equal(nobody.status, 500, nobody.body);
assert.equal(JSON.parse(nobody.body).code, "login_required", nobody.body);
checked("prompt=none of a stranger");

const arrived = await person.visit(`${origin}/login`);
assert.equal(arrived.url, `${origin}/me`, arrived.body);
const user = JSON.parse(arrived.body);
assert.equal(user.iss, issuer);
assert.equal(user.profile.displayName, "Ana Silva");
assert.equal(user.profile.name.familyName, "Silva");
assert.equal(user.profile.username, "ana");
assert.equal(user.profile.emails[0].value, "ana@example.test");
checked("code without PKCE, client_secret_post, nonce, ID token, userinfo");

const again = await person.visit(`${origin}/silent`);
assert.equal(again.url, `${origin}/me`, again.body);
assert.equal(JSON.parse(again.body).profile.id, user.profile.id);
checked("prompt=none of somebody who is signed in");
process.exit();

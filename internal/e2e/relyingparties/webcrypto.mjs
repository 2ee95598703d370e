// Node.js 18 has the global that the libraries use, and later versions always have, only behind a flag.
// Imported first, because modules run in the order in which they are imported.
import { webcrypto } from "node:crypto";

globalThis.crypto ??= webcrypto;
globalThis.CryptoKey ??= webcrypto.CryptoKey;

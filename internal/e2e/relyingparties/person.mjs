// A person with a browser without scripts, and what every relying party here is told.
import { readFileSync } from "node:fs";

const { issuer, username, password, listener, ...applications } = JSON.parse(process.env.GATEHOUSE_RELYING_PARTY);

// The realm, its applications by name, and the origin on which this process may listen as file descriptor 3.
export { issuer, applications };
export const origin = listener;
export const listen = (app) => new Promise((resolve) => app.listen({ fd: 3 }, resolve));

// version says which library is driven.
export const version = (library) => {
  const { version } = JSON.parse(readFileSync(new URL(`node_modules/${library}/package.json`, import.meta.url)));
  console.log(`library ${library} ${version} on Node.js ${process.versions.node}`);
};

// checked is written for each thing that holds. The Go test counts them.
export const checked = (what) => console.log(`checked ${what}`);

// field is the value of a form's hidden field, undefined when there is none.
export const field = (page, name) => {
  const value = page.match(new RegExp(`<input type="hidden" name="${name}" value="([^"]*)"`))?.[1];
  const entities = { amp: "&", lt: "<", gt: ">", quot: '"', "#34": '"', "#39": "'", "#43": "+" };
  return value?.replace(/&(\w+|#\d+);/g, (all, name) => entities[name] ?? all);
};

// setCookies are the Set-Cookie lines of an answer. The fetch of older Node.js, Debian's 18 among them, has them only
// joined by commas, which dates have too.
function setCookies(headers) {
  if (headers.getSetCookie) return headers.getSetCookie();
  return (headers.get("set-cookie") ?? "").split(/,(?=\s*[^;,=\s]+=)/).filter(Boolean);
}

export class Person {
  #cookies = new Map();

  // visit opens an address and follows redirects, signing in where that is asked, until it arrives at a page, or at an
  // address that begins with `until`, which is not opened.
  async visit(address, until) {
    let response = { location: address };
    for (let hops = 0; hops < 20; hops++) {
      if (response.location) {
        if (until && response.location.startsWith(until)) return { url: response.location };
        response = await this.send(response.location);
      } else if (response.status === 200 && response.body.includes('autocomplete="current-password"')) {
        response = await this.send(response.url, { csrf: field(response.body, "csrf"), username, password });
      } else if (until) {
        throw new Error(`${response.url} answered ${response.status} instead of leading to ${until}:\n${response.body}`);
      } else {
        return response;
      }
    }
    throw new Error(`no end of redirects, the last to ${response.location ?? response.url}`);
  }

  // send makes one request, with a form as POST, and follows nothing. Cookies know no ports (RFC 6265 §8.5).
  async send(url, form) {
    const jar = this.#cookies.get(new URL(url).hostname) ?? new Map();
    this.#cookies.set(new URL(url).hostname, jar);
    const headers = { Accept: "text/html", Cookie: Array.from(jar, (pair) => pair.join("=")).join("; ") };
    const body = form && new URLSearchParams(form);
    const response = await fetch(url, { method: form ? "POST" : "GET", headers, body, redirect: "manual" });
    for (const line of setCookies(response.headers)) {
      const [, name, value, attributes] = line.match(/^([^=]+)=([^;]*)(.*)$/);
      if (/;\s*max-age=0/i.test(attributes) || /;\s*expires=[^;]* 1970 /i.test(attributes)) jar.delete(name);
      else jar.set(name, value);
    }
    const location = response.headers.get("location");
    return {
      url, status: response.status, body: await response.text(),
      location: location && new URL(location, url).href,
    };
  }
}

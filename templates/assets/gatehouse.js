// What the pages gain when scripts run. Every page works without this file, and nothing security rests on is here.
const all = (selector) => document.querySelectorAll(selector);

// A problem with the form is read and reached first.
document.querySelector("[data-focus]")?.focus();

// A button in each password field shows and hides what is typed.
const eye = `<svg viewBox="0 0 24 24" aria-hidden="true" focusable="false"><path d="M2 12c2.4-4.4 5.8-6.6 10-6.6S19.6 7.6 22 12c-2.4 4.4-5.8 6.6-10 6.6S4.4 16.4 2 12Z"/><circle cx="12" cy="12" r="3"/><path class="shown" d="m4 4 16 16"/></svg>`;
for (const input of all("input[data-show]")) {
  const button = document.createElement("button");
  const reveal = (shown) => {
    input.type = shown ? "text" : "password";
    button.setAttribute("aria-pressed", String(shown));
    button.title = shown ? input.dataset.hide : input.dataset.show;
  };
  button.type = "button";
  button.className = "reveal";
  button.innerHTML = eye;
  button.setAttribute("aria-controls", input.id);
  button.setAttribute("aria-label", input.dataset.show);
  reveal(false);
  button.addEventListener("click", () => reveal(input.type === "password"));
  // Browsers offer to save what leaves in a password field, and remember what leaves in any other.
  input.form?.addEventListener("submit", () => reveal(false));
  const focused = document.activeElement === input;
  const box = document.createElement("div");
  box.className = "with-reveal";
  input.replaceWith(box);
  box.append(input, button);
  if (focused) input.focus();
}

// Caps Lock is told while a password is typed.
for (const hint of all("[data-caps]")) {
  const input = document.getElementById(hint.id.replace(/-caps$/, ""));
  const tell = (event) => {
    const on = event.getModifierState?.("CapsLock") ?? false;
    const text = on ? hint.dataset.caps : "";
    if (hint.textContent !== text) hint.textContent = text;
  };
  for (const type of ["keydown", "keyup", "mousedown"]) input?.addEventListener(type, tell);
  input?.addEventListener("blur", () => { hint.textContent = ""; });
}

// A form is sent once. Coming back to the page makes it usable again.
for (const form of all("form[data-once]")) {
  let sent = false;
  const mark = (busy) => {
    sent = busy;
    for (const button of form.querySelectorAll("button[type=submit]")) {
      button.setAttribute("aria-busy", String(busy));
      button.setAttribute("aria-disabled", String(busy));
    }
  };
  form.addEventListener("submit", (event) => {
    if (sent) event.preventDefault();
    else mark(true);
  });
  addEventListener("pageshow", () => { if (!form.hasAttribute("data-autosubmit")) mark(false); });
}

// A code of six digits is sent by itself.
for (const input of all("input[data-code]")) {
  input.addEventListener("input", () => {
    if (/^\d{6}$/.test(input.value.replace(/[\s-]/g, ""))) input.form.requestSubmit();
  });
}

// The window that waits for a code goes on when the mailed link was followed in another one of this browser.
const others = window.BroadcastChannel && new BroadcastChannel("gatehouse");
if (others) {
  if (document.querySelector("[data-followed]")) others.postMessage("followed");
  const check = document.querySelector("a[data-check]");
  if (check) others.addEventListener("message", () => { location.assign(check.href); });
}

// An answer on its way to the application goes on by itself.
document.querySelector("form[data-autosubmit]")?.requestSubmit();

// The details for support can be copied.
for (const button of all("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const rows = document.getElementById(button.dataset.copy).querySelectorAll("div");
    const lines = Array.from(rows, (row) => Array.from(row.children, (cell) => cell.textContent.trim()).join(": "));
    await navigator.clipboard.writeText(lines.join("\n"));
    button.parentElement.querySelector("[role=status]").textContent = button.dataset.done;
  });
}

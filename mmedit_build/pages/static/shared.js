// What all pages share. Texts of others only ever become text nodes, never markup.

/** An element. Attributes that are functions listen; those that are false or null are left out. */
export function make(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (typeof value === "function") element.addEventListener(key, value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(key, value);
  }
  element.append(...children.flat(Infinity).filter((one) => one !== null && one !== undefined && one !== false));
  return element;
}

/** What the server answers; its sentence becomes an error. */
export async function ask(path, values = {}, signal = undefined) {
  const response = await fetch(`${path}?${new URLSearchParams(given(values))}`, { signal });
  const found = await response.json();
  if (!response.ok) throw new Error(found.error ?? `The server answered ${response.status}.`);
  return found;
}

function given(values) {
  return Object.fromEntries(
    Object.entries(values).filter(([, value]) => value !== "" && value !== null && value !== undefined),
  );
}

/** What the address of the page says. */
export function here() {
  return Object.fromEntries(new URLSearchParams(location.search));
}

/** An address of this page. */
export function address(values) {
  return `?${new URLSearchParams(given(values))}`;
}

/** Draws the page whenever its address changes; links to it do not load it anew. */
export function route(draw) {
  const drawn = () => draw(here()).catch((error) => error.name === "AbortError" || fail(error));
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='?']");
    if (!link || event.metaKey || event.ctrlKey || event.shiftKey || event.button) return;
    event.preventDefault();
    go(link.getAttribute("href"));
  });
  addEventListener("popstate", drawn);
  addEventListener("go", drawn);
  return drawn();
}

/** Goes to an address of this page; `replace` leaves no way back to the present one. */
export function go(to, replace = false) {
  history[replace ? "replaceState" : "pushState"]({}, "", to);
  dispatchEvent(new Event("go"));
}

/** Goes to the first page of another choice; letters of a search leave no way back to the one before.
 *
 * What is searched for comes a moment late: what was chosen meanwhile, which the address says, stays. */
export function change(changed, always = {}) {
  go(address({ ...here(), ...always, page: "", ...changed }), "text" in changed);
}

/** Says what went wrong; in the place of a list, beside whose controls another choice can be made. */
export function fail(error) {
  (document.getElementById("list") ?? document.querySelector("main")).replaceChildren(make("p", { class: "failed", role: "alert" }, error.message));
}

/** A small picture that opens whole; a note where there is none. */
export function picture(source, alt, small = true) {
  if (!source) return make("span", { class: "absent" }, "no image");
  const shown = make("img", { src: small ? `${source}?small=1` : source, alt, loading: "lazy" });
  shown.addEventListener("error", () => shown.replaceWith(make("span", { class: "absent" }, "no image")));
  const open = (event) => {
    event.stopPropagation();
    lay(make("img", { src: source, alt }), make("p", {}, alt));
  };
  return make("button", { class: "picture", type: "button", click: open, "aria-label": `${alt}, in full` }, shown);
}

/** Lays something over the page until Escape or a click beside it. */
export function lay(...content) {
  const dialog = make("dialog", { class: "over" }, ...content);
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
  dialog.addEventListener("close", () => dialog.remove());
  dialog.prepend(make("button", { class: "close", type: "button", "aria-label": "close", click: () => dialog.close() }, "×"));
  document.body.append(dialog);
  dialog.showModal();
}

/** Links to the pages of a list. */
export function pages(total, page, size, values) {
  const last = Math.max(0, Math.ceil(total / size) - 1);
  const link = (to, text, label) =>
    to < 0 || to > last || to === page
      ? make("span", { "aria-hidden": "true" }, text)
      : make("a", { href: address({ ...values, page: to || "" }), "aria-label": label }, text);
  const from = total ? page * size + 1 : 0;
  return make(
    "nav",
    { class: "pages", "aria-label": "Pages" },
    link(0, "«", "first page"), link(page - 1, "‹", "page before"),
    make("span", {}, `${from.toLocaleString("en")} to ${Math.min(total, (page + 1) * size).toLocaleString("en")} of ${total.toLocaleString("en")}`),
    link(page + 1, "›", "next page"), link(last, "»", "last page"),
  );
}

let bound = {};

/** What keys do from now on; not while something is written, or lies over the page. */
export function keys(actions) {
  bound = actions;
}

addEventListener("keydown", (event) => {
  if (event.metaKey || event.ctrlKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.matches("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = bound[event.key];
  if (act) {
    event.preventDefault();
    act();
  }
});

/** Keys that go through the rows of a list, and open one. */
export function rowKeys(rows, open) {
  let at = -1;
  const move = (step) => {
    rows[at]?.classList.remove("at");
    at = Math.max(0, Math.min(rows.length - 1, at + step));
    rows[at]?.classList.add("at");
    rows[at]?.scrollIntoView({ block: "nearest" });
  };
  return {
    j: () => move(1), ArrowDown: () => move(1), k: () => move(-1), ArrowUp: () => move(-1),
    Enter: () => at >= 0 && open(at),
    "/": () => document.querySelector("input[type=search]")?.focus(),
  };
}

/** A labelled choice; `options` are pairs of a value and its text, or groups: a name and pairs. */
export function choice(label, name, value, options, change) {
  const option = ([key, text]) =>
    Array.isArray(text)
      ? make("optgroup", { label: key }, text.map(option))
      : make("option", { value: key, selected: key === value }, text);
  return make("label", {}, label, make("select", { name, change: (event) => change(event.target.value) }, options.map(option)));
}

/** A field for searching, which waits until one has stopped writing. */
export function search(label, value, change) {
  let waiting;
  const input = (event) => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change(event.target.value), 200);
  };
  return make("label", { class: "search" }, label, make("input", { type: "search", value, input, placeholder: "words", autocomplete: "off" }));
}

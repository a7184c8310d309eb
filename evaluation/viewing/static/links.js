// At the end of the report: its numbers become links to their cases. `runsByName` has what the report calls runs
// and streams, by task.

const USUAL = { edits: { show: "partly", sort: "low" }, streams: { sort: "low" }, edit: {} };

/** Where the cases of a number are; nothing where the viewer does not know its runs. */
function addressOf(one) {
  const asked = new URLSearchParams(one.dataset.cases);
  const task = one.closest("section[id]").id;
  const view = asked.get("view") ?? "edits";
  const runs = asked.getAll("run").map((name) => runsByName[view === "streams" ? "streams" : "edits"][task]?.[name]);
  if (runs.includes(undefined)) return undefined;
  asked.delete("run");
  return `/?${new URLSearchParams({ view, task, ...(runs.length && { runs }), ...USUAL[view], ...Object.fromEntries(asked) })}`;
}

/** A cell has the link within itself, a shape of a figure stands within the link. */
function lead(one, to) {
  const drawn = one instanceof SVGElement;
  const link = drawn ? document.createElementNS("http://www.w3.org/2000/svg", "a") : document.createElement("a");
  link.setAttribute("href", to);
  link.setAttribute("class", "cases");
  if (drawn) {
    // Pictures have no parts for those who hear the page; what has links is no picture any more.
    one.closest("svg").setAttribute("role", "group");
    one.replaceWith(link);
    link.append(one);
  } else {
    link.append(...one.childNodes);
    one.append(link);
  }
}

for (const one of document.querySelectorAll("[data-cases]")) {
  const to = one.textContent === "-" ? undefined : addressOf(one);
  if (to) lead(one, to);
}
const style = document.createElement("style");
style.textContent = `a.cases { color: inherit; text-decoration: none; display: block; }
a.cases:hover, a.cases:focus-visible { text-decoration: underline; }`;
document.head.append(style);
const back = document.createElement("p");
const first = document.createElement("a");
first.href = "/";
first.textContent = "All cases; each number in tables and each mark in figures leads to its own.";
back.append(first);
document.querySelector("main").prepend(back);

// At the end of the report: its numbers become links to their cases. `runsByName` has the runs by task and name.

for (const cell of document.querySelectorAll("[data-cases]")) {
  const asked = new URLSearchParams(cell.dataset.cases);
  const task = cell.closest("section[id]").id;
  const run = runsByName[task][asked.get("run")];
  if (run === undefined || cell.textContent === "-") continue;
  asked.delete("run");
  const link = document.createElement("a");
  const values = { view: "edits", task, runs: run, ...Object.fromEntries(asked), show: "partly", sort: "low" };
  link.href = `/?${new URLSearchParams(values)}`;
  link.className = "cases";
  link.append(...cell.childNodes);
  cell.append(link);
}
const style = document.createElement("style");
style.textContent = `a.cases { color: inherit; text-decoration: none; display: block; }
a.cases:hover, a.cases:focus-visible { text-decoration: underline; }`;
document.head.append(style);
const back = document.createElement("p");
const first = document.createElement("a");
first.href = "/";
first.textContent = "All cases; each number in the tables leads to its own.";
back.append(first);
document.querySelector("main").prepend(back);

"""The script of tables: the titles of columns become buttons that sort.

The first click puts the highest number first, and the first word; the second turns the order around, the
third brings back the order that the page was written in, with its families. Phones show no titles of columns,
and have a list to choose from.
"""

from __future__ import annotations

SORTING = """
function wordsOf(cell) {
  const copy = cell.cloneNode(true);
  for (const one of copy.querySelectorAll("span, svg")) one.remove();
  return copy.textContent.trim();
}

function compared(rows, place) {
  const shown = new Map(rows.map((row) => [row, wordsOf(row.cells[place])]));
  const missing = (text) => text === "" || text === "-";
  const number = (text) => parseFloat(text.replaceAll(",", ""));
  const numbers = [...shown.values()].every((text) => missing(text) || !isNaN(number(text)));
  const order = (one, other) => numbers ? number(one) - number(other) : one.localeCompare(other);
  const sorted = (way) => [...rows].sort((one, other) => {
    const first = shown.get(one), second = shown.get(other);
    return missing(first) - missing(second) || (missing(first) ? 0 : way * order(first, second));
  });
  return {sorted, ways: numbers ? [-1, 1] : [1, -1]};
}

function sortable(table) {
  const heads = [...table.tHead.rows[table.tHead.rows.length - 1].cells];
  const bodies = [...table.tBodies].map((body) => [body, [...body.rows]]);
  const families = [...table.querySelectorAll("tr.family")];
  const rows = bodies.flatMap(([, of]) => of).filter((row) => !families.includes(row));
  if (rows.length < 2) return;
  const select = document.createElement("select");
  const sort = (head, way) => {
    for (const one of heads) one.removeAttribute("aria-sort");
    for (const row of families) row.hidden = Boolean(way);
    if (way) {
      head.setAttribute("aria-sort", way < 0 ? "descending" : "ascending");
      bodies[0][0].append(...compared(rows, heads.indexOf(head)).sorted(way));
    } else {
      for (const [body, of] of bodies) body.append(...of);
    }
    select.value = way ? String(heads.indexOf(head)) : "";
  };
  const next = (head) => {
    const ways = compared(rows, heads.indexOf(head)).ways;
    const now = {ascending: 1, descending: -1}[head.getAttribute("aria-sort")];
    sort(head, now ? (now === ways[0] ? ways[1] : 0) : ways[0]);
  };
  select.append(new Option("as listed", ""));
  for (const [place, head] of heads.entries()) {
    if (head.tagName !== "TH") continue;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => next(head));
    select.append(new Option(rows[0].cells[place].dataset.label || wordsOf(button), place));
  }
  select.addEventListener("input", () => {
    const head = heads[select.value];
    sort(head, head ? compared(rows, heads.indexOf(head)).ways[0] : 0);
  });
  const label = document.createElement("label");
  label.className = "sorter";
  label.append("Sorted by ", select);
  (table.closest(".scroll") || table).before(label);
}

for (const table of document.querySelectorAll("table")) {
  if (table.tHead && !table.closest("article")) sortable(table);
}
"""

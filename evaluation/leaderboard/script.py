"""What the page of a leaderboard has besides all pages: rows are chosen; they are sorted as in reports."""

from __future__ import annotations

from evaluation.report.sorting import SORTING

OWN_STYLE = """
main { max-width: 1240px; }
p.lead + p.lead { margin-top: 10px; }
.standings td, .standings th { padding: 8px 5px; white-space: nowrap; }
.standings tbody th { white-space: normal; min-width: 180px; }
.standings td b { font-weight: 400; } .standings .lead b { font-weight: 650; }
.standings tbody th div > span { padding-left: 21px; }
.standings .note { padding-left: 21px; color: var(--fault); }
.standings thead th:nth-child(2) { text-align: left; }
.refused { overflow-wrap: anywhere; }
section[hidden], div[hidden], tr[hidden] { display: none !important; }
@media (max-width: 760px) {
  .standings tr { display: flex; flex-direction: column; }
  .standings tbody th { order: -1; }
  .standings td > div { display: flex; gap: 10px; }
  .standings tbody td, .standings tbody th { padding: 1px 0; }
}
"""
FILTERS = """
"use strict";
const form = document.getElementById("filters");
const count = document.getElementById("count");
const sections = [...document.querySelectorAll("section[data-task]")];

function chosen() {
  return Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
}

function show() {
  const wanted = chosen();
  const fits = (of, names) => names.every((name) => !wanted[name] || of.dataset[name] === wanted[name]);
  let rows = 0;
  for (const section of sections) {
    let any = false;
    for (const table of section.querySelectorAll("div[data-protocol]")) {
      let here = 0;
      for (const row of table.querySelectorAll("tbody tr")) {
        row.hidden = !fits(row, ["family", "level"]);
        here += row.hidden ? 0 : 1;
      }
      table.hidden = !here || !fits(table, ["protocol"]);
      any = any || !table.hidden;
      rows += table.hidden || !fits(section, ["dataset", "model", "task"]) ? 0 : here;
    }
    section.hidden = !any || !fits(section, ["dataset", "model", "task"]);
  }
  count.textContent = `${rows} rows`;
  return wanted;
}

function remember() {
  const address = new URLSearchParams(show()).toString();
  history.replaceState(null, "", address ? `#${address}` : location.pathname);
}

function recall() {
  const given = new URLSearchParams(location.hash.slice(1));
  for (const field of form.elements) {
    field.value = given.get(field.name) || "";
    if (field.selectedIndex < 0) field.value = "";
  }
}

form.hidden = false;
form.addEventListener("input", remember);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => { recall(); show(); });
recall();
show();
"""
SCRIPT = FILTERS + SORTING

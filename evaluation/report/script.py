"""The script of the page: it chooses which edits are shown, if any are, and keeps the choice in its address.

Tables that sort and figures that are saved have scripts of their own, which come after it.
"""

from __future__ import annotations

from evaluation.report.saving import SAVING
from evaluation.report.sorting import SORTING

FILTERS = """
"use strict";
const form = document.getElementById("filters");
const count = document.getElementById("count");
const cards = [...document.querySelectorAll("article")];
const words = cards.map((card) => card.textContent.toLowerCase());

function rowMatches(row, wanted) {
  if (wanted.method && row.dataset.method !== wanted.method) return false;
  if (!wanted.failures) return true;
  const failed = row.dataset.failed.split(" ").filter(Boolean);
  return wanted.probe ? failed.includes(wanted.probe) : failed.length > 0;
}

function cardMatches(card, text, wanted) {
  if (wanted.task && card.dataset.task !== wanted.task) return false;
  if (wanted.type && card.dataset.type !== wanted.type) return false;
  if (wanted.text && !text.includes(wanted.text.toLowerCase())) return false;
  let any = false;
  for (const row of card.querySelectorAll("tr[data-method]")) {
    row.hidden = !rowMatches(row, wanted);
    any = any || !row.hidden;
  }
  for (const more of card.querySelectorAll("details.others")) {
    const rows = [...more.querySelectorAll("tr[data-method]")];
    more.open = Boolean(wanted.method) && rows.some((row) => !row.hidden);
  }
  return any || !(wanted.method || wanted.failures);
}

function chosen() {
  const entries = [...new FormData(form)].map(([name, value]) => [name, value.trim()]);
  return Object.fromEntries(entries.filter(([, value]) => value));
}

function show() {
  form.elements.probe.disabled = !form.elements.failures.checked;
  const wanted = chosen();
  cards.forEach((card, place) => { card.hidden = !cardMatches(card, words[place], wanted); });
  const shown = cards.filter((card) => !card.hidden).length;
  count.textContent = `${shown} of ${cards.length} edits`;
  return wanted;
}

function remember() {
  const address = new URLSearchParams(show()).toString();
  history.replaceState(null, "", address ? `#${address}` : location.pathname);
}

function recall() {
  const given = new URLSearchParams(location.hash.slice(1));
  if (![...given.keys()].some((name) => form.elements[name])) return false;
  for (const field of form.elements) {
    const value = given.get(field.name) || "";
    if (field.type === "checkbox") field.checked = value === field.value;
    else field.value = value;
    if (field.selectedIndex < 0) field.value = "";
  }
  return true;
}

form.hidden = false;
form.addEventListener("input", remember);
form.addEventListener("submit", (event) => event.preventDefault());
addEventListener("hashchange", () => { if (recall()) show(); });
if (matchMedia("(max-width: 760px)").matches) {
  for (const card of cards) card.querySelector("details").open = false;
}
const linked = recall();
show();
if (linked) document.getElementById("cases").scrollIntoView();
"""

TABLES = SORTING + SAVING
"""Of a page without edits to look at."""
SCRIPT = FILTERS + TABLES

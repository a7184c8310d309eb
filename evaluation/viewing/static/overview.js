// The main tables: each number leads to the cases that it is the mean of.

import { address, ask, go, keys, make } from "/shared/shared.js";
import { families, number } from "./words.js";

export async function drawOverview(known, task) {
  keys({});
  const tables = await ask("/api/overview", { task: task.task });
  const runs = known.runs.filter((run) => run.task === task.task);
  const unfinished = runs.filter((run) => !run.finished).length;
  const edits = Math.max(...runs.map((run) => run.edits));
  document.title = `${task.title}: results`;
  document.querySelector("main").replaceChildren(
    make("p", { class: "soft" },
      `${runs.length} runs, ${edits.toLocaleString("en")} edits. Each number leads to its cases, those that are not all right first. `,
      unfinished ? `${unfinished} of the runs have not finished. ` : "",
      "Tick two runs to see them side by side."),
    ...task.unpictured.map((dataset) => make("p", { class: "soft" },
      `There are no pictures of ${dataset}: it is not where it was, is another one by now, or has none.`)),
    ...tables.map((table) => drawTable(task, table, runs)),
  );
}

function drawTable(task, table, runs) {
  const means = new Map(table.rows.map((row) => [row.run, row.means]));
  const best = bestOf(table, runs, means);
  const head = make("tr", {}, make("th", { scope: "col" }, "Run"),
    table.columns.map((column) => make("th", { scope: "col", title: column.about }, column.title, make("small", {}, column.metric))));
  const body = families(runs.filter((run) => means.has(run.run))).flatMap(([family, of]) => [
    family && make("tr", { class: "family" }, make("th", { colspan: table.columns.length + 1, scope: "rowgroup" }, family)),
    ...of.map((run) => make("tr", {},
      make("th", { scope: "row" }, make("label", {}, make("input", { type: "checkbox", value: run.run, change: pair }), " ", run.name)),
      table.columns.map((column) => cell(task, column, run, means.get(run.run)?.[column.key], best.get(column.key))))),
  ]);
  return make("section", {}, make("h2", {}, table.title),
    make("div", { class: "scroll" }, make("table", { class: "means" }, make("thead", {}, head), make("tbody", {}, body))));

  function pair() {
    const chosen = [...document.querySelectorAll(".means input:checked")].map((one) => one.value);
    const two = [...new Set(chosen)];
    if (two.length === 2) go(address({ view: "edits", task: task.task, measure: table.columns[0].key, runs: two.join(","), show: "unlike" }));
  }
}

function bestOf(table, runs, means) {
  const rivals = runs.filter((run) => !run.unedited && !run.leaks && run.family !== "sanity");
  return new Map(table.columns.map(({ key }) => [key, Math.max(...rivals.map((run) => means.get(run.run)?.[key]?.[0] ?? -1))]));
}

function cell(task, column, run, found, best) {
  if (!found) return make("td", { class: "void" }, "");
  const [mean, low, high, edits] = found;
  const to = address({ view: "edits", task: task.task, measure: column.key, runs: run.run, show: mean < 1 ? "partly" : "", sort: mean < 1 ? "low" : "" });
  const shown = number(mean, true);
  return make("td", {},
    make("a", { href: to, title: `95% interval ${number(low, true)} to ${number(high, true)}, ${edits} edits` }, !run.unedited && mean === best ? make("b", {}, shown) : shown),
    make("small", {}, `${number(low, true, 0)}–${number(high, true, 0)}`));
}

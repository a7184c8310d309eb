// Streams: the tables of what is left after so many edits, and lists of what was asked at each time.

import { address, ask, change, choice, go, keys, make, pages, picture, rowKeys, search } from "/shared/shared.js";
import { drawChooser, PAGE } from "./edits.js";
import { number, said, sign, state } from "./words.js";

const SHOWS = [["", "all"], ["fails", "some run fails"], ["all-fail", "every run fails"], ["all-pass", "every run is right"],
  ["disagree", "runs disagree"], ["lost", "right at first, lost since"], ["regained", "wrong at first, right since"]];
const SORTS = [["", "by position"], ["newest", "newest edits first"], ["low", "lowest score first"], ["high", "highest score first"], ["failures", "most failures first"]];
const LISTED = { Online: "just after the edit", Kept: "earlier edits", "T-Gen": "text generality of earlier edits",
  "T-Loc": "text locality, fixed set", "I-Loc": "image locality, fixed set", Ability: "general ability, fixed set",
  "Lost old": "oldest third of earlier edits", "Lost mid": "middle third of earlier edits", "Lost new": "newest third of earlier edits" };
/** What can be listed, with the columns of publications as which some streams are made. */
function listed(task) {
  return Object.assign({}, LISTED, ...task.streams.map((run) => run.published?.columns));
}

/** The publication that a column is of. */
function published(task, column) {
  return task.streams.find((run) => run.published && Object.hasOwn(run.published.columns, column))?.published;
}

const FIXED = ["T-Loc", "I-Loc", "Ability"];
let asking = new AbortController();

export async function drawStreams(known, task, values) {
  if (!task.streams.length) throw new Error("These results have no streams.");
  if (Object.hasOwn(listed(task), values.column)) return drawSteps(task, values);
  keys({});
  const tables = await ask("/api/streams", { task: task.task });
  document.title = `${task.title}: edits one after the other`;
  const main = document.querySelector("main");
  delete main.dataset.list;
  const unfinished = task.streams.filter((run) => !run.finished).length;
  main.replaceChildren(
    make("p", { class: "soft" }, `Edits are made one after the other and stay: ${task.streams.length} runs, orders of each: ${Math.max(...task.streams.map((run) => run.orders))}. `,
      "Each number leads to what was asked for it. ", unfinished ? `Runs that have not finished: ${unfinished}.` : ""),
    ...tables.map((table) => drawTable(task, table)));
}

function drawTable(task, table) {
  const columns = table.columns.filter((column) => table.rows.some((row) => row.means[column.key]));
  const body = task.streams.flatMap((run) => table.rows.filter((row) => row.run === run.run).map((row, place) => make("tr", { class: place ? "" : "first" },
    make("th", { scope: "row" }, place ? make("span", { class: "unseen" }, run.name) : run.name), make("td", {}, row.number.toLocaleString("en")),
    columns.map((column) => cell(task, table, column.key, run, row)))));
  return make("section", {}, make("h2", {}, table.title), make("div", { class: "scroll" }, make("table", { class: "means" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Run"), make("th", { scope: "col" }, "Edits"),
      columns.map((column) => make("th", { scope: "col", title: column.about }, column.title)))), make("tbody", {}, body))));
}

function cell(task, table, column, run, row) {
  const found = row.means[column];
  if (!found) return make("td", { class: "void" }, "");
  const [mean, low, high, edits] = found;
  const show = column.startsWith("Lost") ? "lost" : "";
  const to = address({ view: "streams", task: task.task, column, protocol: table.protocol, number: row.number, runs: run.run, show });
  return make("td", {}, make("a", { href: to, title: `95% interval ${number(low, true)} to ${number(high, true)}, ${edits} answers` }, number(mean, true)));
}

/** What the server is asked for, with usual values where the address says nothing. */
function wanted(task, values) {
  const named = (values.runs ?? "").split(",").map((one) => task.streams.find((run) => run.run === Number(one))).filter(Boolean);
  const chosen = named.length ? named : task.streams;
  const of = published(task, values.column);
  const numbers = of?.numbers ?? [...new Set(chosen.flatMap((run) => run.numbers))].sort((one, other) => one - other);
  const asked = Number(values.number);
  return {
    chosen, numbers,
    now: { task: task.task, runs: chosen.map((run) => run.run).join(","), column: values.column, protocol: values.protocol ?? "wild",
      number: numbers.includes(asked) ? asked : numbers.at(-1), order: values.order, show: values.show, sort: values.sort, text: values.text, page: values.page },
  };
}

async function drawSteps(task, values) {
  const { chosen, numbers, now } = wanted(task, values);
  document.title = `Streams: ${listed(task)[now.column]}`;
  const main = document.querySelector("main");
  if (main.dataset.list !== "streams") {
    main.dataset.list = "streams";
    main.replaceChildren(make("div", { id: "controls" }), make("div", { id: "list", "aria-live": "polite" }));
  }
  drawControls(task, values, now, chosen, numbers);
  asking.abort();
  asking = new AbortController();
  const found = await ask("/api/steps", now, asking.signal);
  if (main.dataset.list === "streams") drawList(task, values, now, found, chosen, numbers);
}

function drawControls(task, values, now, chosen, numbers) {
  const place = document.getElementById("controls");
  const kept = place.contains(document.activeElement) && document.activeElement.type === "search" && place.querySelector("label.search");
  const orders = Math.max(...chosen.map((run) => run.orders));
  const protocols = [["wild", "free answers"], ["legacy", "teacher-forced"]];
  const open = place.querySelector("details.runs")?.open;
  place.replaceChildren(make("form", { class: "controls", role: "search", submit: (event) => event.preventDefault() },
    drawChooser(task.streams, chosen, change),
    choice("What", "column", now.column, Object.entries(listed(task)), (value) => change({ column: value })),
    choice("Protocol", "protocol", now.protocol, protocols, (value) => change({ protocol: value })),
    choice(published(task, now.column)?.row ?? "After edits", "number", String(now.number), numbers.map((one) => [String(one), one.toLocaleString("en")]), (value) => change({ number: value })),
    orders > 1 ? choice("Order", "order", values.order ?? "", [["", "all orders"], ...Array.from({ length: orders }, (_, one) => [String(one), `order ${one + 1}`])], (value) => change({ order: value })) : "",
    choice("Show", "show", values.show ?? "", SHOWS, (value) => change({ show: value })),
    choice("Sort", "sort", values.sort ?? "", SORTS, (value) => change({ sort: value })),
    kept || search("Search in questions and answers", values.text ?? "", (value) => change({ text: value }))));
  if (open) place.querySelector("details.runs").open = true;
  if (kept) kept.querySelector("input").focus();
}

function drawList(task, values, now, found, chosen, numbers) {
  const page = Number(now.page ?? 0);
  // Of one or two runs it is shown how answers change; of more, what all of them answer at one time.
  const of = published(task, now.column);
  const times = of ? [now.number] : FIXED.includes(now.column) ? numbers : now.column === "Online" ? [0] : [0, ...numbers];
  const columns = chosen.length <= 2 ? chosen.flatMap((run, place) => times.map((time) => ({ run, place, time })))
    : chosen.map((run, place) => ({ run, place, time: now.column === "Online" ? 0 : now.number }));
  const few = chosen.length <= 2;
  const rows = found.steps.map((step) => make("tr", {}, drawAsked(task, step), few ? make("td", { class: "said" }, said(step.before)) : "",
    columns.map(({ run, place, time }) => drawCell(run, step.cells[place][time], few, time === now.number))));
  const heads = columns.map(({ run, time }) => make("th", { scope: "col" }, few
    ? [chosen.length > 1 ? make("small", {}, run.name) : "", of ? `${of.row} ${time}` : time ? `after ${time.toLocaleString("en")}` : "at once"]
    : make("a", { href: address({ ...values, runs: run.run, page: "" }), title: `${run.name} alone` }, run.name)));
  const head = make("tr", {}, make("th", { scope: "col" }, FIXED.includes(now.column) ? "Question" : "Edit"), few ? make("th", { scope: "col" }, "before") : "", heads);
  const when = of ? `, ${of.row} ${now.number}` : now.column === "Online" ? "" : ` after ${now.number.toLocaleString("en")} edits`;
  document.getElementById("list").replaceChildren(
    make("p", { class: "soft", id: "count" }, make("b", {}, `${found.total.toLocaleString("en")} asked`), `, ${listed(task)[now.column]}${when} (${now.protocol}).`),
    rows.length ? make("div", { class: "scroll" }, make("table", { class: few ? "matrix times" : "matrix" }, make("thead", {}, head), make("tbody", {}, rows))) : make("p", {}, "Nothing is like that."),
    pages(found.total, page, PAGE, values));
  keys(rowKeys(rows, (at) => found.steps[at].id && go(caseOf(task, found.steps[at]))));
  if (values.page) scrollTo(0, 0);
}

function caseOf(task, step) {
  return address({ view: "edit", task: task.task, edit: step.id });
}

function drawAsked(task, step) {
  const where = step.id ? `order ${step.ord + 1}, edit ${(step.position + 1).toLocaleString("en")}` : `order ${step.ord + 1}, ${step.item || "fixed set"}`;
  const asked = [make("span", {}, step.question), " ", make("b", {}, step.target), make("small", {}, where)];
  return make("th", { scope: "row" }, make("div", { class: "about" }, step.image ? picture(`/picture/${step.image}`, step.question) : "",
    step.id ? make("a", { href: caseOf(task, step) }, asked) : make("span", {}, asked)));
}

function drawCell(run, found, few, now) {
  if (!found || found.value === null) return make("td", { class: "void", title: `${run.name}: not asked` });
  const of = state(found.value);
  const title = `${run.name}: ${number(found.value, true)}${found.made ? "" : ", of an edit that could not be made"}`;
  if (!few) return make("td", { class: of, title }, number(found.value, true, 0));
  return make("td", { class: `said ${of}${now ? " now" : ""}`, title }, sign(of), " ", said(found.said));
}

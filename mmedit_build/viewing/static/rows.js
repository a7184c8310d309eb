// All rows of a build: what became of them in which stage, filtered, sorted, and one by one.

import { address, ask, change, choice, go, keys, make, pages, picture, route, rowKeys, search } from "/shared/shared.js";
import { chip, drawRow } from "./row.js";

const PAGE = 50;
const NAMES = ["stage", "status", "reason", "task", "split", "type", "text", "score", "order", "page"];
const about = ask("/api/about");
let asking = new AbortController();

route(async (values) => {
  const known = await about;
  document.getElementById("folder").textContent = known.folder;
  const wanted = Object.fromEntries(NAMES.map((name) => [name, values[name]]));
  if (values.row) await drawRow(values, (at) => rowAt(wanted, at));
  else await drawRows(known, values, wanted);
});

/** The number of the row at a place of the list. */
async function rowAt(wanted, at) {
  const found = await ask("/api/rows", { ...wanted, page: Math.floor(at / PAGE) });
  return found.rows[at % PAGE]?.row;
}

async function drawRows(known, values, wanted) {
  document.title = "Rows";
  const main = document.querySelector("main");
  if (!document.getElementById("list")) main.replaceChildren(stages(known), make("div", { id: "controls" }), make("div", { id: "list", "aria-live": "polite" }));
  drawControls(known, values);
  asking.abort();
  asking = new AbortController();
  const found = await ask("/api/rows", wanted, asking.signal);
  const list = document.getElementById("list");
  if (!list) return;
  const page = Number(values.page ?? 0);
  const to = (row, place) => address({ ...values, row: row.row, at: page * PAGE + place });
  const rows = found.rows.map((row, place) => drawLine(row, to(row, place), values));
  list.replaceChildren(
    make("p", { class: "soft", id: "count" }, make("b", {}, `${found.total.toLocaleString("en")} ${found.total === 1 ? "row" : "rows"}`), " ",
      make("span", { class: "keys" }, make("kbd", {}, "j"), " ", make("kbd", {}, "k"), " move, ", make("kbd", {}, "Enter"), " opens, ", make("kbd", {}, "/"), " searches")),
    rows.length ? make("div", { class: "lines" }, rows) : make("p", {}, "Nothing is like that."),
    pages(found.total, page, PAGE, values),
  );
  keys(rowKeys(rows, (at) => go(to(found.rows[at], at))));
}

function stages(known) {
  const number = (stage, status) => make("td", {}, stage[status]
    ? make("a", { href: address({ stage: stage.stage, status }) }, stage[status].toLocaleString("en")) : "0");
  const why = (stage) => stage.reasons.slice(0, 4).map((one) => make("a", { class: "chip", href: address({ stage: stage.stage, status: one.status, reason: one.reason }) },
    `${one.number.toLocaleString("en")} ${one.reason}`));
  return make("div", { class: "scroll" }, make("table", { class: "stages" },
    make("thead", {}, make("tr", {}, ["stage", "out", "rejected", "failed", "why"].map((name) => make("th", { scope: "col" }, name)))),
    make("tbody", {}, known.stages.map((stage) => make("tr", {}, make("th", { scope: "row" }, make("a", { href: address({ stage: stage.stage }) }, stage.stage)),
      number(stage, "out"), number(stage, "rejected"), number(stage, "failed"), make("td", { class: "why" }, why(stage)))))));
}

function drawControls(known, values) {
  const place = document.getElementById("controls");
  const writing = document.activeElement?.type === "search" && place.contains(document.activeElement);
  const all = (name, options) => [["", name], ...options.map((one) => [one, one])];
  const of = known.stages.filter((stage) => !values.stage || stage.stage === values.stage);
  const reasons = [...new Set(of.flatMap((stage) => stage.reasons.filter((one) => !values.status || one.status === values.status).map((one) => one.reason)))];
  const orders = [["", "in their order"], ...known.scores.flatMap((one) => [[`${one} up`, `${one}, lowest first`], [`${one} down`, `${one}, highest first`]])];
  const kept = writing ? place.querySelector("label.search") : null;
  place.replaceChildren(make("form", { class: "controls", role: "search", submit: (event) => event.preventDefault() },
    choice("Stage", "stage", values.stage ?? "", all("all stages", known.stages.map((stage) => stage.stage)), (stage) => change({ stage, reason: "" })),
    choice("What became of it", "status", values.status ?? "", [["", "anything"], ["out", "came out"], ["rejected", "rejected"], ["failed", "failed"]], (status) => change({ status, reason: "" })),
    choice("Why", "reason", values.reason ?? "", all("any reason", reasons), (reason) => change({ reason })),
    choice("Task", "task", values.task ?? "", all("all tasks", known.task), (task) => change({ task })),
    choice("Split", "split", values.split ?? "", all("both splits", known.split), (split) => change({ split })),
    choice("Question type", "type", values.type ?? "", all("all types", known.type), (type) => change({ type })),
    choice("Sort", "sort", values.score ? `${values.score} ${values.order ?? "up"}` : "", orders, (value) => {
      const [score, order] = value.split(" ");
      change({ score, order: order === "down" ? order : "" });
    }),
    kept ?? search("Search", values.text ?? "", (text) => change({ text }))));
  if (kept) kept.querySelector("input").focus();
}

function drawLine(row, to, values) {
  const score = values.score && (values.score === "confidence" ? row.confidence : row.scores[values.score]);
  return make("article", { class: "row" },
    row.image ? picture(`/picture/${row.row}/image`, row.question) : make("span", {}),
    make("div", {},
      make("a", { href: to, class: "title" }, row.question || row.id), " ", chip(row),
      make("div", { class: "said" }, row.prediction && [make("small", {}, "said "), make("s", {}, row.prediction), " "], row.target && [make("small", {}, "target "), make("b", {}, row.target)]),
      row.rephrase && make("div", { class: "soft" }, row.rephrase),
      make("small", {}, [row.stage, row.task, row.split, row.type, row.id].filter(Boolean).join(", "),
        score !== undefined && score !== "" && score !== null ? `; ${values.score} ${Number(score).toPrecision(4)}` : "")),
    row.painting ? picture(`/picture/${row.row}/painting`, `${row.question}, painted anew`) : make("span", {}));
}

// Lists of edits: what chosen runs made of each, filtered and sorted by one score.

import { address, ask, change, choice, go, keys, make, pages, picture, rowKeys, search } from "/shared/shared.js";
import { families, judged, number, said, show, sign, state } from "./words.js";

export const PAGE = 50;
const SHOWS = [["", "all"], ["fails", "some run fails"], ["partly", "not all right"], ["all-fail", "every run fails"],
  ["all-pass", "every run is right"], ["disagree", "runs disagree"], ["skipped", "skipped"]];
const DISPUTED = ["disputed", "judge and match differ"];
const PAIRS = [["unlike", "the two differ"], ["better", "the first is better"], ["worse", "the second is better"]];
const SORTS = [["", "as in the dataset"], ["low", "lowest score first"], ["high", "highest score first"],
  ["spread", "greatest spread first"], ["failures", "most failures first"], ["slow", "slowest first"]];
const PAIR_SORTS = [["difference", "first ahead of second"], ["difference-down", "second ahead of first"]];
let asking = new AbortController();

/** What the server is asked for, with usual values where the address says nothing. */
export function wanted(known, task, values) {
  const there = known.runs.filter((run) => run.task === task.task);
  const named = (values.runs ?? "").split(",").map((one) => there.find((run) => run.run === Number(one))).filter(Boolean);
  const edited = there.filter((run) => !run.unedited);
  const runs = (named.length ? named : edited.length ? edited : there).map((run) => run.run).join(",");
  // Of free answers if there are any: their protocol comes last, but for what judges say.
  const main = task.measures.filter((one) => one.main && one.protocol !== "judged");
  const usual = main.find((one) => one.protocol === main.at(-1).protocol) ?? task.measures[0];
  const measure = measureOf(task, values.measure) ?? usual;
  return { task: task.task, measure: measure.key, runs, show: values.show, sort: values.sort, type: values.type, text: values.text, page: values.page };
}

/** The measure of a key: one of those that can be chosen, or items at some distance, which reports lead to. */
function measureOf(task, key) {
  const listed = task.measures.find((one) => one.key === key);
  const [, start, axis, low, high] = (key ?? "").match(/^(.*\.)(question|image):(.*):(.*)$/) ?? [];
  const like = start && task.measures.find((one) => one.key.startsWith(start));
  if (listed || !like) return listed;
  return { ...like, key, main: false, kind: `Image locality, cosine of the ${axis} ${Number(low).toFixed(2)} to ${Number(high).toFixed(2)}` };
}

export async function drawEdits(known, task, values) {
  const now = wanted(known, task, values);
  const chosen = now.runs.split(",").map((one) => known.run.get(Number(one)));
  const measure = measureOf(task, now.measure);
  document.title = `Cases: ${task.title.toLowerCase()}`;
  const main = document.querySelector("main");
  if (main.dataset.list !== task.task) {
    main.dataset.list = task.task;
    main.replaceChildren(make("div", { id: "controls" }), make("div", { id: "list", "aria-live": "polite" }));
  }
  drawControls(known, task, values, now, chosen, measure);
  asking.abort();
  asking = new AbortController();
  const found = await ask("/api/edits", now, asking.signal);
  if (main.dataset.list) drawList(task, values, now, found, chosen, measure);
}

function drawControls(known, task, values, now, chosen, measure) {
  const place = document.getElementById("controls");
  const writing = place.contains(document.activeElement) && document.activeElement.type === "search";
  const choose = (changed) => change(changed, { view: "edits", task: task.task });
  const two = chosen.length === 2;
  const groups = new Map();
  for (const one of task.measures.includes(measure) ? task.measures : [measure, ...task.measures]) {
    const name = `${one.protocol}${one.main ? ", main scores" : ", others"}`;
    groups.set(name, [...(groups.get(name) ?? []), [one.key, `${one.kind}: ${one.metric}`]]);
  }
  const ordered = [...groups].sort((one, other) => one[0].endsWith("others") - other[0].endsWith("others"));
  const parts = [
    drawChooser(known.runs.filter((run) => run.task === task.task), chosen, choose),
    choice("Score", "measure", measure.key, ordered, (value) => choose({ measure: value })),
    choice("Show", "show", values.show ?? "", measure.percent ? [...SHOWS, ...(measure.compared ? [DISPUTED] : []), ...(two ? PAIRS : [])] : [SHOWS[0], ...(two ? PAIRS : [])], (value) => choose({ show: value })),
    choice("Sort", "sort", values.sort ?? "", [...SORTS, ...(two ? PAIR_SORTS : [])], (value) => choose({ sort: value })),
    choice("Question type", "type", values.type ?? "", [["", "all types"], ...task.types.map((one) => [one, one])], (value) => choose({ type: value })),
    search("Search in questions and answers", values.text ?? "", (value) => choose({ text: value })),
  ];
  // While one writes, the field stays as it is.
  if (writing && place.firstChild) {
    const kept = place.querySelector("label.search");
    parts[5] = kept;
  }
  const form = make("form", { class: "controls", role: "search", submit: (event) => event.preventDefault() }, parts);
  const open = place.querySelector("details.runs")?.open;
  place.replaceChildren(form);
  if (open) place.querySelector("details.runs").open = true;
  if (writing) place.querySelector("input[type=search]").focus();
}

/** The runs of a list, to be ticked by name and by family. */
export function drawChooser(runs, chosen, choose) {
  const picked = new Set(chosen.map((run) => run.run));
  const set = (some) => choose({ runs: runs.filter((run) => some.has(run.run)).map((run) => run.run).join(",") });
  const toggle = (of, on) => {
    for (const run of of) on ? picked.add(run.run) : picked.delete(run.run);
    if (picked.size) set(picked);
  };
  const box = (of, text, title) => make("label", { class: "check", title },
    make("input", { type: "checkbox", checked: of.every((run) => picked.has(run.run)), change: (event) => toggle(of, event.target.checked) }), text);
  const edited = runs.filter((run) => !run.unedited);
  const name = chosen.length <= 2 ? chosen.map((run) => run.name).join(" and ") : `${chosen.length} of ${runs.length} runs`;
  return make("details", { class: "runs" }, make("summary", { class: "plain" }, name),
    make("div", { class: "chooser" },
      make("button", { class: "plain", type: "button", click: () => set(new Set(edited.map((run) => run.run))) }, "all methods"),
      families(runs).map(([family, of]) => make("fieldset", {}, family ? box(of, make("b", {}, family)) : "",
        of.map((run) => make("div", { class: "one" }, box([run], run.name, `${run.model} on ${run.dataset}`),
          make("button", { class: "chip", type: "button", click: () => set(new Set([run.run])) }, "only")))))));
}

function drawList(task, values, now, found, chosen, measure) {
  const page = Number(now.page ?? 0);
  const shown = { ...values, view: "edits", task: task.task };
  const to = (edit, place) => address({ ...shown, view: "edit", edit: edit.id, at: page * PAGE + place });
  const few = chosen.length <= 2;
  const rows = few ? found.edits.map((edit, place) => card(edit, to(edit, place), chosen, measure)) : found.edits.map((edit, place) => row(edit, to(edit, place), chosen, measure));
  const count = `${found.total.toLocaleString("en")} ${found.total === 1 ? "edit" : "edits"}`;
  const list = few ? make("div", { class: "rows" }, rows) : matrix(rows, chosen, values, task);
  document.getElementById("list").replaceChildren(
    make("p", { class: "soft", id: "count" }, make("b", {}, count), `, ${measure.kind.toLowerCase()}, ${measure.metric} (${measure.protocol}). `,
      make("span", { class: "keys" }, make("kbd", {}, "j"), " ", make("kbd", {}, "k"), " move, ", make("kbd", {}, "Enter"), " opens, ", make("kbd", {}, "/"), " searches")),
    found.difference ? paired(found.difference, chosen, measure, shown) : "",
    rows.length ? list : make("p", {}, "Nothing is like that."),
    pages(found.total, page, PAGE, shown),
  );
  keys(rowKeys(rows, (at) => go(to(found.edits[at], at))));
  if (!values.page) return;
  scrollTo(0, 0);
}

function paired(found, [first, second], measure, shown) {
  const points = (value) => signed(measure.percent ? (100 * value).toFixed(1) : value.toPrecision(3));
  const link = (show, sort, number, text) => make("a", { href: address({ ...shown, show, sort, page: "" }) }, `${number.toLocaleString("en")} ${text}`);
  if (!found.mean) return make("p", {}, "The two have no edit in common that has this score.");
  return make("p", { class: "paired" }, make("b", {}, `${first.name} less ${second.name}: ${points(found.mean[0])}`),
    ` (95% interval ${points(found.mean[1])} to ${points(found.mean[2])}) over ${found.edits.toLocaleString("en")} edits: `,
    link("better", "difference", found.better, "better"), ", ", link("worse", "difference-down", found.worse, "worse"), `, ${found.equal.toLocaleString("en")} equal.`);
}

function signed(number) {
  return number > 0 ? `+${number}` : number.replace("-", "−");
}

function matrix(rows, chosen, values, task) {
  const heads = chosen.map((run) => make("th", { scope: "col" },
    make("a", { href: address({ ...values, view: "edits", task: task.task, runs: run.run, page: "" }), title: `${run.name} alone` }, run.name)));
  return make("div", { class: "scroll" }, make("table", { class: "matrix" },
    make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "Edit"), heads)), make("tbody", {}, rows)));
}

function row(edit, to, chosen, measure) {
  const cells = edit.cells.map((cell, place) => {
    if (!cell) return make("td", { class: "void", title: `${chosen[place].name}: not its edit` });
    if (cell.skipped) return make("td", { class: "void", title: `${chosen[place].name}: skipped, ${cell.skipped}` }, "–");
    if (cell.value === null) return make("td", { class: "void", title: `${chosen[place].name}: not asked` });
    return make("td", { class: measure.percent ? state(cell.value) : "", title: `${chosen[place].name}: ${number(cell.value, measure.percent)}` }, number(cell.value, measure.percent, 0));
  });
  const shown = edit.image ? picture(`/picture/${edit.image}`, edit.question) : "";
  return make("tr", {}, make("th", { scope: "row" }, make("div", { class: "about" }, shown,
    make("a", { href: to }, make("span", {}, edit.question), " ", make("b", {}, edit.target), make("small", {}, edit.type)))), cells);
}

function card(edit, to, chosen, measure) {
  const asked = edit.asked.map((probe) => make("div", { class: chosen.length > 1 ? "asked two" : "asked" },
    make("div", {}, make("small", {}, probe.title), make("div", {}, probe.question)),
    make("div", {}, make("small", {}, "before"), make("div", {}, said(probe.before))),
    chosen.map((run) => answered(probe, run, chosen))));
  const skipped = edit.cells.map((cell, place) => cell?.skipped && make("p", { class: "soft" }, `${chosen[place].name}: skipped, ${cell.skipped}`));
  return make("article", { class: "row" }, edit.image ? picture(`/picture/${edit.image}`, edit.question) : make("span", {}),
    make("div", {}, make("a", { href: to, class: "title" }, edit.question, " ", make("b", {}, edit.target)),
      make("small", {}, ` ${edit.type}, ${edit.id}`, edit.cells.map((cell, place) => cell && cell.value !== null && chosen.length > 1
        ? `; ${chosen[place].name} ${number(cell.value, measure.percent)}` : "")), asked, skipped));
}

function answered(probe, run, chosen) {
  const answer = probe.answers.find((one) => one.run === run.run);
  if (!answer) return make("div", {}, make("small", {}, run.name), make("div", { class: "soft" }, "not asked"));
  return make("div", { class: answer.state }, make("small", {}, chosen.length > 1 ? run.name : "after"),
    make("button", { class: "answer", type: "button", click: () => show(probe, answer, run) }, sign(answer.state), " ", said(answer.after)), judged(answer));
}

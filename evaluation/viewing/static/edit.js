// One edit: its pictures in full, every question, and what every run answered, equal answers together.

import { address, ask, go, keys, make, picture } from "/shared/shared.js";
import { PAGE, wanted } from "./edits.js";
import { judged, number, said, show, sign } from "./words.js";

export async function drawEdit(known, task, values) {
  const found = await ask("/api/edit", { task: task.task, id: values.edit });
  const chosen = new Set((values.runs ?? "").split(",").filter(Boolean).map(Number));
  const main = document.querySelector("main");
  delete main.dataset.list;
  document.title = found.question;
  const list = address({ ...values, view: "edits", edit: "", at: "", all: "", page: Math.floor((values.at ?? 0) / PAGE) || "" });
  const some = chosen.size && !values.all;
  main.replaceChildren(
    make("nav", { class: "pages", "aria-label": "Edits" },
      make("a", { href: list, class: "plainly" }, "list"), values.at && make("button", { class: "plain", type: "button", click: () => step(-1), "aria-label": "edit before" }, "‹"),
      values.at && make("button", { class: "plain", type: "button", click: () => step(1), "aria-label": "next edit" }, "›"),
      chosen.size ? make("a", { href: address({ ...values, all: values.all ? "" : 1 }), class: "plainly" }, values.all ? "chosen runs only" : "all runs") : "",
      make("span", { class: "soft keys" }, make("kbd", {}, "←"), " ", make("kbd", {}, "→"), " other edits, ", make("kbd", {}, "Esc"), " list")),
    make("h2", { class: "question" }, found.question, " ", make("b", {}, found.target)),
    make("p", { class: "soft" }, `${found.type}, ${found.id}, image ${found.image_id}`),
    ...found.parts.map((part) => drawPart(known, found, part, some ? chosen : null)),
  );
  scrollTo(0, 0);
  keys({ Escape: () => go(list), ArrowLeft: () => step(-1), k: () => step(-1), ArrowRight: () => step(1), j: () => step(1) });

  async function step(by) {
    const at = Number(values.at ?? 0) + by;
    if (values.at === undefined || at < 0) return;
    const page = await ask("/api/edits", { ...wanted(known, task, values), page: Math.floor(at / PAGE) });
    const next = page.edits[at % PAGE];
    if (next) go(address({ ...values, edit: next.id, at }), true);
  }
}

function drawPart(known, found, part, chosen) {
  const runs = part.runs.map((run) => known.run.get(run));
  if (chosen && !runs.some((run) => chosen.has(run.run))) return "";
  const about = found.parts.length > 1 ? make("h2", {}, `${runs[0].model} on ${runs[0].dataset}`) : "";
  const skipped = Object.entries(part.skipped).filter(([run]) => !chosen || chosen.has(Number(run)));
  return make("section", {}, about,
    make("div", { class: "pictures" },
      part.image && make("figure", {}, picture(`/picture/${part.image}`, "Image", false), make("figcaption", {}, "Image")),
      part.repainted && make("figure", {}, picture(`/picture/${part.repainted}`, "Rephrased image", false), make("figcaption", {}, "Rephrased image"))),
    skipped.map(([run, reason]) => make("p", { class: "soft" }, `${known.run.get(Number(run)).name}: skipped, ${reason}`)),
    make("div", { class: "probes" }, part.probes.map((probe) => drawProbe(known, part, probe, chosen))));
}

function drawProbe(known, part, probe, chosen) {
  const own = probe.picture && probe.picture !== part.image && probe.picture !== part.repainted;
  const answers = probe.answers.filter((one) => !chosen || chosen.has(one.run));
  const groups = new Map();
  for (const one of answers) {
    const key = JSON.stringify([one.state, one.after?.trim(), one.verdict?.right]);
    groups.set(key, [...(groups.get(key) ?? []), one]);
  }
  const order = { fail: 0, part: 1, pass: 2 };
  const sorted = [...groups.values()].sort((one, other) => order[one[0].state] - order[other[0].state] || other.length - one.length);
  return make("article", { class: "probe" },
    own ? picture(`/picture/${probe.picture}`, probe.question) : "",
    make("h3", {}, probe.title, " ", make("small", {}, `${answers.filter((one) => one.state === "pass").length} of ${answers.length} right`)),
    make("dl", {}, make("dt", {}, "Question"), make("dd", {}, probe.question), make("dt", {}, "Target"), make("dd", {}, probe.target),
      make("dt", {}, "Before"), make("dd", {}, said(probe.before))),
    sorted.map((of) => make("div", { class: `group ${of[0].state}` }, make("div", {}, sign(of[0].state), " ", said(of[0].after), " ", judged(of[0])),
      make("div", {}, of.map((one) => chip(known, probe, one))))));
}

function chip(known, probe, answer) {
  const run = known.run.get(answer.run);
  const partly = answer.scores.filter((one) => one.value > 0 && one.value < 1 && one.title !== "KL");
  const told = answer.state === "part" && partly.length ? ` ${number(partly[0].value, true, 0)}` : "";
  return make("button", { class: "chip", type: "button", click: () => show(probe, answer, run), title: "all scores" }, run.name + told);
}

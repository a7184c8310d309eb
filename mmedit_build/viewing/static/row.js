// One row: all that the stages made of it, with what was tried and why it was refused.

import { address, go, ask, keys, lay, make, picture } from "/shared/shared.js";

const RELATIONS = { same_image: "same image", same_question: "same question", no_image: "without image", similar_question: "similar question",
  near_right: "nearest", far_right: "farthest", near_wrong: "nearest", far_wrong: "farthest" };
const words = { out: "came out", rejected: "rejected", failed: "failed" };
const washes = { out: "pass", rejected: "part", failed: "fail" };

/** What became of a row. */
export function chip(row) {
  return make("span", { class: `chip ${washes[row.status]}` }, row.reason ? `${words[row.status]}: ${row.reason}` : words[row.status]);
}

export async function drawRow(values, rowAt) {
  const found = await ask("/api/row", { row: values.row });
  const row = found.record;
  const list = address({ ...values, row: "", at: "" });
  document.title = found.question || found.id;
  document.querySelector("main").replaceChildren(
    make("nav", { class: "pages", "aria-label": "Rows" }, make("a", { href: list }, "list"),
      make("button", { class: "plain", type: "button", click: () => step(-1), "aria-label": "row before" }, "‹"),
      make("button", { class: "plain", type: "button", click: () => step(1), "aria-label": "next row" }, "›"),
      make("span", { class: "soft keys" }, make("kbd", {}, "←"), " ", make("kbd", {}, "→"), " other rows, ", make("kbd", {}, "Esc"), " list")),
    make("h2", { class: "question" }, found.question || found.id),
    make("p", {}, found.history.map((one) => [make("a", { href: address({ ...values, row: one.row, at: "" }), class: `chip ${washes[one.status]}`, "aria-current": one.row === found.row && "page" },
      `${one.stage}: ${words[one.status]}${one.reason ? `, ${one.reason}` : ""}`)])),
    make("div", { class: "whole" },
      make("div", { class: "pictures" }, figure(found, row.image, "image", "Image"), figure(found, row.imagined?.image, "painting", "Painted anew")),
      facts(found, row)),
    section("Rephrases that were tried", row.rephrase?.candidates, (one) => [make("b", {}, one.text), verdict(one), scores(one.scores)]),
    section("Paintings that were tried", row.imagined?.candidates, (one, place) => [one.image ? picture(`/picture/${found.row}/candidates/${place}`, `Painting ${place + 1}`) : "",
      verdict(one), make("small", {}, `seed ${one.seed}${one.strength ? `, strength ${one.strength}` : ""}`), scores(one.scores), one.failed?.length ? make("small", {}, `Answered otherwise: ${one.failed.join("; ")}`) : ""]),
    items(found, row, "Text locality", "text"), items(found, row, "Image locality", "image"), items(found, row, "What the base model answers wrong", "gain"),
    section("What follows from the edit", row.portability?.candidates, (one) => [make("small", {}, one.steps), make("span", {}, one.question, " ", make("b", {}, one.answer)), make("small", {}, one.premise), verdict(one)]),
    make("p", {}, make("button", { class: "plain", type: "button", click: () => lay(make("pre", {}, JSON.stringify(row, null, 2))) }, "as it is written")),
  );
  scrollTo(0, 0);
  keys({ Escape: () => go(list), ArrowLeft: () => step(-1), k: () => step(-1), ArrowRight: () => step(1), j: () => step(1) });

  async function step(by) {
    const at = Number(values.at) + by;
    if (!(at >= 0)) return;
    const next = await rowAt(at);
    if (next) go(address({ ...values, row: next, at }), true);
  }
}

function figure(found, there, name, title) {
  return there ? make("figure", {}, picture(`/picture/${found.row}/${name}`, title, false), make("figcaption", {}, title)) : "";
}

function facts(found, row) {
  const lines = {
    "What became of it": chip(found), Target: make("b", {}, found.target), Prediction: found.prediction,
    "Said first": row.first_prediction !== row.prediction ? row.first_prediction : "", Confidence: row.confidence?.toPrecision(4),
    Rephrase: row.rephrase?.text && [row.rephrase.text, " ", make("small", {}, [row.rephrase.model, row.rephrase.prompt].filter(Boolean).join(", "))],
    Painting: row.imagined && [row.imagined.prompt, " ", make("small", {}, [row.imagined.strategy, row.imagined.model].filter(Boolean).join(", "))],
    Answers: row.answers?.join(", "), Caption: row.caption, "Said wrong": row.said_wrong?.join(", "), "Left out": row.left_out?.join(", "),
    "Base model": row.base, Kind: [found.task, found.split, found.type].filter(Boolean).join(", "), Id: found.id,
    Scores: row.scores && Object.keys(row.scores).length ? scores(row.scores) : "",
  };
  return make("dl", {}, Object.entries(lines).filter(([, text]) => text && text.length !== 0).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)]));
}

function section(title, parts, draw) {
  if (!parts?.length) return "";
  return make("section", {}, make("h3", {}, title), make("div", { class: "tried" }, parts.map((one, place) => make("article", {}, draw(one, place)))));
}

function items(found, row, title, kind) {
  const near = row.locality?.nearness ?? {};
  return section(title, row.locality?.[kind], (one, place) => [
    kind !== "text" ? picture(`/picture/${found.row}/${kind}/${place}`, one.question) : "",
    make("span", {}, one.question, " ", make("b", {}, one.answer)),
    make("small", {}, [RELATIONS[one.relation] ?? one.relation, one.id, one.prediction && `the base model says ${one.prediction}`,
      near[one.id] && `near by ${[near[one.id].text, near[one.id].image].filter((value) => value !== null).map((value) => value.toFixed(2)).join(" and ")}`].filter(Boolean).join(", "))]);
}

function verdict(one) {
  return make("span", { class: `chip ${one.reason ? "part" : "pass"}` }, one.reason ?? "passed");
}

function scores(of) {
  return make("small", { class: "scores" }, Object.entries(of ?? {}).map(([name, value]) => `${name.replaceAll("_", " ")} ${Number(value.toPrecision(4))}`).join(", "));
}

// How numbers, runs and answers are written.

import { lay, make } from "/shared/shared.js";

/** A value as its measure is written: shares in percent. */
export function number(value, percent, digits = 1) {
  if (value === null || value === undefined) return "";
  return percent ? (100 * value).toFixed(digits).replace(/\.0$/, "") : value.toPrecision(3);
}

/** How a share is meant. */
export function state(value) {
  return value < 0.5 ? "fail" : value < 1 ? "part" : "pass";
}

export const signs = { pass: "✓", part: "~", fail: "✗" };
const spoken = { pass: "passed", part: "partly", fail: "failed" };

export function sign(of) {
  return make("b", { class: `sign ${of}`, role: "img", "aria-label": spoken[of] }, signs[of]);
}

/** An answer; there is a word for each way to say nothing. */
export function said(text) {
  if (text === null || text === undefined) return make("i", { class: "soft" }, "not written");
  return text.trim() ? make("span", {}, text.trim()) : make("i", { class: "soft" }, "nothing");
}

/** What a judge said of an answer, if anybody was asked. */
export function judged(answer) {
  if (!answer.verdict) return "";
  const { right, raw } = answer.verdict;
  const of = right === null ? "" : right ? "pass" : "fail";
  return make("span", { class: `verdict ${of}`, title: `the judge said: ${raw}` }, `judge: ${right === null ? "unclear" : right ? "right" : "wrong"}`);
}

/** The runs of a list, those of a family together. */
export function families(runs) {
  const found = new Map();
  for (const run of runs) {
    const name = run.unedited ? "" : run.family || "other";
    found.set(name, [...(found.get(name) ?? []), run]);
  }
  return [...found];
}

/** All about one answer. */
export function show(probe, answer, run) {
  const scores = answer.scores.map((one) => make("tr", {}, make("td", {}, one.protocol), make("td", {}, one.title), make("td", {}, one.value.toPrecision(4))));
  const lines = {
    Question: probe.question, Target: probe.target, Before: said(probe.before), After: said(answer.after),
    ...(answer.verdict && { [`Judge ${run.judge}`]: make("span", {}, judged(answer), ` ${answer.verdict.raw}`) }),
    ...(answer.log_prob[0] !== null && { "log p of the target": `${answer.log_prob[0].toFixed(3)} before, ${answer.log_prob[1].toFixed(3)} after` }),
    Prompt: probe.prompt,
    ...(probe.item && { Item: probe.item }),
    ...(probe.near.words !== null && { "Near in words": probe.near.words }),
    ...(probe.near.image !== null && { "Near in image": probe.near.image }),
    ...(probe.known !== null && { "Known before": probe.known ? "yes" : "no" }),
  };
  lay(
    make("h2", {}, `${run.name}: ${probe.title.toLowerCase()}`),
    make("dl", {}, Object.entries(lines).flatMap(([name, text]) => [make("dt", {}, name), make("dd", {}, text)])),
    make("table", { class: "scores" }, make("tbody", {}, scores)),
  );
}

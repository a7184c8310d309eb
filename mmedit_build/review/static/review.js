// One question after the other: a key answers it, and the next one is shown when the answer is on disk.
"use strict";

const ASKED = {
  failure: ["Is the model wrong, and the target right?", "As far as the picture tells."],
  rephrase: ["Does the rephrase ask for the same?", "Whoever answers one rightly answers the other."],
  painting: ["Is the target right about the painting, too?", "What it shows besides may differ."],
  locality: ["Is this answer right?", "A question whose answer an edit shall not change."],
};
const ANSWERS = { y: "yes", n: "no", u: "unsure" };
const SAID = { yes: "yes", no: "no", unsure: "cannot tell" };
const find = (id) => document.getElementById(id);

let state = null;
let row = null;
let number = 0;
let busy = Promise.resolve();

// What is pressed while an answer is under way waits for it; after trouble nothing more is sent unseen.
function queue(work) {
  const mine = (queue.round ||= 0);
  busy = busy.then(async () => {
    if (mine !== queue.round) return;
    try {
      await work();
      trouble("");
    } catch (error) {
      queue.round += 1;
      trouble(error.message);
    }
  });
}

async function ask(path, body) {
  let reply;
  try {
    const sent = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    reply = await fetch(path, body === undefined ? {} : sent);
  } catch {
    throw new Error("The server does not answer, and the last answer is not kept. Start it again, and answer again.");
  }
  const found = await reply.json().catch(() => ({}));
  if (!reply.ok) throw new Error(found.error || `The server refused that (${reply.status}).`);
  return found;
}

async function open(place, at) {
  row = await ask(`/api/rows/${place}`);
  const first = row.asked.findIndex((one) => !one.answer);
  number = at ?? Math.max(first, 0);
  show();
  if (place + 1 < state.rows) ahead(place + 1);
}

// The pictures of the next row are there when it is shown.
async function ahead(place) {
  try {
    const next = await ask(`/api/rows/${place}`);
    for (const source of next.asked.flatMap((one) => one.pictures)) new Image().src = source;
  } catch {
    // Whoever comes to the row is told.
  }
}

async function give(answer) {
  if (find("row").hidden) return;
  const one = row.asked[number];
  state = await ask("/api/answers", { of: one.of, answer });
  one.answer = answer;
  const next = row.asked.findIndex((other, place) => place > number && !other.answer);
  const open_ = next < 0 ? row.asked.findIndex((other) => !other.answer) : next;
  if (open_ >= 0) number = open_;
  if (open_ >= 0) show();
  else await on();
}

// From a row without open questions to the next one that has some.
async function on() {
  if (state.next === null) finish();
  else await open(state.next);
}

async function undo() {
  const found = await ask("/api/undo", {});
  state = found;
  if (!found.undone) throw new Error("There is nothing to undo.");
  if (found.place === null) throw new Error("Taken back: an answer about a row that is not shown here.");
  await open(found.place, found.number);
}

function step(by) {
  number = Math.min(Math.max(number + by, 0), row.asked.length - 1);
  show();
}

async function turn(by) {
  const place = find("row").hidden ? state.rows - 1 : row.place + by;
  if (place >= 0 && place < state.rows) await open(place);
}

function finish() {
  progress();
  find("row").hidden = true;
  find("done").hidden = false;
}

function show() {
  progress();
  find("done").hidden = true;
  find("row").hidden = false;
  const one = row.asked[number];
  [find("asked").textContent, find("hint").textContent] = ASKED[one.question];
  fill(find("texts"), texts(one).flatMap(([name, text, look]) => [make("dt", name), make("dd", text, look)]));
  fill(find("pictures"), pictures(one));
  for (const button of find("answers").children) {
    button.setAttribute("aria-pressed", String(button.dataset.answer === one.answer));
  }
  fill(find("steps"), row.asked.map(step_));
  find("before").disabled = row.place === 0;
  find("after").disabled = row.place + 1 >= state.rows;
  find("name").textContent = `Row ${row.place + 1} of ${state.rows}: ${row.id}`;
}

function texts(one) {
  // What is put before a caption to ask for it tells nothing.
  const question = row.task === "caption" ? [] : [["Question", row.question]];
  if (one.question === "locality") return [["Question", one.item.question], ["Answer", one.item.answer]];
  if (one.question === "rephrase") return [...question, ["Rephrase", row.rephrase]];
  if (one.question === "painting") return [...question, ["Target", row.target, "right"]];
  return [...question, ["The model says", row.prediction, "wrong"], ["Target", row.target, "right"]];
}

function pictures(one) {
  if (!one.pictures.length) return [make("div", "This question is about no picture.", "none")];
  const names = one.question === "painting" ? ["The image", "The painting"] : [""];
  return one.pictures.map((source, place) => {
    const figure = make("figure");
    const image = make("img");
    image.src = source;
    image.alt = names[place] || "The image";
    figure.append(image);
    if (names[place]) figure.append(make("figcaption", names[place]));
    return figure;
  });
}

function step_(one, place) {
  const button = make("button");
  const what = one.item ? one.item.question : { failure: row.prediction, rephrase: row.rephrase }[one.question];
  button.type = "button";
  button.append(make("span", one.question), make("span", what || row.target, "what"));
  button.append(make("span", SAID[one.answer] || "", one.answer || ""));
  if (place === number) button.setAttribute("aria-current", "step");
  button.addEventListener("click", () => queue(() => step(place - number)));
  const line = make("li");
  line.append(button);
  return line;
}

function progress() {
  find("progress").textContent = `${state.who}: ${state.judged} of ${state.rows} rows judged`;
  find("bar").max = state.rows || 1;
  find("bar").value = state.judged;
}

function trouble(text) {
  find("trouble").textContent = text;
  find("trouble").hidden = !text;
}

function make(tag, text, look) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (look) made.className = look;
  return made;
}

function fill(place, parts) {
  place.replaceChildren(...parts);
}

const KEYS = {
  ArrowLeft: () => turn(-1),
  ArrowRight: () => turn(1),
  ArrowUp: () => step(-1),
  ArrowDown: () => step(1),
  z: undo,
  Backspace: undo,
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !state) return;
  const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
  const work = key in ANSWERS ? () => give(ANSWERS[key]) : KEYS[key];
  if (!work) return;
  event.preventDefault();
  queue(work);
});
for (const button of find("answers").children) {
  button.addEventListener("click", () => queue(() => give(button.dataset.answer)));
}
find("before").addEventListener("click", () => queue(() => turn(-1)));
find("after").addEventListener("click", () => queue(() => turn(1)));
find("last").addEventListener("click", () => queue(() => turn(-1)));
for (const id of ["undo", "undo-last"]) find(id).addEventListener("click", () => queue(undo));

queue(async () => {
  state = await ask("/api/state");
  document.title = `Review: ${state.who}`;
  await on();
});

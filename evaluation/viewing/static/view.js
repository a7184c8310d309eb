// The page of results: which of its three views the address asks for.

import { address, ask, make, route } from "/shared/shared.js";
import { drawEdit } from "./edit.js";
import { drawEdits } from "./edits.js";
import { drawOverview } from "./overview.js";
import { drawStreams } from "./streams.js";

const views = { overview: drawOverview, edits: drawEdits, edit: drawEdit, streams: drawStreams };
const about = ask("/api/about").then((found) => ({
  ...found,
  run: new Map(found.runs.map((run) => [run.run, run])),
  task: new Map(found.tasks.map((task) => [task.task, task])),
}));

route(async (values) => {
  const known = await about;
  const task = known.task.has(values.task) ? values.task : known.tasks[0].task;
  const there = known.task.get(task);
  // Where there are streams alone, they are what there is to see.
  const view = views[values.view] ? values.view : there.measures.length ? "overview" : "streams";
  document.getElementById("tasks").replaceChildren(
    ...known.tasks.flatMap((one) => [
      make("a", { href: address({ task: one.task }), "aria-current": view === "overview" && one.task === task && "page" }, one.title),
      one.measures.length && make("a", { href: address({ view: "edits", task: one.task }), "aria-current": (view === "edits" || view === "edit") && one.task === task && "page" }, "all cases"),
      one.streams.length && make("a", { href: address({ view: "streams", task: one.task }), "aria-current": view === "streams" && one.task === task && "page" }, "over time"),
    ].filter(Boolean)),
    make("a", { href: "/report" }, "report"),
  );
  await views[view](known, known.task.get(task), values);
});

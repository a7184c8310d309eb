// The page of results: which of its three views the address asks for.

import { address, ask, make, route } from "/shared/shared.js";
import { drawEdit } from "./edit.js";
import { drawEdits } from "./edits.js";
import { drawOverview } from "./overview.js";

const views = { overview: drawOverview, edits: drawEdits, edit: drawEdit };
const about = ask("/api/about").then((found) => ({
  ...found,
  run: new Map(found.runs.map((run) => [run.run, run])),
  task: new Map(found.tasks.map((task) => [task.task, task])),
}));

route(async (values) => {
  const known = await about;
  const task = known.task.has(values.task) ? values.task : known.tasks[0].task;
  const view = views[values.view] ? values.view : "overview";
  document.getElementById("tasks").replaceChildren(
    ...known.tasks.flatMap((one) => [
      make("a", { href: address({ task: one.task }), "aria-current": view === "overview" && one.task === task && "page" }, one.title),
      make("a", { href: address({ view: "edits", task: one.task }), "aria-current": view !== "overview" && one.task === task && "page" }, "all cases"),
    ]),
    make("a", { href: "/report" }, "report"),
  );
  await views[view](known, known.task.get(task), values);
});

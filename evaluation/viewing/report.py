"""The report of the results that a viewer shows, with links from its numbers to their cases.

It is the page that `mmedit-eval report` writes, rendered anew from the same folders: a file that lies among
results may be anybody's, and would be run as ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from evaluation.report.formats import known_as
from evaluation.report.page import render
from evaluation.report.runs import Run
from evaluation.report.stream_tables import find_all
from evaluation.tracing.records import find_traces
from mmedit_build.pages.index import Index
from mmedit_build.rows import Task

LINKS = files("evaluation.viewing") / "static" / "links.js"


class Report:
    """The page, rendered when it is first asked for."""

    def __init__(self, index: Index, folders: Sequence[Path], images: Path | None) -> None:
        self._index = index
        self._folders = folders
        self._images = images

    @cached_property
    def page(self) -> bytes:
        runs, streams = find_all(self._folders)
        of_streams = {task: [one.run for one in of_task] for task, of_task in streams.items()}
        known = {"edits": self._parts("runs", runs), "streams": self._parts("streams", of_streams)}
        parts = json.dumps(known).replace("<", "\\u003c")
        return render(
            runs,
            self._images,
            find_traces(self._folders),
            streams,
            script=f"const runsByName = {parts};\n{LINKS.read_text()}",
        )

    def _parts(self, table: str, runs: Mapping[Task, Sequence[Run]]) -> dict[str, dict[str, int]]:
        """By task and the name that the report has for a run, the run in a table of the index."""
        with self._index.reading() as connection:
            known = dict(connection.execute(f"SELECT folder, part FROM {table}").fetchall())
        return {
            task: {
                known_as(run): part
                for run in of_task
                # Of several that hold the same run, the first has most.
                for folder in reversed(run.folders)
                if (part := known.get(str(folder.resolve()))) is not None
            }
            for task, of_task in runs.items()
        }

"""The streams of an experiment's methods on one task: what is there, what is dealt, and what is written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from editors.base import Editor, Whole
from editors.growing import Growing
from evaluation.results.about import About
from evaluation.results.records import RunResult
from evaluation.results.streams import Checkpoint, Placed, StreamFolder, read_stream
from evaluation.run.attempts import Attempts
from evaluation.run.batch import check_along
from evaluation.run.headers import with_fit
from evaluation.run.runs import Runs
from evaluation.run.streams.chains import Chain
from evaluation.run.streams.dealing import check_conflicts
from evaluation.run.streams.orders import Follow
from evaluation.run.streams.plan import Plan
from mmedit_build.console import Advance
from mmedit_build.errors import UserError

FOLDER = "streams"
"""Of all streams of a task that are our own, beside the results of single edits."""
PRESETS = "presets"
"""Of those that are made as in publications, by their names."""


@dataclass
class Streams:
    """What the streams of all methods share."""

    runs: Runs

    @cached_property
    def plan(self) -> Plan:
        return Plan(self.runs.experiment, self.runs.wanted)

    def accepted(self, editors: Mapping[str, Editor], attempts: Attempts[Path]) -> list[tuple[str, int]]:
        """The methods whose results may be added to what stands there."""
        # Of no methods, but the unedited model, which is judged along with them.
        self.runs.accepted({}, attempts)
        if not self.runs.experiment.conflicts:
            check_conflicts(self.plan.dealt.streamed)
        accepted: list[tuple[str, int]] = []
        for name, editor in editors.items():
            with attempts.at(name, self.runs.task):
                check_streams(editor)
                check_along(editor, self.plan.dealt.streamed)
                folder, new = self._run(name)
                folder.check(new.settings)
                accepted.append((name, 1))
        return accepted

    def judge(self, name: str, _: int = 1) -> Path:
        """The streams of a method, as far as they are not there yet."""
        folder, new = self._run(name)
        with folder.locked():
            header, done, online = folder.started(new)
            known = {(one.order, one.edits) for one in done}
            missing = [
                chain
                for chain in self.plan.chains
                if any((chain.order, number) not in known for number in chain.asked)
            ]
            if missing:
                header = with_fit(header, self.runs.fit(name), folder.folder)
                header = self._go_on(name, folder, folder.resume(header), missing, (done, online))
            self._end(folder, header)
        return folder.folder

    def _go_on(
        self,
        name: str,
        folder: StreamFolder,
        header: RunResult,
        missing: list[Chain],
        there: tuple[list[Checkpoint], list[Placed]],
    ) -> RunResult:
        runs, chains, (done, online) = self.runs, self.plan.chains, there
        runs.ask_unedited()
        orders = [
            Follow(
                task=runs.task,
                method=name,
                order=chain.order,
                folder=folder.folder,
                known=frozenset(one.edits for one in done if one.order == chain.order),
                online=[one for one in online if one.order == chain.order],
            )
            for chain in missing
        ]
        edits = sum(chain.last for chain in chains)
        ours = f"{chains[0].last} edits in {len(chains)} orders"
        with runs.progress(f"{runs.task}: {name}, {self.plan.preset or ours}", edits) as advance:
            advance(edits - sum(chain.last for chain in missing))
            gathered = _Gathered(folder, header, advance)
            runs.crew.deal(orders, gathered.take)
        return gathered.header

    def _run(self, name: str) -> tuple[StreamFolder, RunResult]:
        header, preset = self.runs.header(name), self.plan.preset or ""
        settings = replace(header.settings, stream=len(self.plan.dealt.streamed), preset=preset)
        place = self.runs.experiment.out / self.runs.task / place_of(preset)
        folder = StreamFolder(place / settings.name)
        return folder, replace(header, settings=settings)

    def _end(self, folder: StreamFolder, header: RunResult) -> None:
        """Count what is there now."""
        _, done, online = read_stream(folder.folder)
        folder.write_header(
            replace(
                header,
                finished=True,
                edits=len(online),
                scored=sum(one.result.scored for one in online),
                seconds=sum(one.result.plan_seconds + one.result.probe_seconds for one in online),
                peak_bytes=max(one.peak_bytes for one in done),
                peak_of=done[0].peak_of,
            )
        )


@dataclass
class _Gathered:
    """Writes what workers give. Of a worker that died some comes again, and the last counts, as it does for
    a command that goes on."""

    folder: StreamFolder
    header: RunResult
    advance: Advance

    def take(self, _: int, given: Placed | Checkpoint | About | int) -> None:
        if isinstance(given, Placed):
            self.folder.add_online(given)
            self.advance(1, "" if given.result.scored else "some skipped")
        elif isinstance(given, Checkpoint):
            self.folder.add_checkpoint(given)
        elif isinstance(given, About):
            self.header = replace(self.header, about=given.with_what_was_known(self.header.about))
            self.folder.write_header(self.header)
        else:
            self.advance(given)


def place_of(preset: str) -> Path:
    """Where streams are, as of a publication or our own, in the folder of a task."""
    return Path(PRESETS, preset) if preset else Path(FOLDER)


def check_streams(editor: Editor) -> None:
    """Refuse a stream of an editor that cannot add to a patch, or whose patches are of all edits."""
    if isinstance(editor, Whole):
        raise UserError("It is trained once on all edits that are judged, so there is no stream of it.")
    if not editor.batch and not isinstance(editor, Growing):
        raise UserError("It makes one edit at a time, so there is no stream of it.")

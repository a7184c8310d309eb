"""The streams of an experiment's methods on one task."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from editors.base import Editor
from editors.growing import Growing
from evaluation.results.about import Witness
from evaluation.results.records import RunResult
from evaluation.results.streams import Checkpoint, Placed, StreamFolder, read_stream
from evaluation.run.attempts import Attempts
from evaluation.run.batch import check_along
from evaluation.run.bench import Bench
from evaluation.run.headers import with_fit
from evaluation.run.streams.course import Course
from evaluation.run.streams.dealing import Dealt, check_conflicts, checkpoints, deal, ordered
from evaluation.run.streams.fixed import FixedSet
from evaluation.run.telling import tell
from mmedit_build.errors import UserError

FOLDER = "streams"
"""Of all streams of a task, beside the results of single edits."""


@dataclass
class Streams:
    """What the streams of all methods share."""

    bench: Bench

    @cached_property
    def dealt(self) -> Dealt:
        return deal(self.bench.wanted, self.bench.experiment.seed)

    @cached_property
    def numbers(self) -> list[int]:
        """After how many edits a stream is judged."""
        return checkpoints(self.bench.experiment.stream, len(self.dealt.streamed))

    @cached_property
    def fixed(self) -> FixedSet:
        return FixedSet.of(self.bench.judging, self.dealt.held, self.dealt.streamed)

    def accepted(self, editors: Mapping[str, Editor], attempts: Attempts[Path]) -> list[tuple[str, int]]:
        """The methods whose results may be added to what stands there."""
        # Of no methods, but the unedited model, which is judged along with them.
        self.bench.accepted({}, attempts)
        if not self.bench.experiment.conflicts:
            check_conflicts(self.dealt.streamed)
        accepted: list[tuple[str, int]] = []
        for name, editor in editors.items():
            with attempts.at(name, self.bench.task):
                check_streams(editor)
                check_along(editor, self.dealt.streamed)
                folder, new = self._run(name, editor)
                folder.check(new.settings)
                accepted.append((name, 1))
        return accepted

    def judge(self, name: str, editor: Editor, _: int = 1) -> Path:
        """The streams of a method, as far as they are not there yet."""
        folder, new = self._run(name, editor)
        with folder.locked():
            header, done, online = folder.started(new)
            orders = range(self.bench.experiment.orders)
            known = {(one.order, one.edits) for one in done}
            if any((order, number) not in known for order in orders for number in self.numbers):
                header = with_fit(header, self.bench.fit(name, editor), folder.folder)
                header = self._go_on(name, editor, folder, folder.resume(header), done, online)
            self._end(folder, header)
        return folder.folder

    def _go_on(
        self,
        name: str,
        editor: Editor,
        folder: StreamFolder,
        header: RunResult,
        done: list[Checkpoint],
        online: list[Placed],
    ) -> RunResult:
        bench = self.bench
        tell(editor, bench.judging, self.dealt.streamed)
        witness = Witness.of(editor, bench.mllm, header.about)
        header = replace(header, about=witness.about)
        folder.write_header(header)
        judging = replace(bench.judging, seen=witness.see)
        last, orders = self.numbers[-1], bench.experiment.orders
        label = f"{bench.task}: {name}, {last} edits in {orders} orders"
        with bench.progress(label, last * orders) as advance:
            for order in range(orders):
                of_order = {one.edits for one in done if one.order == order}
                if of_order >= {*self.numbers}:
                    advance(last, "")
                    continue
                cases = ordered(self.dealt.streamed, bench.experiment.seed, order)
                known = {one.position: one for one in online if one.order == order}
                course = Course(judging, editor, self.fixed, folder, order, cases, known)
                course.run(self.numbers, of_order, advance)
                header = replace(header, about=witness.about)
                folder.write_header(header)
        return header

    def _run(self, name: str, editor: Editor) -> tuple[StreamFolder, RunResult]:
        header = self.bench.header(name, editor)
        settings = replace(header.settings, stream=len(self.dealt.streamed))
        experiment = self.bench.experiment
        folder = StreamFolder(experiment.out / self.bench.task / FOLDER / settings.name)
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


def check_streams(editor: Editor) -> None:
    """Refuse a stream of an editor that can neither add to a patch nor plan for several edits."""
    if not editor.batch and not isinstance(editor, Growing):
        raise UserError("It makes one edit at a time, so there is no stream of it.")

"""The streams of an experiment's methods on one task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from editors.base import Editor, Whole
from editors.growing import Growing
from evaluation.data.cases import Case
from evaluation.results.about import Witness
from evaluation.results.presets import PresetName
from evaluation.results.records import RunResult
from evaluation.results.streams import Checkpoint, Placed, StreamFolder, read_stream
from evaluation.run.attempts import Attempts
from evaluation.run.batch import check_along
from evaluation.run.bench import Bench
from evaluation.run.headers import with_fit
from evaluation.run.streams.chains import Chain, own_chains, preset_cases, preset_chains
from evaluation.run.streams.course import Course
from evaluation.run.streams.dealing import Dealt, check_conflicts, checkpoints, deal
from evaluation.run.streams.fixed import FixedSet
from evaluation.run.telling import tell
from mmedit_build.errors import UserError
from mmedit_build.rows import Split

FOLDER = "streams"
"""Of all streams of a task that are our own, beside the results of single edits."""
PRESETS = "presets"
"""Of those that are made as in publications, by their names."""


@dataclass
class Streams:
    """What the streams of all methods share."""

    bench: Bench

    @property
    def preset(self) -> PresetName | None:
        stream = self.bench.experiment.stream
        return stream if isinstance(stream, str) else None

    @cached_property
    def dealt(self) -> Dealt:
        """Some edits are kept out of our own streams, none of those of publications."""
        bench = self.bench
        if self.preset is None:
            return deal(bench.wanted, bench.experiment.seed)
        return Dealt(preset_cases(self.preset, bench.wanted), ())

    @cached_property
    def chains(self) -> list[Chain]:
        experiment, cases = self.bench.experiment, self.dealt.streamed
        if isinstance(experiment.stream, str):
            return preset_chains(experiment.stream, cases)
        numbers = checkpoints(experiment.stream, len(cases))
        return list(own_chains(cases, numbers, experiment.orders, experiment.seed))

    @cached_property
    def fixed(self) -> FixedSet | None:
        """What is asked at checkpoints besides edits."""
        judging, streamed = self.bench.judging, self.dealt.streamed
        if self.preset is None:
            return FixedSet.of(judging, self.dealt.held, streamed)
        if self.preset != "t-patcher":
            return None
        splits: dict[Split, Sequence[Case]] = {"train": self.bench.of_split("train"), "test": streamed}
        return FixedSet.of_splits(judging, splits, streamed, self.bench.ask_unedited)

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
            known = {(one.order, one.edits) for one in done}
            if any((chain.order, number) not in known for chain in self.chains for number in chain.asked):
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
        edits = sum(chain.last for chain in self.chains)
        ours = f"{self.chains[0].last} edits in {len(self.chains)} orders"
        label = f"{bench.task}: {name}, {self.preset or ours}"
        with bench.progress(label, edits) as advance:
            for chain in self.chains:
                of_chain = {one.edits for one in done if one.order == chain.order}
                if of_chain >= chain.asked.keys():
                    advance(chain.last, "")
                    continue
                known = {one.position: one for one in online if one.order == chain.order}
                Course(judging, editor, self.fixed, folder, chain, known).run(of_chain, advance)
                header = replace(header, about=witness.about)
                folder.write_header(header)
        return header

    def _run(self, name: str, editor: Editor) -> tuple[StreamFolder, RunResult]:
        header = self.bench.header(name, editor)
        preset = self.preset or ""
        settings = replace(header.settings, stream=len(self.dealt.streamed), preset=preset)
        place = Path(PRESETS, preset) if preset else Path(FOLDER)
        folder = StreamFolder(self.bench.experiment.out / self.bench.task / place / settings.name)
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
    """Refuse a stream of an editor that cannot add to a patch, or whose patches are of all edits."""
    if isinstance(editor, Whole):
        raise UserError("It is trained once on all edits that are judged, so there is no stream of it.")
    if not editor.batch and not isinstance(editor, Growing):
        raise UserError("It makes one edit at a time, so there is no stream of it.")

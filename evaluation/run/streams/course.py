"""One chain of a stream: edits are made one after the other, and at checkpoints it is looked what is left.

Patches are kept on disk every so often and at each checkpoint, and taken up as they lie there: so a run that
was killed goes on from the last one and gives the same numbers to the last bit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from editors.base import Edit, Editor
from editors.growing import Made
from editors.saving import kept_bytes
from evaluation.data.cases import Case
from evaluation.data.probes import edits_of
from evaluation.results.records import CaseResult
from evaluation.results.streams import Checkpoint, Kept, Placed
from evaluation.run.batch import judged
from evaluation.run.judging import FAULTS, Judging, Planned, reason_of, skipped
from evaluation.run.peak import peak, reset_peak
from evaluation.run.room import groups
from evaluation.run.streams.chains import Chain
from evaluation.run.streams.fixed import FixedSet
from evaluation.run.streams.keeping import Keeping

EVERY = 50
"""After so many edits what is made is kept on disk."""


@dataclass
class Course:
    """One chain of one method."""

    judging: Judging
    editor: Editor
    fixed: FixedSet | None
    folder: Path
    """Where patches are kept meanwhile."""
    give: Callable[[Placed | Checkpoint | int], None]
    """Hears what comes of it, and of how many edits nothing is to come as they were made before."""
    chain: Chain
    online: dict[int, Placed]
    """What is known of edits when they had just been made, by position."""

    @property
    def cases(self) -> Sequence[Case]:
        return self.chain.cases

    def run(self, done: Collection[int]) -> None:
        """Go on to the last checkpoint that is not done."""
        missing = [number for number in self.chain.asked if number not in done]
        keeping = Keeping(self.folder, self.chain.order, self.judging.mllm.device, self.editor)
        begun, patch = keeping.taken_up(self.online, before=missing[0])
        made = None if patch is None else Made(self._edits(begun), patch)
        self.give(begun)
        reset_peak(self.judging.mllm.devices)
        for position in range(begun, missing[-1]):
            placed, made = self._step(position, made)
            self.online[position] = placed
            self.give(placed)
            number = position + 1
            if number in missing:
                self.give(self._checkpoint(number, made))
                reset_peak(self.judging.mllm.devices)
            if made is not None and (number in self.chain.kept or number % EVERY == 0):
                made = Made(made.edits, keeping.keep(number, made.patch))
        keeping.end()
        self.give(self.chain.last - missing[-1])

    def _edits(self, number: int) -> tuple[Edit, ...]:
        """Those of the first so many that were made."""
        judging = self.judging
        made = [position for position in range(number) if self.online[position].made]
        return tuple(
            edit
            for position in made
            for edit in edits_of(self.cases[position], judging.mllm, judging.prompts)
        )

    def _step(self, position: int, made: Made | None) -> tuple[Placed, Made | None]:
        """The next edit, and what it came to at once; one that cannot be made is left out of the stream."""
        case = self.cases[position]
        try:
            own, *others = self.judging.probes(case)
            probes = [own, *(one for one in others if one.kind in self.chain.along)]
            before = self.judging.base.of(probes)
            made, seconds = self.judging.grown(self.editor, made, [case])
        except FAULTS as error:
            return self._placed(position, skipped(case, error), made=False), made
        planned = Planned(case, probes, made.patch, seconds, before)
        (result,) = judged(self.judging, made.patch, [planned])
        return self._placed(position, result), made

    def _placed(self, position: int, result: CaseResult, *, made: bool = True) -> Placed:
        return Placed(order=self.chain.order, position=position, made=made, result=result)

    def _checkpoint(self, number: int, made: Made | None) -> Checkpoint:
        retention = self._retention(number, made)
        fixed, reason, seconds = self._fixed(made)
        since = max((one for one in self.chain.asked if one < number), default=0)
        times = [self.online[position].result.plan_seconds for position in range(since, number)]
        size, of = peak(self.judging.mllm.devices)
        return Checkpoint(
            order=self.chain.order,
            edits=number,
            skipped=reason,
            retention=retention,
            fixed=fixed,
            patch_bytes=0 if made is None else kept_bytes(made.patch),
            plan_seconds=sum(times) / len(times),
            query_seconds=seconds,
            unedited_seconds=0.0 if self.fixed is None else self.fixed.seconds,
            peak_bytes=size,
            peak_of=of,
        )

    def _retention(self, number: int, made: Made | None) -> tuple[Placed, ...]:
        """What those asked again come to now; an edit that was not made is as it was left out."""
        judging = self.judging
        chosen = self.chain.asked[number]
        asked = {self.cases[one].id: one for one in chosen if self.online[one].made}
        results = {one: self.online[one].result for one in chosen if not self.online[one].made}
        if made is not None:
            for together in groups(judging, [self.cases[one] for one in asked.values()]):
                planned = [self._planned(case, made, asked[case.id]) for case in together]
                results |= {asked[one.id]: one for one in judged(judging, made.patch, planned)}
        return tuple(self._placed(one, results[one], made=self.online[one].made) for one in chosen)

    def _planned(self, case: Case, made: Made, position: int) -> Planned:
        probes = self.judging.probes(case)
        seconds = self.online[position].result.plan_seconds
        return Planned(case, probes, made.patch, seconds, self.judging.base.of(probes))

    def _fixed(self, made: Made | None) -> tuple[tuple[Kept, ...], str | None, float]:
        """The fixed set if there is one, or why there are no scores of it, and the seconds of a query."""
        if self.fixed is None:
            return (), None, 0.0
        try:
            outputs, seconds = self.fixed.asked(None if made is None else made.patch)
            return self.fixed.kept(outputs), None, seconds
        except FAULTS as error:
            return (), reason_of(error), 0.0

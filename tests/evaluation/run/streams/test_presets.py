"""Streams as publications make them, against the same computed with plain calls of editor and model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from statistics import mean

import pytest

from editors.base import Edit, Patch
from editors.growing import Growing, Made
from evaluation.data.cases import Case, Kind, Probe
from evaluation.data.dataset import load_cases
from evaluation.data.probes import edit_of
from evaluation.results import preset_summary, presets
from evaluation.results.preset_summary import Row, rows
from evaluation.results.presets import PresetName
from evaluation.results.stream_summary import Stream
from evaluation.results.streams import read_stream
from evaluation.run.bench import Bench
from evaluation.run.experiment import Experiment, make_experiment
from evaluation.run.loading import load_editors, load_model
from evaluation.run.single import run
from evaluation.run.streams import course
from mmedit_build.engine.shards import write_rows
from mmedit_build.errors import UserError
from mmedit_build.mllm import Query
from mmedit_build.rows import SPLITS
from mmedit_build.work import Work
from tests.evaluation.conftest import _edit, _vqa
from tests.evaluation.run.streams.reading import numbers, timeless
from tests.evaluation.run.streams.test_streams import Killed, change, killed, progress
from tests.evaluation.whole import evaluate, rounded

EDITS = 10
METHODS = ("ft", "mend", "ike")
"""One that goes on from changed weights, one that adds to what is there, and one that is planned anew."""
GAPS = (0, 1, 3)
TESTS = 6
SIZES = (1, 4, 1000)


@pytest.fixture(scope="session")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten edits in each split, of which the last is the first once more."""
    work = Work(tmp_path_factory.mktemp("ten"))
    cases = [_vqa(number) for number in range(EDITS)]
    edits = [_edit(case, work, split) for split in SPLITS for case in cases]
    for last, first in ((EDITS - 1, 0), (2 * EDITS - 1, EDITS)):
        edits[last] = replace(edits[first], id=edits[last].id)
    write_rows(work.stage("attach") / "rows.jsonl", edits)
    return work.folder


@pytest.fixture
def some(experiment: Experiment, ten: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    monkeypatch.setattr(presets, "GAPS", GAPS)
    monkeypatch.setattr(preset_summary, "GAPS", GAPS)
    monkeypatch.setattr(presets, "TESTS", TESTS)
    monkeypatch.setattr(presets, "SIZES", SIZES)
    return change(experiment, *METHODS, dataset=str(ten), protocols=("legacy",), orders=1)


def made_as(experiment: Experiment, preset: PresetName, name: str) -> list[Row]:
    """The rows of a method's stream."""
    *_, folder = evaluate(change(experiment, name, stream=preset), progress)
    assert folder == experiment.out / "vqa" / "presets" / preset / name
    header, checkpoints, online = read_stream(folder)
    assert header.settings.preset == preset
    assert not list(folder.glob("*.safetensors"))
    return rows(Stream("vqa", checkpoints, online), preset, header.settings.stream, "legacy")


Asked = tuple[list[int], list[int], list[list[int]]]
"""The target's tokens, the likeliest in their places, and the ten likeliest at all positions."""


class ByHand:
    """A method on the ten edits."""

    def __init__(self, experiment: Experiment, name: str) -> None:
        self.mllm = load_model(experiment)
        self.unedited: dict[tuple[object, ...], Asked] = {}
        self.cases = load_cases(experiment.dataset, "vqa")
        self.train = load_cases(experiment.dataset, "vqa", "train")
        self.editor = load_editors(change(experiment, name))[name]
        Bench(change(experiment, name), self.mllm, "vqa", self.cases, progress).fit(name, self.editor)

    def patches(self, cases: Sequence[Case]) -> Iterator[Patch]:
        """The patch after each of some edits."""
        made: list[Edit] = []
        patch: Patch | None = None
        for case in cases:
            edit = edit_of(case, self.mllm)
            if patch is None:
                patch = self.editor.plan(self.mllm, [edit])
            elif isinstance(self.editor, Growing):
                patch = self.editor.extend(self.mllm, Made(tuple(made), patch), [edit])
            else:
                patch = self.editor.plan(self.mllm, [*made, edit])
            made.append(edit)
            yield patch

    def before(self, probe: Probe) -> Asked:
        """What the unedited model says, asked once."""
        place = (probe.image, probe.question, probe.answers[0])
        if place not in self.unedited:
            self.unedited[place] = self.asked(None, probe)
        return self.unedited[place]

    def asked(self, patch: Patch | None, probe: Probe) -> Asked:
        prompt = probe.question if probe.image is None else self.mllm.question_prompt(probe.question)
        query = Query(probe.image, prompt, probe.answers[0])
        with nullcontext(self.mllm) if patch is None else patch.applied(self.mllm) as model:
            (target,) = model.score([query])
            (everywhere,) = model.score([query], positions="all")
        ranked = everywhere.logits.topk(10, dim=-1).indices.tolist()
        return target.target_ids.tolist(), target.target_logits.argmax(dim=-1).tolist(), ranked

    def right(self, patch: Patch | None, case: Case, kind: Kind) -> list[bool]:
        """Of the edit's only probe of a kind: which of the target's tokens are the likeliest."""
        own = Probe(kind="reliability", question=case.question, answers=(case.target,), image=case.image)
        (probe,) = (own,) if kind == "reliability" else case.of(kind)
        target, likeliest, _ = self.asked(patch, probe)
        return [one == other for one, other in zip(target, likeliest, strict=True)]

    def kept(self, patch: Patch, case: Case, kind: Kind, ranks: int | None) -> float:
        """How much of all positions' likeliest tokens stays, or of those of the answer; over far probes."""
        found = []
        for probe in (one for one in case.of(kind) if one.relation == "far"):
            (_, answer, before), (_, after_answer, after) = self.before(probe), self.asked(patch, probe)
            if ranks is None:
                found.append(mean(a == b for a, b in zip(answer, after_answer, strict=True)))
            else:
                length = min(len(before), len(after))
                pairs = zip(before[-length:], after[-length:], strict=True)
                found.append(
                    mean(a == b for x, y in pairs for a, b in zip(x[:ranks], y[:ranks], strict=True))
                )
        return mean(found)

    def of_edit(self, patch: Patch, case: Case, ranks: Sequence[int | None]) -> tuple[float, ...]:
        """Reliability, both generalities and both localities."""
        kinds: tuple[Kind, ...] = ("reliability", "text_generality", "image_generality")
        changed = (mean(self.right(patch, case, kind)) for kind in kinds)
        text, image = ranks
        kept = (
            self.kept(patch, case, "text_locality", text),
            self.kept(patch, case, "image_locality", image),
        )
        return (*changed, *kept)

    def retained(self, patch: Patch, cases: Sequence[Case]) -> float:
        """The share still right of what is asked about images, but by an edit itself, and known before."""
        own = {(case.image, case.question) for case in self.cases}
        asked = {(str(one.image), one.question): one for case in cases for one in case.of("image_locality")}
        others = [one for one in asked.values() if (one.image, one.question) not in own]
        known = [one for one in others if (found := self.before(one))[0] == found[1]]
        return mean((found := self.asked(patch, one))[0] == found[1] for one in known)


def means(found: Sequence[Sequence[float]]) -> list[float]:
    return [mean(column) for column in zip(*found, strict=True)]


def told(row: Row) -> list[float]:
    return [one.mean for one in row.rates.values()]


@pytest.mark.parametrize("name", METHODS)
def test_vlkebs_gaps_are_those_of_a_computation_by_hand(name: str, some: Experiment) -> None:
    hand, found = ByHand(some, name), made_as(some, "vlkeb-gap", name)
    cases = hand.cases[: TESTS + max(GAPS)]
    by_gap: dict[int, list[tuple[float, ...]]] = {gap: [] for gap in GAPS}
    for made, patch in enumerate(hand.patches(cases)):
        for gap in GAPS:
            if 0 <= made - gap < TESTS:
                by_gap[gap].append(hand.of_edit(patch, cases[made - gap], (1, 10)))
    assert [(row.number, row.tests) for row in found] == [(gap, TESTS) for gap in GAPS]
    for row, gap in zip(found, GAPS, strict=True):
        assert [*row.rates] == ["Rel", "T-Gen", "I-Gen", "T-Loc", "I-Loc"]
        assert told(row) == pytest.approx(means(by_gap[gap]), abs=1e-12)


@pytest.mark.parametrize("name", METHODS[:2])
def test_liveedits_groups_are_those_of_a_computation_by_hand(name: str, some: Experiment) -> None:
    hand, found = ByHand(some, name), made_as(some, "liveedit", name)
    assert [(row.number, row.tests, row.uneven) for row in found] == [(1, 10, 0), (4, 10, 2), (10, 10, 0)]
    for row in found:
        by_hand = []
        for start in range(0, EDITS, row.number):
            group = hand.cases[start : start + row.number]
            *_, patch = hand.patches(group)
            by_hand += [hand.of_edit(patch, case, (None, None)) for case in group]
        assert [*row.rates] == ["Rel", "T-Gen", "M-Gen", "T-Loc", "M-Loc"]
        assert told(row) == pytest.approx(means(by_hand), abs=1e-12)


@pytest.mark.parametrize("name", METHODS[:2])
def test_t_patchers_rates_are_those_of_a_computation_by_hand(name: str, some: Experiment) -> None:
    hand, (row,) = ByHand(some, name), made_as(some, "t-patcher", name)
    just_after = []
    for case, patch in zip(hand.cases, hand.patches(hand.cases), strict=True):
        just_after.append(
            [float(all(hand.right(patch, case, kind))) for kind in ("reliability", "text_generality")]
        )
    at_the_end = mean(float(all(hand.right(patch, case, "reliability"))) for case in hand.cases)
    by_hand = [
        *means(just_after),
        at_the_end,
        hand.retained(patch, hand.train),
        hand.retained(patch, hand.cases),
    ]
    assert [*row.rates] == ["SR", "GR", "ER", "TrainR", "TestR"]
    assert (row.number, row.tests) == (EDITS, EDITS)
    assert told(row) == pytest.approx(by_hand, abs=1e-12)


def test_the_oracle_keeps_all_and_an_edit_of_its_own_is_the_single_edit(some: Experiment) -> None:
    for preset in ("vlkeb-gap", "liveedit", "t-patcher"):
        for row in made_as(some, preset, "oracle"):
            assert set(told(row)) == {1.0}
    *_, folder = evaluate(change(some, "ft", stream="liveedit"), progress)
    checkpoints, _ = numbers(folder)
    bench = Bench(change(some, "ft"), load_model(some), "vqa", load_cases(some.dataset, "vqa"), progress)
    editor = load_editors(some)["ft"]
    for one, case in zip(checkpoints, bench.cases, strict=False):
        (single,) = run(bench.judging, editor, [case])
        assert [rounded(of.result) for of in one.retention] == [asdict(timeless(single))]


@pytest.mark.parametrize(
    ("name", "preset"),
    [("ft", "vlkeb-gap"), ("mend", "vlkeb-gap"), ("ft", "liveedit"), ("mend", "t-patcher")],
)
def test_killed_anywhere_a_preset_goes_on_to_the_same_numbers(
    name: str, preset: PresetName, some: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(course, "EVERY", 2)
    calm = change(some, name, stream=preset)
    *_, whole = evaluate(calm, progress)
    again = calm.model_copy(update={"out": some.out.parent / "again"})
    for after, times in (("add_online", 4), ("add_online", 3), ("add_online", 3)):
        with killed(after, times), pytest.raises(Killed):
            evaluate(again, progress)
        lines = again.out / "vqa" / "presets" / preset / name / "online.jsonl"
        lines.write_bytes(lines.read_bytes() + b'{"order":0,"posi')
    *_, folder = evaluate(again, progress)
    assert numbers(folder) == numbers(whole)


def test_an_edit_whose_question_has_another_answer_now_is_not_asked_any_more(
    some: Experiment, tmp_path: Path
) -> None:
    work = Work(tmp_path / "torn")
    edits = [_edit(_vqa(number), work, split) for split in SPLITS for number in range(4)]
    edits[6] = replace(edits[4], id=edits[6].id, target="another")
    write_rows(work.stage("attach") / "rows.jsonl", edits)
    torn = change(some, "ft", dataset=str(work.folder), stream="vlkeb-gap")
    with pytest.raises(UserError, match="give --conflicts"):
        evaluate(torn, progress)
    found = made_as(torn.model_copy(update={"conflicts": True}), "vlkeb-gap", "ft")
    assert [(row.number, row.tests) for row in found] == [(0, 4), (1, 3)]


def test_a_preset_is_known_by_its_name_and_has_one_order() -> None:
    assert make_experiment(None, {"stream": "vlkeb-gap"}).stream == "vlkeb-gap"
    assert make_experiment(None, {"stream": "1,10"}).stream == (1, 10)
    with pytest.raises(UserError, match="did you mean 'vlkeb-gap'"):
        make_experiment(None, {"stream": "vlkeb"})
    with pytest.raises(UserError, match="leave out --orders"):
        make_experiment(None, {"stream": "liveedit", "orders": 2})
    with pytest.raises(UserError, match="leave out --at-once"):
        make_experiment(None, {"stream": "liveedit", "at_once": "2"})

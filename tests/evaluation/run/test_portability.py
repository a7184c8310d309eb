"""What follows from an edit and something else: asked under the edit, the something else before it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.speed.plain import run_plain
from editors.base import Editor
from evaluation.data.cases import Case, Premise, Probe
from evaluation.data.probes import Asked
from evaluation.protocols.base import ProtocolName
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.results.summary import estimated, headline
from evaluation.run.base_outputs import BaseOutputs, key_of
from evaluation.run.batch import run_batches
from evaluation.run.judging import Judging
from evaluation.run.scoring import Scorer
from evaluation.run.single import run
from mmedit_build.mllm import MLLM

WRONG = "no word of the miniature"


def hop(name: str, case: Case, *premises: Premise) -> Probe:
    (near,) = (probe for probe in case.of("image_locality") if probe.relation == "same_image")
    return Probe(
        kind="portability",
        id=name,
        question=near.question,
        answers=near.answers,
        relation="2-hop",
        image=case.image,
        premise=premises[0] if premises else None,
    )


@pytest.fixture
def case(cases: list[Case]) -> Case:
    """An edit with three hops: one whose premise the model knows, one that it does not, one without any."""
    first = cases[0]
    (fact,) = first.of("text_locality")
    known = Premise(question=fact.question, answers=fact.answers)
    unknown = replace(known, answers=(WRONG,))
    hops = (hop("known", first, known), hop("unknown", first, unknown), hop("none", first))
    return replace(first, probes=(*first.probes, *hops))


@pytest.fixture
def make(mllm: MLLM, case: Case, tmp_path: Path) -> Callable[..., Judging]:
    def judging(protocols: tuple[ProtocolName, ...] = ("legacy", "wild")) -> Judging:
        base = BaseOutputs.open(tmp_path / "unedited")
        made = Judging(mllm=mllm, base=base, scorer=Scorer([case], protocols))
        asked = made.asked_unedited([case])
        base.complete(mllm, asked, write=made.writes, batch_size=8, advance=lambda _: None)
        return made

    return judging


def hops(result: CaseResult) -> dict[str, ProbeResult]:
    assert result.scored, result.skipped
    return {probe.item: probe for probe in result.probes if probe.kind == "portability"}


@pytest.mark.parametrize("protocols", [("wild",), ("legacy",), ("legacy", "wild")])
def test_results_tell_whether_the_unedited_model_knew_the_premise(
    protocols: tuple[ProtocolName, ...], case: Case, make: Callable[..., Judging]
) -> None:
    found = hops(make(protocols).unedited(case))
    assert {name: probe.known for name, probe in found.items()} == {
        **{"known": True, "unknown": False, "none": None},
    }
    assert {probe.relation for probe in found.values()} == {"2-hop"}
    others = make(protocols).unedited(case).probes
    assert {probe.known for probe in others if probe.kind != "portability"} == {None}


@pytest.mark.parametrize("way", ["one", "group", "plain"])
def test_an_edit_changes_answers_but_not_what_was_known(
    way: str, case: Case, make: Callable[..., Judging], make_editor: Callable[[str], Editor]
) -> None:
    judging, editor = make(), make_editor("low rank")
    ways: dict[str, Callable[[], Iterable[CaseResult]]] = {
        "one": lambda: run(judging, editor, [case]),
        "group": lambda: run_batches(judging, editor, [case], 2),
        "plain": lambda: run_plain(judging, editor, [case]),
    }
    (result,) = ways[way]()
    before, after = hops(judging.unedited(case)), hops(result)
    assert {name: one.known for name, one in after.items()} == {
        name: one.known for name, one in before.items()
    }
    one = after["known"]
    assert one.prompt == judging.mllm.question_prompt(case.of("portability")[0].question)
    assert one.log_prob_after != pytest.approx(one.log_prob_before, abs=1e-4)
    assert one.scores.keys() == {"legacy", "wild"}


def test_premises_are_asked_of_the_unedited_model_alone(
    case: Case,
    make: Callable[..., Judging],
    make_editor: Callable[[str], Editor],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judging, asked = make(), list[Asked]()
    measure = judging.measure.__class__.__call__

    def noted(self: object, lend: object, probes: list[Asked], *rest: object) -> object:
        asked.extend(probes)
        return measure(self, lend, probes, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(judging.measure.__class__, "__call__", noted)
    list(run(judging, make_editor("vision"), [case]))
    premises = [probe.premise for probe in judging.probes(case) if probe.premise is not None]
    assert len(premises) == 2
    assert [one.probe.id for one in asked if one.kind == "portability"] == ["known", "unknown", "none"]
    assert len(asked) == len(judging.probes(case))
    assert judging.base.knows(premises)
    # Nor are they in the result: they tell nothing of an edit.
    assert all(WRONG not in probe.target for probe in judging.unedited(case).probes)


def test_a_premise_that_cannot_be_asked_costs_its_own_case_only(
    case: Case, cases: list[Case], make: Callable[..., Judging], make_editor: Callable[[str], Editor]
) -> None:
    judging = make()
    premise = next(one.premise for one in judging.probes(case) if one.premise is not None)
    judging.base.failed[key_of(premise)] = "There is no room for it."
    others = judging.asked_unedited(cases[1:2])
    judging.base.complete(judging.mllm, others, write=True, batch_size=8, advance=lambda _: None)
    first, second = run(judging, make_editor("low rank"), [case, cases[1]])
    assert first.skipped == judging.unedited(case).skipped == "There is no room for it."
    assert second.scored


def test_means_are_over_what_was_known(case: Case, make: Callable[..., Judging]) -> None:
    result = make().unedited(case)
    columns = headline("vqa", "wild")
    all_of, known = (estimated([result], columns[name]) for name in ("Port", "Port known"))
    assert all_of is not None
    assert known is not None
    assert known.mean == hops(result)["known"].scores["wild"]["match"]

"""A want of memory makes groups smaller, and is no edit's fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from editors.base import Editor
from evaluation.data.cases import Case
from evaluation.run import room
from evaluation.run.judging import Judging
from evaluation.run.room import groups
from evaluation.run.single import run
from tests.evaluation.run.test_single import assert_same

MakeEditor = Callable[[str], Editor]


def kept(judging: Judging, case: Case) -> int:
    """Bytes of what the queries of a case are known by."""
    queries = [probe.query for probe in judging.probes(case)]
    return judging.mllm.below(queries, judging.mllm.n_layers, for_generation=True).nbytes


def test_groups_have_room(
    cases: list[Case], make_judging: Callable[..., Judging], monkeypatch: pytest.MonkeyPatch
) -> None:
    judging = make_judging()
    assert [len(group) for group in groups(judging, cases * 4)] == [16, 4 * len(cases) - 16]
    sizes = [kept(judging, case) for case in cases]
    monkeypatch.setattr(room, "MAIN_BYTES", sizes[0] + sizes[1])
    dealt = list(groups(judging, cases))
    assert [case for group in dealt for case in group] == cases
    assert len(dealt[0]) == 2
    assert all(
        len(group) == 1 or sum(kept(judging, one) for one in group) <= room.MAIN_BYTES for group in dealt
    )
    monkeypatch.setattr(room, "MAIN_BYTES", 1)
    assert [len(group) for group in groups(judging, cases)] == [1] * len(cases)


def test_smaller_groups_give_the_same(
    cases: list[Case],
    make_judging: Callable[..., Judging],
    make_editor: MakeEditor,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    judging = make_judging()
    whole = list(run(judging, make_editor("low rank"), cases))
    monkeypatch.setattr(room, "MAIN_BYTES", 1)
    assert_same(list(run(judging, make_editor("low rank"), cases)), whole)


@pytest.mark.parametrize("most", [8, 0])
def test_a_want_of_memory_is_no_edits_fault(
    most: int, cases: list[Case], make_judging: Callable[..., Judging], make_editor: MakeEditor
) -> None:
    """What does not fit together is judged alone; what does not fit alone ends the method."""
    judging = make_judging()
    editor = make_editor("low rank")
    expected = list(run(judging, editor, cases))

    def no_room(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # Rows that are held together count, also where they run one after the other.
        if len(inputs[0]) > most:
            raise torch.OutOfMemoryError

    handle = judging.mllm.layer(-1).register_forward_pre_hook(no_room)
    try:
        if most:
            assert_same(list(run(judging, editor, cases)), expected)
        else:
            with pytest.raises(torch.OutOfMemoryError):
                list(run(judging, editor, cases))
    finally:
        handle.remove()

"""UltraEdit's closed form, its running statistics, and what a batch and a stream of edits are to it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from editors.base import Edit, TrainEdit
from editors.growing import Made, grow
from editors.learning.gradients import OuterProducts
from editors.patches.growing import GrowingPatch
from editors.ultraedit import Statistics, UltraEdit, UltraEditConfig, all_rows, ridge, wished
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import IN, OUT, deltas, drawn

ROWS = 4


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


# The closed form, in float64


def change(keys: Tensor, wanted: Tensor) -> Tensor:
    pair = ridge(keys, wanted)
    return pair.left @ pair.right


@pytest.mark.parametrize("rows", [1, ROWS, IN, 3 * IN])
def test_it_is_the_ridge_solution_of_low_rank(rows: int) -> None:
    keys, wanted = drawn(rows, IN), drawn(rows, OUT)
    found = change(keys, wanted)
    missing = (keys.mT @ keys + torch.eye(IN)) @ found.mT - keys.mT @ wanted
    assert float(missing.abs().max()) < 1e-10
    assert ridge(keys, wanted).left.shape[1] == min(rows, IN)


def test_both_forms_are_one() -> None:
    keys, wanted = drawn(ROWS, IN), drawn(ROWS, OUT)
    padded = torch.cat([keys, torch.zeros(2 * IN, IN)]), torch.cat([wanted, drawn(2 * IN, OUT)])
    torch.testing.assert_close(change(*padded), change(keys, wanted), rtol=0, atol=1e-12)


def test_a_single_key_gives_out_what_is_wished_for_but_for_its_length() -> None:
    key, keyed, value, lr = drawn(1, IN), drawn(1, IN), drawn(1, OUT), 0.3
    given = key @ change(key, wished(keyed, value, lr)).mT
    size = float(key.square().sum())
    expected = -lr * float(keyed.square().sum()) * size / (1 + size) * value
    torch.testing.assert_close(given, expected, rtol=0, atol=1e-12)


def test_no_gradient_no_change() -> None:
    keys, wanted = drawn(ROWS, IN), drawn(ROWS, OUT)
    with_silent = torch.cat([keys, torch.zeros(1, IN)]), torch.cat([wanted, drawn(1, OUT)])
    torch.testing.assert_close(change(*with_silent), change(keys, wanted), rtol=0, atol=1e-12)
    assert not change(keys, wished(keys, torch.zeros(ROWS, OUT), 1.0)).any()


# Statistics


def rows_of(pairs: Tensor) -> OuterProducts:
    return OuterProducts(pairs[:, :IN], pairs[:, IN:])


def test_statistics_are_those_of_all_rows_however_they_came() -> None:
    pairs = 5 + 3 * drawn(20, IN + OUT)
    whole = (pairs - pairs.mean(dim=0)) / pairs.std(dim=0)
    for sizes in ([20], [1, 19], [3, 7, 10], [1] * 20):
        statistics = Statistics({})
        for part in pairs.split(sizes):
            # Kept and taken up again each time, as a patch keeps them.
            statistics = Statistics(statistics.tensors())
            statistics.see([rows_of(part)])
        keys, values = statistics.standardized(rows_of(pairs))
        torch.testing.assert_close(torch.cat([keys, values], dim=1), whole, rtol=0, atol=1e-5)
        assert sum(one.nbytes for one in statistics.tensors().values()) == 8 * (IN + OUT) + 8


def test_modules_of_one_shape_share_them_and_others_do_not() -> None:
    statistics = Statistics({})
    one, other = drawn(3, IN + OUT), 100 + drawn(3, IN + OUT)
    turned = OuterProducts(drawn(3, OUT), drawn(3, IN))
    statistics.see([rows_of(one), rows_of(other), turned])
    assert statistics.tensors()[f"{OUT}x{IN}.count"] == 6
    assert statistics.tensors()[f"{IN}x{OUT}.count"] == 3


def test_a_single_row_is_taken_as_it_is() -> None:
    statistics, pairs = Statistics({}), drawn(1, IN + OUT)
    statistics.see([rows_of(pairs)])
    keys, values = statistics.standardized(rows_of(pairs))
    assert torch.equal(torch.cat([keys, values], dim=1), pairs)


# On a model


def fitted(mllm: MLLM, edits: list[Edit], **options: Any) -> UltraEdit:
    editor = UltraEdit(UltraEditConfig(**options))
    train = [TrainEdit(replace(one, target="a big house")) for one in edits]
    editor.fit(mllm, train, [], work=Path(), advance=lambda _: None)
    return editor


@pytest.mark.parametrize(
    ("matrices", "names"), [("up", ["fc1"]), ("down", ["fc2"]), ("both", ["fc1", "fc2"])]
)
def test_only_the_matrices_named_change(
    mllm: MLLM, edits: list[Edit], matrices: str, names: list[str]
) -> None:
    patch = fitted(mllm, edits, matrices=matrices, layers=(-1, 2)).plan(mllm, edits)
    assert [name.split(".")[-3:-1] for name in patch.factors] == [
        [layer, name] for layer in ("2", "5") for name in names
    ]
    assert patch.first_layer(mllm) == 2


@pytest.mark.parametrize("positions", ["all", "text", "answer"])
def test_the_positions_that_count(mllm: MLLM, edits: list[Edit], positions: str) -> None:
    (row,) = mllm.rows([edits[1].query])
    targets = row.length - row.prompt_length
    expected = {"all": row.length - 1, "text": row.length - 1 - len(row.image), "answer": targets}
    assert targets > 1
    editor = fitted(mllm, edits, positions=positions, layers=(2,), samples=0)
    patch = editor.plan(mllm, edits[1:2])
    # Images have fewer positions than the matrix has rows, so no two of them are folded into one.
    assert {pair.left.shape[1] for pair in patch.factors.values()} == {expected[positions]}
    assert [int(patch.known[name]) for name in patch.known if "count" in name] == [expected[positions]]


def test_it_is_the_closed_form_of_what_the_modules_see(mllm: MLLM, edits: list[Edit]) -> None:
    editor = fitted(mllm, edits, layers=(2,), positions="answer", lr=1e-2, samples=0)
    seen: dict[str, Tensor] = {}

    def see(_: torch.nn.Module, given: tuple[Tensor, ...], output: Tensor) -> None:
        output.requires_grad_(True)
        output.retain_grad()
        seen.update(given=given[0].detach(), output=output)

    handle = mllm.mlp(2).down.module.register_forward_hook(see)
    with torch.enable_grad():
        (scored,) = mllm.logits([edits[1].query])
        (-scored.token_log_probs.mean()).backward()
    handle.remove()
    last = slice(-1 - len(scored.target_ids), -1)
    gradient = seen["output"].grad
    assert gradient is not None
    keys, values = (one.reshape(-1, one.shape[-1])[last].double() for one in (seen["given"], gradient))
    deviation = [one.std(dim=0) for one in (keys, values)]
    normal = [
        ((one - one.mean(dim=0)) / (of + 1e-7)).where(of > 0, 0.0)
        for one, of in zip((keys, values), deviation, strict=True)
    ]
    expected = change(keys, -1e-2 * normal[0].square().sum(dim=1, keepdim=True) * normal[1])
    (found,) = deltas(editor.plan(mllm, edits[1:2])).values()
    assert float((found - expected).norm() / expected.norm()) < 1e-3


def test_a_rate_of_zero_changes_nothing(mllm: MLLM, edits: list[Edit], probes: list[Query]) -> None:
    before = mllm.score(probes, positions="all")
    with fitted(mllm, edits, lr=0.0).plan(mllm, edits).applied(mllm) as model:
        after = model.score(probes, positions="all")
    assert all(torch.equal(one.logits, other.logits) for one, other in zip(before, after, strict=True))


def test_all_edits_are_one_batch_in_any_order(mllm: MLLM, edits: list[Edit]) -> None:
    editor = fitted(mllm, edits)
    one, other = (deltas(editor.plan(mllm, told)) for told in (edits, edits[::-1]))
    for name, found in one.items():
        torch.testing.assert_close(found, other[name], rtol=1e-4, atol=1e-6)


def test_the_order_of_batches_matters(mllm: MLLM, edits: list[Edit]) -> None:
    editor = fitted(mllm, edits)
    one, other = (
        deltas_of(grow(editor, mllm, grow(editor, mllm, None, told[:1]), told[1:2]))
        for told in (edits, edits[1::-1])
    )
    assert any(not torch.allclose(found, other[name], rtol=1e-3) for name, found in one.items())


def deltas_of(made: Made) -> dict[str, Tensor]:
    assert isinstance(made.patch, GrowingPatch)
    return deltas(made.patch)


def test_a_step_goes_on_with_weights_and_statistics_and_keeps_no_more(mllm: MLLM, edits: list[Edit]) -> None:
    editor = fitted(mllm, edits)
    first = editor.plan(mllm, edits[:1])
    both = editor.extend(mllm, Made((edits[0],), first), edits[1:2])
    with first.applied(mllm):
        rows = all_rows(editor._gradients(mllm, [edits[1].query], mllm.below))
    statistics = Statistics(first.known)
    statistics.see(rows.values())
    assert all(torch.equal(both.known[name], one) for name, one in statistics.tensors().items())
    (start,) = (int(one) for name, one in editor.fitted().tensors.items() if "count" in name)
    (later,) = (int(one) for name, one in both.known.items() if "count" in name)
    assert later > start
    kept = [sum(tensor.nbytes for tensor in patch.known.values()) for patch in (first, both)]
    assert kept[0] == kept[1]


def test_statistics_begin_with_those_of_train_edits_or_with_none(mllm: MLLM, edits: list[Edit]) -> None:
    counts = []
    for samples in (0, 2, 100):
        editor = fitted(mllm, edits, samples=samples, layers=(2, 3))
        assert editor.steps([TrainEdit(one) for one in edits]) == min(samples, 3)
        counts.append([int(one) for name, one in editor.fitted().tensors.items() if "count" in name])
    rows = mllm.rows([replace(one, target="a big house").query for one in edits])
    assert counts[0] == []
    # Two layers of one shape, in each the tokens of every target.
    assert counts[2] == [2 * sum(row.length - row.prompt_length for row in rows)]
    assert counts[1] < counts[2]


def test_edits_take_one_by_one_and_together(mllm: MLLM, edits: list[Edit]) -> None:
    editor = fitted(mllm, edits, lr=1e-2, layers=(2, 3, 4, 5))
    queries = [one.query for one in edits]
    before = mllm.score(queries)
    with editor.plan(mllm, edits).applied(mllm) as model:
        together = model.score(queries)
    for one, all_at_once, edit in zip(before, together, edits, strict=True):
        with editor.plan(mllm, [edit]).applied(mllm) as model:
            (alone,) = model.score([edit.query])
        assert alone.log_prob > one.log_prob
        assert all_at_once.log_prob > one.log_prob

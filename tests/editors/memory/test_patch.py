"""Who answers what, in numbers: the base model, the counterfactual one, or both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import PIL.Image
import pytest
import torch
from torch import Tensor, nn

from editors.base import TrainEdit
from editors.memory.counterfactual import Counterfactual
from editors.memory.memories import Mixing, Router, mix, mixed, remember
from editors.memory.patch import MemoryPatch
from editors.memory.scope import Place, Scope, in_scope, similarity
from editors.saving import load_patch, save_patch
from mmedit_build.mllm import MLLM, Query, Scored
from tests.editors.conftest import BOAT, CAT, TREE, Points, by_hand

LN2 = math.log(2.0)


Make = Callable[..., MemoryPatch]


@pytest.fixture
def counterfactual(mllm: MLLM) -> Counterfactual:
    model = Counterfactual.load("base", mllm, 2)
    torch.manual_seed(1)
    for parameter in model.parameters():
        parameter.data += 0.2 * torch.randn_like(parameter)
    return model.requires_grad_(False)


@pytest.fixture
def make(mllm: MLLM, counterfactual: Counterfactual) -> Make:
    """From points on a line and edits as (prompt, target) to a patch."""

    def made(
        points: Mapping[str, float],
        *edits: tuple[str, str],
        mixing: Mixing = "hard",
        router: Router = "prompt",
        image: PIL.Image.Image | None = None,
        images: bool = False,
    ) -> MemoryPatch:
        scope = Points.load("base", mllm, images=images).requires_grad_(False)
        scope.points = points
        queries = [Query(image, *edit) for edit in edits]
        memories = remember(mllm, queries, router, images=images)
        return MemoryPatch(tuple(memories), scope, counterfactual, router, mixing)

    return made


def logits(scored: Sequence[Scored]) -> list[Tensor]:
    return [one.logits for one in scored]


def assert_equal(one: Sequence[Tensor], other: Sequence[Tensor]) -> None:
    assert len(one) == len(other)
    assert all(torch.equal(*pair) for pair in zip(one, other, strict=True))


def assert_close(one: Sequence[Tensor], other: Sequence[Tensor], atol: float = 1e-5) -> None:
    for pair in zip(one, other, strict=True):
        torch.testing.assert_close(*pair, rtol=0, atol=atol)


# Who answers


def test_scope_ends_where_s_is_a_half_and_the_half_is_outside() -> None:
    for dtype in (torch.float32, torch.float64):
        edge = torch.tensor(LN2, dtype=dtype)
        assert float(similarity(edge)) == 0.5
        assert not in_scope(similarity(edge))
    assert in_scope(similarity(torch.tensor(LN2 - 1e-6)))
    assert not in_scope(similarity(torch.tensor(LN2 + 1e-6)))
    assert float(similarity(torch.tensor(0.0))) == 1.0


def test_without_edits_nothing_changes(mllm: MLLM, make: Make, probes: list[Query]) -> None:
    for mixing in ("hard", "soft"):
        patch = make({}, mixing=mixing)
        with patch.applied(mllm) as model:
            assert_equal(
                logits(model.score(probes, positions="all")), logits(mllm.score(probes, positions="all"))
            )
            assert model.generate(probes, max_new_tokens=6) == mllm.generate(probes, max_new_tokens=6)


def test_out_of_scope_the_base_model_answers_bit_for_bit(mllm: MLLM, make: Make, probes: list[Query]) -> None:
    edge = math.sqrt(LN2) + 1e-6
    queries = [*probes, Query(None, TREE, "red")]
    patch = make({CAT: 0.0, TREE: edge}, (CAT, "red"))
    assert patch.first_layer(mllm) == mllm.n_layers
    with patch.applied(mllm) as model:
        assert_equal(
            logits(model.score(queries, positions="all")), logits(mllm.score(queries, positions="all"))
        )
        assert model.write(queries, max_new_tokens=6) == mllm.write(queries, max_new_tokens=6)
        work = mllm.counts.layers
        below = mllm.below(queries, mllm.n_layers)
        assert mllm.counts.layers > work
        work = mllm.counts.layers
        model.score(below)
        assert mllm.counts.layers == work


def test_in_scope_the_counterfactual_model_answers_told_the_edit(
    mllm: MLLM, make: Make, counterfactual: Counterfactual, pictures: list[PIL.Image.Image]
) -> None:
    near = math.sqrt(LN2) - 1e-6
    queries = [
        Query(None, TREE, "two boats"),
        Query(pictures[0], TREE, "a"),
        Query(pictures[1], CAT, "small"),
    ]
    patch = make({CAT: 0.0, TREE: near}, (CAT, "red"))
    with patch.applied(mllm) as model:
        everywhere, targets = model.score(queries, positions="all"), model.score(queries)
    for query, all_of, target in zip(queries, everywhere, targets, strict=True):
        whole, length = by_hand(mllm, counterfactual, f"{CAT} red {query.prompt}", query)
        number = len(target.target_ids)
        assert number == len(mllm.score([query])[0].target_ids)
        assert_close([all_of.logits, target.logits], [whole[-length:], whole[-number - 1 : -1]], 1e-4)
        assert torch.equal(all_of.target_ids, target.target_ids)
        torch.testing.assert_close(all_of.target_logits, target.logits)


def test_written_answers_are_the_likeliest_tokens(
    mllm: MLLM, make: Make, counterfactual: Counterfactual, pictures: list[PIL.Image.Image]
) -> None:
    queries = [Query(None, CAT, "ignored"), Query(pictures[0], CAT), Query(pictures[1], CAT)]
    with make({CAT: 0.0}, (CAT, "red")).applied(mllm) as model:
        written = model.write(queries, max_new_tokens=4)
        assert model.generate(queries, max_new_tokens=4) == [one.text for one in written]
        alone = [model.write([query], max_new_tokens=4)[0] for query in queries]
    assert [one.text for one in alone] == [one.text for one in written]
    for query, one in zip(queries, written, strict=True):
        (told,) = counterfactual.told(mllm, [replace(query, target="")], [f"{CAT} red {CAT}"])
        ids: list[int] = []
        for log_prob in one.token_log_probs:
            row = replace(told, row=replace(told.row.cut(0), ids=(*told.row.cut(0).ids, *ids)))
            best = counterfactual.score([row], "all")[0].logits[-1].log_softmax(dim=-1).max(dim=-1)
            assert float(best.values) == pytest.approx(log_prob, abs=1e-4)
            ids.append(int(best.indices))
        assert one.text == str(mllm.tokenizer.decode(ids, skip_special_tokens=True)).strip()
        assert len(ids) == 4 or not set(ids) & set(mllm.stop_ids)


def test_the_nearest_edit_is_told_whatever_the_order(mllm: MLLM, make: Make) -> None:
    points = {CAT: 0.0, TREE: 0.8, BOAT: 0.5}
    edits = [(CAT, "red"), (TREE, "two")]
    query = Query(None, BOAT, "small")
    with make(points, (TREE, "two")).applied(mllm) as model:
        expected = logits(model.score([query]))
    for order in (edits, edits[::-1]):
        with make(points, *order).applied(mllm) as model:
            assert_equal(logits(model.score([query])), expected)
    with make(points, (CAT, "red")).applied(mllm) as model:
        assert not torch.equal(model.score([query])[0].logits, expected[0])


def test_the_scored_answer_does_not_decide_unless_the_router_leaks(mllm: MLLM, make: Make) -> None:
    points = {CAT: 0.0, TREE: 9.0, f"{CAT} red": 0.0, f"{TREE} red": 0.0}
    right, wrong = Query(None, TREE, "red"), Query(None, TREE, "two")
    honest, leaking = make(points, (CAT, "red")), make(points, (CAT, "red"), router="leaking")
    assert honest.in_scope(mllm, [right, wrong]) == [False, False]
    assert leaking.in_scope(mllm, [right, wrong]) == [True, False]
    with leaking.applied(mllm) as model:
        # When it writes, there is no answer that could leak.
        assert model.generate([right], max_new_tokens=5) == mllm.generate([right], max_new_tokens=5)


def test_images_join_the_decision(mllm: MLLM, make: Make, pictures: list[PIL.Image.Image]) -> None:
    patch = make({CAT: 0.0, TREE: 0.3}, (CAT, "red"), image=pictures[0], images=True)
    queries = [Query(picture, CAT) for picture in (*pictures, None)] + [Query(pictures[0].copy(), TREE)]
    shares, _ = patch.route(mllm, queries)
    assert patch.scope.log_image_scale is not None
    scale = float(patch.scope.log_image_scale.exp())
    seen = [one.flatten() for one in mllm.image_features([Query(one, "") for one in pictures])]
    for share, one in zip(shares[1:3], seen[1:], strict=True):
        cosine = float(nn.functional.cosine_similarity(one, seen[0], dim=0))
        assert float(share) == pytest.approx(math.exp(-scale * (1 - cosine)), rel=1e-4)
    assert float(shares[0]) == 1.0
    assert float(shares[3]) == pytest.approx(math.exp(-scale))
    assert float(shares[4]) == pytest.approx(math.exp(-0.09), rel=1e-5)


def test_without_images_the_same_words_are_in_scope_everywhere(
    mllm: MLLM, make: Make, pictures: list[PIL.Image.Image]
) -> None:
    patch = make({CAT: 0.0}, (CAT, "red"), image=pictures[0])
    assert patch.in_scope(mllm, [Query(picture, CAT) for picture in (*pictures, None)]) == [True] * 4


# Mixtures


def test_a_mixture_is_the_mean_of_probabilities() -> None:
    base, other = torch.randn(2, 5, 40, generator=torch.Generator().manual_seed(0)).double()
    found = mixed(base, other, torch.tensor(0.3, dtype=torch.float64)).exp()
    eps = torch.finfo(torch.float32).eps
    torch.testing.assert_close(found, 0.7 * base.softmax(-1) + 0.3 * other.softmax(-1) + eps)
    torch.testing.assert_close(found.sum(-1), torch.full((5,), 1 + 40 * eps, dtype=torch.float64))
    for share, side in ((0.0, base), (1.0, other)):
        torch.testing.assert_close(mixed(base, other, torch.tensor(share)), (side.softmax(-1) + eps).log())


def test_soft_answers_lie_between_both_models(
    mllm: MLLM, make: Make, pictures: list[PIL.Image.Image]
) -> None:
    points = {CAT: 0.0, TREE: 0.9, BOAT: 5.0}
    hard, soft = make(points, (CAT, "red")), make(points, (CAT, "red"), mixing="soft")
    query = Query(pictures[0], TREE, "two boats")
    share = math.exp(-(0.9**2))
    with replace(hard, scope=soft.scope, memories=(replace(hard.memories[0], place=Place(TREE)),)).applied(
        mllm
    ) as model:
        (other,) = model.score([query], positions="all")
    (base,) = mllm.score([query], positions="all")
    with soft.applied(mllm) as model:
        (found,) = model.score([query], positions="all")
        (target,) = model.score([query])
        (far,) = model.score([Query(None, BOAT, "red")])
        (said,) = model.write([query], max_new_tokens=1)
    expected = mixed(base.logits, other.logits, torch.tensor(share))
    assert_close([found.logits, target.logits], [expected, expected[found.first :][: len(target.target_ids)]])
    assert found.first == base.first
    # e^-25 is less than eps: nothing of it could be seen.
    assert torch.equal(far.logits, mllm.score([Query(None, BOAT, "red")])[0].logits)
    best = expected[base.first].max(dim=-1)
    if int(best.indices) not in mllm.stop_ids:
        assert said.token_log_probs == pytest.approx([float(best.values)], abs=1e-4)


def test_soft_writing_is_that_of_one_model_at_the_ends(
    mllm: MLLM, make: Make, pictures: list[PIL.Image.Image]
) -> None:
    points = {CAT: 0.0, BOAT: 9.0}
    queries = [Query(pictures[0], CAT, "x"), Query(pictures[1], BOAT, "y"), Query(None, CAT)]
    with make(points, (CAT, "red")).applied(mllm) as model:
        hard = model.write(queries, max_new_tokens=6)
    with make(points, (CAT, "red"), mixing="soft").applied(mllm) as model:
        assert model.write(queries, max_new_tokens=6) == hard


def test_soft_writing_is_greedy_in_the_mixture(miniature: MLLM, world: list[TrainEdit]) -> None:
    scope = Points.load("base", miniature, images=False).requires_grad_(False)
    edit = world[0].edit
    scope.points = {edit.prompt: 0.0, "a photo of": 0.8}
    model = Counterfactual.load("base", miniature, 5).requires_grad_(False)
    memories = tuple(remember(miniature, [edit.query], "prompt", images=False))
    query = Query(edit.image, "a photo of")
    with MemoryPatch(memories, scope, model, mixing="soft").applied(miniature) as edited:
        (written,) = edited.write([query], max_new_tokens=8)
        (again,) = edited.score([replace(query, target=f"{written.text}")])
        below = miniature.below([query], 3, for_generation=True)
        assert edited.write(below, max_new_tokens=8)[0].text == written.text
    assert len(again.target_ids) == len(written.token_log_probs) > 2
    assert torch.equal(again.argmax, again.target_ids)
    assert written.text != miniature.generate([query], max_new_tokens=8)[0]


def test_the_last_positions_of_both_are_matched() -> None:
    base, other = (Scored(torch.randn(length, 7), torch.tensor([1, 2]), length - 3) for length in (9, 6))
    found = mix(base, other, torch.tensor(0.5))
    assert torch.equal(found.logits, mixed(base.logits[-6:], other.logits, torch.tensor(0.5)))
    assert found.first == 3


def test_all_of_a_patch_is_saved(
    mllm: MLLM, make: Make, pictures: list[PIL.Image.Image], probes: list[Query], tmp_path: Path
) -> None:
    patch = make(
        {}, (CAT, "red"), (BOAT, "two"), image=pictures[0], images=True, mixing="soft", router="leaking"
    )
    torch.manual_seed(5)
    plain = Scope.load("base", mllm, images=True).requires_grad_(False)
    patch = replace(patch, scope=plain)
    save_patch(patch, tmp_path / "patch")
    drawn = torch.random.get_rng_state()
    loaded = load_patch(tmp_path / "patch")
    assert torch.equal(drawn, torch.random.get_rng_state())
    queries = [*probes[:3], Query(pictures[1], CAT, "red")]
    with patch.applied(mllm) as model, loaded.applied(mllm) as again:
        assert_equal(logits(model.score(queries)), logits(again.score(queries)))
    assert isinstance(loaded, MemoryPatch)
    assert (loaded.mixing, loaded.router, loaded.changed) == ("soft", "leaking", 0)

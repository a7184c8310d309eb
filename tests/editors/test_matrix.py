"""What every editor has to keep to on every family, on tiny models with random weights.

The contract on a model that knows something is in `test_contract`. A family is here by its line in the zoo,
and an editor by one row; what an editor cannot do for a family is in REFUSALS.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pytest
import torch

from editors import EDITORS
from editors.base import Edit, Editor, Patch, TrainEdit
from editors.checking.leaks import Leaks, find_leaks
from editors.checking.swaps import swaps
from editors.patches.side_by_side import SideBySide
from editors.patches.weights import LowRankPatch
from editors.saving import load_patch, save_patch
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot
from tests.editors.contract import Case, answers, assert_equal, fitted, of
from tests.mmedit_build.mllm.conftest import make_image
from tests.zoo.building import Zoo, zoo
from tests.zoo.members import MEMBERS

__all__ = ["zoo"]

ANY = -math.inf
"""For editors that build on what a model knows: one with random weights may answer anything."""
LEARNED = {"steps": 3, "batch_size": 2}
SEEING = LEARNED | {"lr": 1e-6, "edit_lr": 1e-4}
WRITTEN = {"samples": 60, "prefix_count": 0, "steps": 20, "lr": 0.1, "decay": 0.0}
FREE = {"share": 0.5, "l2": 1e-2}
RECURSIVE = {"known": 2, "rank": 8, "alpha": 16.0, "eta": 0.1}
TOLD = {"steps": 12, "batch_size": 2, "lr": 1e-2, "layers": 2, "validate_every": 6}
ADAPTED = {"steps": 10, "batch_size": 4, "lr": 1e-2, "middle": 16, "validate_every": 10}
CASES = [
    # Where a subject stands, random weights do not tell its key from others as well as C does.
    Case("alphaedit", WRITTEN | {"edited": (1, 2), "lookup": "prompt", "clamp": 2.0} | FREE, gain=0.1),
    Case("calinet", {"forms": ("{prompt}",), "steps": 5}),
    Case("dualedit", ADAPTED | {"threshold": -1.0}),
    Case("ft", {"lr": 1e-2, "steps": 3}),
    Case("ft-dataset", {"lr": 1e-1, "steps": 5}, gain=0.01),
    Case("ft-l", {"lr": 1e-2, "steps": 3, "norm": 1e-1}),
    Case("ft-vision", {"lr": 1e-2, "steps": 3}, gain=0.1),
    Case("ft-vision", {"part": "vision", "lr": 1e-3, "steps": 5}, gain=0.01),
    Case("grace", {"radius": "balanced", "steps": 5}),
    Case("ike", {"encoder": "base", "copies": 1, "updates": 1, "retains": 1}, gain=ANY),
    Case("ke", LEARNED | {"steps": 5, "warmup": 0, "lr": 1e-3, "scale": 1e-2}, gain=0.01),
    Case("kn", {"share": 0.5, "steps": 2, "tokens": 1, "forms": ("{prompt}", "{question}")}, gain=ANY),
    Case("liveedit", ADAPTED | {"margin": -100.0}, gain=0.0),
    Case("lora", {"lr": 1e-2, "steps": 5}, gain=0.1),
    Case("m-ore", RECURSIVE, gain=0.1),
    Case("memit", WRITTEN | {"edited": (1, 2), "weight": 10.0, "clamp": 2.0}, gain=0.1),
    Case("mend", LEARNED | {"lr": 1e-6, "edit_lr": 1e-3}),
    Case("mend", SEEING | {"part": "connector"}, gain=0.0),
    Case("mend", SEEING | {"part": "vision"}, gain=0.0),
    Case("oracle"),
    Case("remember", {"encoder": "base"}, gain=ANY),
    Case("rome", WRITTEN, gain=0.1),
    Case("scopeedit", RECURSIVE | {"shared": 2}, gain=0.1),
    Case("serac", TOLD),
    Case("serac-image", TOLD | {"mixing": "soft"}),
    Case("t-patcher", {"memory": 40, "steps": 10, "lr": 0.1, "memory_weight": 0.1}, gain=0.1),
    Case("ultraedit", {"lr": 1e-2}, gain=0.1),
    Case("visedit", ADAPTED | {"sampled": 3}, gain=0.0),
    Case("wise", {"lr": 0.1, "steps": 5}, gain=0.1),
]
FAMILIES = dict.fromkeys([*MEMBERS, "aya_vision"], "float32") | {"llava in bfloat16": "bfloat16"}
"""Names in the zoo, and the precision in which they are loaded."""
REFUSALS: dict[tuple[str, str], str] = {
    ("mend connector", "gemma3"): "The connector of this model has no linear modules that could be edited.",
}
"""By editor (and part) and family, the sentence with which the editor refuses."""
WHOLE = [(family, case) for family in FAMILIES for case in CASES]
SERVED = [(family, case) for family, case in WHOLE if (case.title, family) not in REFUSALS]
COLORS = ("red", "blue", "two boats", "a small house", "the cat")
SIZES = ((48, 16), (20, 44), (24, 24), (40, 20))

NO_LEAKS = Leaks(None, None, None)

Models = Callable[[str], MLLM]


@dataclass
class Pair:
    """An editor on a family, with two edits that it planned by themselves."""

    case: Case
    mllm: MLLM
    patches: list[Patch]
    moved: list[str]
    """What fitting and planning changed in the model."""

    @cached_property
    def edits(self) -> list[TrainEdit]:
        return [tiny_edit(self.mllm, number) for number in (6, 7)]

    @cached_property
    def queries(self) -> list[Query]:
        """The edits and all their probes."""
        return [query for one in self.edits for query in of(one)]

    @cached_property
    def plain(self) -> list[torch.Tensor]:
        """What the unedited model answers."""
        return answers(self.mllm, self.queries)

    @cached_property
    def alone(self) -> list[list[torch.Tensor]]:
        """What it answers under each patch."""
        found = []
        for patch in self.patches:
            with patch.applied(self.mllm) as model:
                found.append(answers(model, self.queries))
        return found

    def assert_near(self, one: torch.Tensor, other: torch.Tensor) -> None:
        largest = float(one.abs().max())
        # What rounding does is as large as the numbers are.
        allowed = 1e-4 * max(1.0, largest) if self.mllm.dtype == torch.float32 else 0.03 * largest
        torch.testing.assert_close(one, other, rtol=0, atol=allowed)


def tiny_edit(mllm: MLLM, number: int) -> TrainEdit:
    """An edit with all that belongs to it, on images of several sizes; every second one has a subject."""
    rng = random.Random(f"tiny edit {number}")
    one, other = rng.sample(("cat", "house", "boat", "tree", "book"), 2)
    target, *answered = rng.sample(COLORS, 3)
    asked, reworded, elsewhere = (
        mllm.question_prompt(text)
        for text in (
            f"what color is the {one}?",
            f"which color has a {one}?",
            f"how many {other}s are there?",
        )
    )
    images = [make_image(seed).resize(SIZES[seed % len(SIZES)]) for seed in range(number, number + 3)]
    return TrainEdit(
        Edit(f"tiny/{number}", images[0], asked, target, subject=one if number % 2 else None),
        text_rephrase=Query(images[0], reworded, target),
        image_rephrase=Query(images[1], asked, target),
        text_locality=(Query(None, f"who wrote the {other}?", answered[0]),),
        image_locality=(Query(images[2], elsewhere, answered[1]),),
    )


@pytest.fixture(scope="session")
def models(zoo: Zoo) -> Models:
    """Models by the names in FAMILIES, each loaded once."""
    loaded: dict[str, MLLM] = {}

    def model(family: str) -> MLLM:
        if family not in loaded:
            dtype = FAMILIES[family]
            folder = zoo(family.removesuffix(f" in {dtype}"))
            loaded[family] = MLLM.load(folder, device="cpu", dtype=dtype)
        return loaded[family]

    return model


def prepared(case: Case, mllm: MLLM, folder: Path) -> Editor:
    # Learned on what is edited, as little else can be learned from random weights.
    world = {number: tiny_edit(mllm, number) for number in range(4, 8)}
    return fitted(case, mllm, list(world.values()), [world[6], world[7]], folder)


@pytest.fixture(scope="session", params=SERVED, ids=lambda pair: f"{pair[0]}, {pair[1].title}")
def pair(request: pytest.FixtureRequest, models: Models, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    family, case = request.param
    mllm = models(family)
    before = Snapshot(mllm)
    editor = prepared(case, mllm, tmp_path_factory.mktemp("fit"))
    patches = [editor.plan(mllm, [tiny_edit(mllm, number).edit]) for number in (6, 7)]
    return Pair(case, mllm, patches, before.differences(mllm))


def test_the_table_has_every_editor() -> None:
    assert list(dict.fromkeys(case.name for case in CASES)) == list(EDITORS)


@pytest.mark.parametrize(
    ("family", "case"),
    [one for one in WHOLE if one not in SERVED],
    ids=lambda one: one.title if isinstance(one, Case) else one,
)
def test_what_cannot_be_edited_is_refused(family: str, case: Case, models: Models, tmp_path: Path) -> None:
    with pytest.raises(UserError) as refused:
        prepared(case, models(family), tmp_path).plan(models(family), [tiny_edit(models(family), 6).edit])
    assert str(refused.value) == REFUSALS[case.title, family]


def test_fitting_and_planning_change_nothing(pair: Pair) -> None:
    assert pair.moved == []


def test_the_edit_takes(pair: Pair) -> None:
    for one, patch in zip(pair.edits, pair.patches, strict=True):
        (before,) = pair.mllm.score([one.edit.query])
        with patch.applied(pair.mllm) as model:
            (after,) = model.score([one.edit.query])
        assert after.log_prob - before.log_prob > pair.case.gain


def test_undo_is_exact_also_after_an_error(pair: Pair) -> None:
    before, logits = Snapshot(pair.mllm), pair.plain
    with suppress(KeyboardInterrupt), pair.patches[0].applied(pair.mllm) as model:
        answers(model, pair.queries)
        raise KeyboardInterrupt
    before.assert_unchanged(pair.mllm)
    assert_equal(logits, answers(pair.mllm, pair.queries))


def test_patches_nest(pair: Pair) -> None:
    logits, first = pair.plain, pair.alone[0]
    with pair.patches[0].applied(pair.mllm) as outer:
        with pair.patches[1].applied(outer) as inner:
            both = answers(inner, pair.queries)
        assert_equal(first, answers(outer, pair.queries))
    assert_equal(logits, answers(pair.mllm, pair.queries))
    assert any(not torch.equal(*two) for two in zip(logits, both, strict=True))


def test_saved_and_loaded_it_gives_the_same_answers(pair: Pair, tmp_path: Path) -> None:
    save_patch(pair.patches[0], tmp_path / "patch")
    loaded = load_patch(tmp_path / "patch")
    assert loaded.first_layer(pair.mllm) == pair.patches[0].first_layer(pair.mllm)
    with loaded.applied(pair.mllm) as model:
        assert_equal(pair.alone[0], answers(model, pair.queries))


def test_work_below_the_first_layer_is_reused(pair: Pair) -> None:
    layer = pair.patches[0].first_layer(pair.mllm)
    if layer is None:
        pytest.skip("nothing is reused")
    below = pair.mllm.below(pair.queries, layer, for_generation=True)
    with pair.patches[0].applied(pair.mllm) as model:
        full, reused = (model.score(asked, positions="all") for asked in (pair.queries, below))
        plain, after = (model.generate(asked, max_new_tokens=3) for asked in (pair.queries, below))
    if pair.mllm.dtype == torch.float32:
        # Elsewhere rounding may make another token the likeliest.
        assert plain == after
    for one, other in zip(full, reused, strict=True):
        pair.assert_near(one.logits, other.logits)


def test_no_target_shows_before_it_is_there(pair: Pair) -> None:
    asked, edit = pair.queries[:1] + pair.queries[-1:], pair.edits[0].edit
    assert find_leaks(pair.mllm, pair.patches[0], swaps(pair.mllm, asked, [edit.target])) == NO_LEAKS


def test_side_by_side_equals_alone(pair: Pair) -> None:
    patches = [patch for patch in pair.patches if isinstance(patch, LowRankPatch)]
    if len(patches) < 2 or SideBySide(patches).first_layer(pair.mllm) is None:
        pytest.skip("stands beside nothing")
    owners = [number % 2 for number in range(len(pair.queries))]
    with SideBySide(patches).applied(pair.mllm, owners) as model:
        beside = answers(model, pair.queries)
    for number, owner in enumerate(owners):
        pair.assert_near(pair.alone[owner][number], beside[number])

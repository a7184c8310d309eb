"""From names and files to recipes, with the mistakes of a file told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint, LocalMLLM
from mmedit_build.recipe.loading import bundled, load_recipe, merged

MINIATURE = (Path(__file__).parents[3] / "recipes" / "miniature.yaml").read_text()


def changed(tmp_path: Path, before: str, after: str) -> str:
    assert before in MINIATURE
    path = tmp_path / "recipe.yaml"
    path.write_text(MINIATURE.replace(before, after))
    return str(path)


def test_without_a_name_it_is_the_miniature() -> None:
    assert load_recipe().name == "miniature"


def test_a_file_is_read_like_a_bundled_recipe(tmp_path: Path) -> None:
    assert load_recipe(changed(tmp_path, "seed: miniature", "seed: other")).seed == "other"


def test_the_kind_of_a_model_may_be_left_out(tmp_path: Path) -> None:
    assert isinstance(load_recipe().base, LocalMLLM)
    model = "  model: miniature/mllm\n  batch_size: 128"
    path = changed(tmp_path, model, "  kind: endpoint\n  model: any")
    assert isinstance(load_recipe(path).base, Endpoint)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("    sizes: {train: 225", "    size: {train: 225", r"mine\.vqa\.size .*did you mean sizes"),
        ("train: 225", "train: many", r"mine\.vqa\.sizes\.train: "),
        ("name: miniature\n", "", "name is missing"),
        ("name: miniature\n", "name: ../up\n", "name: "),
        ("name: miniature\n", f"name: {'n' * 400}\n", "name: .*at most 60"),
        ("  model: miniature/mllm", "  kind: servd\n  model: any", "base: .*servd"),
        ("seed: miniature\n", "seed: [\n", "as YAML"),
        ("seed: miniature\n", "seed: 2024-13-45\n", "as YAML"),
        ("seed: miniature\n", "seed: a\nseed: b\n", "seed stands 2 times"),
        ("guidance: 2.0", "guidance: 2.0\n  strength: 0.5", r"imagine\.strength .*did you mean strengths"),
        ("temperature: 0.6", "temperature: 0", "with temperature 0 all candidates are the same"),
    ],
)
def test_mistakes_are_told_in_one_sentence(tmp_path: Path, before: str, after: str, told: str) -> None:
    with pytest.raises(UserError, match=told) as caught:
        load_recipe(changed(tmp_path, before, after))
    assert "\n" not in str(caught.value)


def test_there_must_be_something_to_mine(tmp_path: Path) -> None:
    start, end = MINIATURE.index("  vqa:\n    sizes"), MINIATURE.index("rephrase:")
    path = tmp_path / "recipe.yaml"
    path.write_text(MINIATURE[:start] + "  confirm: false\n" + MINIATURE[end:])
    with pytest.raises(UserError, match="neither vqa nor caption"):
        load_recipe(str(path))
    start, end = MINIATURE.index("  captions:"), MINIATURE.index("mine:")
    path.write_text(MINIATURE[:start] + MINIATURE[end:])
    with pytest.raises(UserError, match="mine has caption, but sources has none"):
        load_recipe(str(path))


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean miniature"):
        load_recipe("miniatur")


def test_a_missing_file_is_told() -> None:
    with pytest.raises(UserError, match=r"no-such\.yaml"):
        load_recipe("no-such.yaml")


@pytest.mark.parametrize("content", [b"", b"- a list", b"\xff\xfe\x00"])
def test_a_file_that_holds_no_recipe_is_told(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_bytes(content)
    with pytest.raises(UserError, match="recipe"):
        load_recipe(str(path))


def test_the_bundled_ones_are_listed() -> None:
    assert {"miniature", "mmedit-blip2-opt", "mmedit-served"} <= set(bundled())


def test_what_extends_another_says_only_what_is_different(tmp_path: Path) -> None:
    below = tmp_path / "below.yaml"
    below.write_text("extends: miniature\nmine:\n  vqa:\n    sizes: {train: 7}\n  caption: null\n")
    above = tmp_path / "above.yaml"
    above.write_text("extends: below.yaml\nname: above\nbase: {kind: endpoint, model: any}\n")
    recipe, whole = load_recipe(str(above)), load_recipe()
    assert recipe.name == "above"
    assert recipe.base == Endpoint(model="any")
    assert recipe.mine.caption is None
    assert recipe.mine.vqa is not None
    assert whole.mine.vqa is not None
    assert recipe.mine.vqa.sizes == whole.mine.vqa.sizes.model_copy(update={"train": 7})
    assert recipe.sources == whole.sources


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("extends: mmedit-blip2", "no bundled recipe|Did you mean|Cannot read"),
        ("extends: nowhere.yaml", r"nowhere\.yaml, as there is no such file; check its path"),
        ("extends: [miniature]", "name one recipe or one YAML file"),
        ("extends: recipe.yaml", r"extend each other; leave `extends` out of one"),
        ("extends: below/../recipe.yaml", r"extend each other; leave `extends` out of one"),
    ],
)
def test_what_cannot_be_extended_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(f"{text}\nname: mine\n")
    with pytest.raises(UserError, match=told):
        load_recipe(str(path))


def test_lists_and_sections_of_another_kind_are_replaced() -> None:
    assert merged({"a": [1, 2], "b": {"c": 1, "d": 2}}, {"a": [3], "b": {"d": 4}}) == {
        "a": [3],
        "b": {"c": 1, "d": 4},
    }
    assert merged({"model": "x", "dtype": "y"}, {"kind": "endpoint", "model": "z"}) == {
        "kind": "endpoint",
        "model": "z",
    }
    assert merged({"kind": "endpoint", "model": "x"}, {"max_cost": 1}) == {
        "kind": "endpoint",
        "model": "x",
        "max_cost": 1,
    }

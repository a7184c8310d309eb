"""What was learned is kept under a key of all that it depends on."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import PIL.Image
import pytest
import torch

from editors import load_editor
from editors.base import Edit, TrainEdit
from editors.fitting import ensure_fitted, fit_key
from editors.ike import IKE, IKEConfig
from editors.keys import data_key, model_key
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM, Query
from mmedit_build.store import locked


@pytest.fixture
def train(edits: list[Edit]) -> list[TrainEdit]:
    fact = Query(None, "who wrote the book?", "the cat")
    return [TrainEdit(one, replace(one.query, prompt="what?"), one.query, (fact,), ()) for one in edits]


def editor(**options: Any) -> IKE:
    return IKE(IKEConfig(encoder="base", **options))


def told(_: int) -> None:
    """Progress that nobody looks at."""


def test_a_fit_is_done_once_and_taken_up_again(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    steps: list[int] = []
    first, wish = editor(), replace(edits[0], id="new")
    done = ensure_fitted("ike", first, mllm, (train, []), cache=tmp_path, advance=steps.append)
    assert done is not None
    assert not done.cached
    assert sum(steps) == first.steps(train) == 3
    assert list(tmp_path.iterdir()) == [done.path]

    def refuse(*_: object, **__: object) -> None:
        pytest.fail("learned again")

    monkeypatch.setattr(IKE, "fit", refuse)
    # As a command leaves it that is killed after its last step.
    done.path.with_suffix(".work").mkdir()
    second = editor()
    again = ensure_fitted("ike", second, mllm, (train, []), cache=tmp_path, advance=told)
    assert again == replace(done, cached=True)
    assert second.plan(mllm, [wish]) == first.plan(mllm, [wish])
    assert list(tmp_path.iterdir()) == [done.path]


def test_an_editor_that_does_not_learn_needs_nothing(mllm: MLLM, tmp_path: Path) -> None:
    done = ensure_fitted("ft", load_editor("ft"), mllm, ([], []), cache=tmp_path, advance=told)
    assert done is None
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_kept_of_a_fit_that_failed(
    mllm: MLLM, train: list[TrainEdit], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(IKE, "fit", fail)
    with pytest.raises(KeyboardInterrupt):
        ensure_fitted("ike", editor(), mllm, (train, []), cache=tmp_path, advance=told)
    assert list(tmp_path.iterdir()) == []


def test_a_fit_that_another_command_is_at_is_left_to_it(
    mllm: MLLM, train: list[TrainEdit], tmp_path: Path
) -> None:
    data = (train, list[TrainEdit]())
    work = tmp_path / f"ike-{fit_key('ike', editor(), mllm, data)[:24]}.work"
    with (
        locked(work, "mine"),
        pytest.raises(UserError, match="Another command is training ike"),
    ):
        ensure_fitted("ike", editor(), mllm, data, cache=tmp_path, advance=told)
    done = ensure_fitted("ike", editor(), mllm, data, cache=tmp_path, advance=told)
    assert done is not None
    assert list(tmp_path.iterdir()) == [done.path]


def test_a_broken_file_is_told(mllm: MLLM, train: list[TrainEdit], tmp_path: Path) -> None:
    done = ensure_fitted("ike", editor(), mllm, (train, []), cache=tmp_path, advance=told)
    assert done is not None
    done.path.write_bytes(done.path.read_bytes()[:-9])
    with pytest.raises(UserError, match="Cannot read"):
        ensure_fitted("ike", editor(), mllm, (train, []), cache=tmp_path, advance=told)


Keyed = Callable[[], str]


def test_the_key_changes_with_everything_that_matters(
    mllm: MLLM, train: list[TrainEdit], edits: list[Edit]
) -> None:
    def key(
        train: Sequence[TrainEdit], validation: Sequence[TrainEdit], name: str = "ike", **options: Any
    ) -> str:
        return fit_key(name, editor(**options), mllm, (train, validation))

    keys = [
        key(train, []),
        key(train, [], seed=1),
        key(train, [], name="other"),
        key(train[:2], []),
        key(train[::-1], []),
        key([], train),
        key([replace(train[0], text_rephrase=None), *train[1:]], []),
        key([replace(train[0], image_rephrase=None), *train[1:]], []),
        key([replace(train[0], text_locality=()), *train[1:]], []),
        key([replace(train[0], text_locality=(), image_locality=train[0].text_locality), *train[1:]], []),
        key([replace(train[0], edit=replace(edits[0], target="no")), *train[1:]], []),
        key([replace(train[0], edit=replace(edits[0], subject="cat")), *train[1:]], []),
        key([replace(train[0], edit=replace(edits[0], id="other")), *train[1:]], []),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == key(list(train), [])
    weight = mllm.model.get_parameter("language_model.model.decoder.layers.5.fc2.weight")
    weight.data = weight.data * 1.001
    assert key(train, []) not in keys


def test_the_key_of_data_is_of_what_images_hold(
    train: list[TrainEdit], pictures: list[PIL.Image.Image], tmp_path: Path
) -> None:
    file = tmp_path / "a.png"
    for picture, same in ((pictures[0], True), (pictures[1], False)):
        picture.save(file)
        in_file = replace(train[0], edit=replace(train[0].edit, image=file))
        copied = tmp_path / "b.png"
        pictures[0].save(copied)
        again = replace(train[0], edit=replace(train[0].edit, image=copied))
        assert (data_key([in_file]) == data_key([again])) is same


def _changed(folder: Path, name: str, change: Callable[[dict[str, Any]], object]) -> None:
    fields = json.loads((folder / name).read_text())
    change(fields)
    (folder / name).write_text(json.dumps(fields))


def test_the_key_of_a_model_is_of_what_decides_about_its_answers(
    folder: str, mllm: MLLM, tmp_path: Path
) -> None:
    moved = shutil.copytree(folder, tmp_path / "moved")
    _changed(moved, "config.json", lambda config: config.update(transformers_version="4.0.0"))
    assert model_key(MLLM.load(str(moved), device="cpu")) == model_key(mllm)
    _changed(moved, "processor_config.json", lambda config: config["image_processor"]["image_mean"].reverse())
    seen_otherwise = model_key(MLLM.load(str(moved), device="cpu"))
    asked_otherwise = model_key(MLLM.load(folder, device="cpu", template="{image}Human: {prompt} AI:"))
    assert len({model_key(mllm), seen_otherwise, asked_otherwise}) == 3


def test_the_key_of_a_model_is_of_what_it_holds(folder: str, mllm: MLLM) -> None:
    assert model_key(MLLM.load(folder, device="cpu")) == model_key(mllm)
    assert model_key(MLLM.load(folder, device="cpu", dtype="bfloat16")) != model_key(mllm)
    bias = mllm.model.get_parameter("language_projection.bias")
    before = model_key(mllm)
    bias.data = bias.data + torch.eye(len(bias))[3] * 0.01
    assert model_key(mllm) != before

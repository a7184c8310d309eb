"""Loading image generators: sizes, schedulers and textual inversions, right ones and wrong ones."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from mmedit_build.errors import UserError
from mmedit_build.recipe import ImagineStage, Inversion, Local
from mmedit_build.services.images.painter import Painted, Painter, PaintJob
from mmedit_build.work import Work

PROMPT = "a red car and a small tree on the grass"
TOKEN = "dull"
TEXT_WIDTH = 128


def settings(**changes: Any) -> ImagineStage:
    model = Local(model="miniature/diffusion", device="cpu", batch_size=4)
    return ImagineStage(**{"model": model, "steps": 4, "guidance": 2.0, **changes})


@pytest.fixture(scope="module")
def jobs(drawn: Work) -> list[PaintJob]:
    sources = sorted((drawn.sources / "images" / "val2014").glob("*.jpg"))
    return [PaintJob(PROMPT, seed, source, 0.5) for seed, source in enumerate(sources[:2])]


def pixels(painter: Painter, jobs: list[PaintJob]) -> NDArray[np.int16]:
    painted = painter.paint(jobs)
    images = [PIL.Image.open(io.BytesIO(one.data)) for one in painted if isinstance(one, Painted)]
    return np.stack([np.asarray(image, dtype=np.int16) for image in images])


@pytest.mark.parametrize("name", ["EulerAncestralDiscreteScheduler", "DPMSolverMultistepScheduler"])
def test_another_scheduler_paints_something_else_but_always_the_same(jobs: list[PaintJob], name: str) -> None:
    # With fewer steps the two solvers do the same.
    painter, other = (Painter.open(settings(steps=8, **more)) for more in ({}, {"scheduler": name}))
    first = other.paint(jobs)
    assert type(other.pipeline.scheduler).__name__ == name
    assert first == other.paint(jobs)
    assert first != painter.paint(jobs)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"scheduler": "DPMSolverMultiStepScheduler"}, "did you mean 'DPMSolverMultistepScheduler'"),
        ({"scheduler": "AutoencoderKL"}, "Usable: DDIMScheduler"),
        ({"scheduler": "DPMSolverSDEScheduler"}, "no seed of ours decides"),
        ({"steps": 10, "strengths": (0.5, 0.05)}, "less than one step"),
        ({"negative": "ugly", "guidance": 1.0}, "guidance above 1"),
        ({"height": 60}, "multiples of 8"),
        ({"model": Local(model="miniature/difusion")}, "miniature/diffusion"),
        ({"model": Local(model="miniature/clip")}, "model_index.json"),
        ({"model": Local(model="/nowhere/at/all")}, "Cannot load an image generator"),
        ({"model": Local(model="miniature/diffusion", device="cuda:99")}, "not available here"),
    ],
)
def test_wrong_settings_are_told_in_a_sentence(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        Painter.open(settings(**changes))


# Textual inversions


def inversion(folder: Path, embedding: torch.Tensor, **changes: Any) -> Inversion:
    save_file({"emb_params": embedding}, folder / "dull.safetensors")
    return Inversion(**{"repository": str(folder), "file": "dull.safetensors", "token": TOKEN, **changes})


def test_a_textual_inversion_acts(jobs: list[PaintJob], tmp_path: Path) -> None:
    torch.manual_seed(0)
    word = inversion(tmp_path, torch.randn(3, TEXT_WIDTH))
    taught = Painter.open(settings(inversions=(word,), negative=f"{TOKEN}, gray"))
    plain = Painter.open(settings(negative=f"{TOKEN}, gray"))
    assert np.abs(pixels(taught, jobs) - pixels(plain, jobs)).mean() > 0.1
    ids = taught.pipeline.tokenizer(taught.pipeline.maybe_convert_prompt(TOKEN, taught.pipeline.tokenizer))
    assert len(ids.input_ids) == len(("start", "one", "two", "three", "end"))


def test_a_textual_inversion_of_another_generator_is_refused(tmp_path: Path) -> None:
    word = inversion(tmp_path, torch.randn(8, 768))
    with pytest.raises(UserError, match="768 wide, but the text encoder of 'miniature/diffusion' takes 128"):
        Painter.open(settings(inversions=(word,), negative=TOKEN))


def test_a_textual_inversion_that_stands_in_no_prompt_is_refused(tmp_path: Path) -> None:
    word = inversion(tmp_path, torch.randn(1, TEXT_WIDTH))
    with pytest.raises(UserError, match="stands in no prompt"):
        Painter.open(settings(inversions=(word,), negative="ugly"))


def test_capitals_that_would_lose_vectors_are_refused(tmp_path: Path) -> None:
    word = inversion(tmp_path, torch.randn(3, TEXT_WIDTH), token="DullWord")
    with pytest.raises(UserError, match="lower case"):
        Painter.open(settings(inversions=(word,), negative="DullWord"))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"file": "dull.pt"}, "can run code"),
        ({"file": "other.safetensors"}, "There is no other.safetensors"),
        ({"repository": "nobody/nothing"}, "Cannot get the textual inversion"),
        ({"token": "car"}, "already knows the word 'car'"),
    ],
)
def test_textual_inversions_that_cannot_be_loaded(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    word = inversion(tmp_path, torch.randn(1, TEXT_WIDTH), **changes)
    with pytest.raises(UserError, match=told):
        Painter.open(settings(inversions=(word,), negative=word.token))


@pytest.mark.parametrize(
    ("content", "told"), [(b"not a file of tensors", "Cannot read"), (None, "holds 2 tensors")]
)
def test_files_without_exactly_one_embedding(tmp_path: Path, content: bytes | None, told: str) -> None:
    word = inversion(tmp_path, torch.randn(1, TEXT_WIDTH))
    path = tmp_path / word.file
    if content is None:
        save_file({"clip_g": torch.randn(1, 8), "clip_l": torch.randn(1, 8)}, path)
    else:
        path.write_bytes(content)
    with pytest.raises(UserError, match=told):
        Painter.open(settings(inversions=(word,), negative=TOKEN))

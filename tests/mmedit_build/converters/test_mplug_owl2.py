"""mPLUG-Owl2 out of its folder: tiny tensors under its authors' names, and their formulas on them by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import PIL.Image
import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from mmedit_build.cli import app
from mmedit_build.converters.mplug_owl2 import convert
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from tests.mmedit_build.converters.owl2 import (
    ABSTRACTOR,
    ASKED,
    CLOSE,
    CONFIG,
    LAYERS,
    MIDDLE,
    QUERIES,
    Tensors,
    abstractor,
    expected,
    language,
    pixels,
    vision,
)
from tests.mmedit_build.converters.test_llama_tokenizer import SPACE, words_file


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    torch.manual_seed(0)
    return vision() | abstractor() | language()


@pytest.fixture(scope="module")
def published(tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("published")
    # Its authors' own checkpoint leaves them out, as they are not learned.
    names = [name for name in tensors if not name.endswith("pos_embed")]
    shards = {"one.bin": names[::2], "two.bin": names[1::2]}
    for file, inside in shards.items():
        torch.save({name: tensors[name] for name in inside}, folder / file)
    places = {name: file for file, inside in shards.items() for name in inside}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": places}))
    (folder / "config.json").write_text(json.dumps(CONFIG))
    (folder / "tokenizer.model").write_bytes(words_file())
    return folder


@pytest.fixture(scope="module")
def converted(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "owl"
    convert(published, out)
    return out


@pytest.fixture(scope="module")
def mllm(converted: Path) -> MLLM:
    return MLLM.load(str(converted), device="cpu")


# The authors' formulas, in double precision


@pytest.fixture(scope="module")
def formulas(tensors: Tensors) -> Tensors:
    return {name: tensor.double() for name, tensor in tensors.items()}


@torch.no_grad()
@pytest.mark.parametrize("template", ["checkpoint", "raw"])
def test_logits_are_those_of_the_published_formulas(
    converted: Path, formulas: Tensors, template: str
) -> None:
    mllm = MLLM.load(str(converted), device="cpu", template=template)
    wanted = [
        expected(formulas, mllm, query, row.ids) for query, row in zip(ASKED, mllm.rows(ASKED), strict=True)
    ]
    assert min(float(one.abs().max()) for one in wanted) > 3
    for layer in range(LAYERS + 1):
        found = mllm.score(mllm.below(ASKED, layer), positions="all")
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one.logits.double(), other, rtol=0, atol=CLOSE)


@torch.no_grad()
def test_so_is_what_is_written_token_by_token(mllm: MLLM, formulas: Tensors) -> None:
    for query in ASKED:
        (row,) = mllm.rows([query], targets=False)
        ids = row.ids
        for _ in range(8):
            ids = (*ids, int(expected(formulas, mllm, query, ids)[-1].argmax()))
        own = ids[row.length :]
        assert len(set(own)) > 2
        (written,) = mllm.write([query], max_new_tokens=8)
        assert written.text == str(mllm.tokenizer.decode(list(own), skip_special_tokens=True)).strip()
        given, model = torch.tensor([row.ids]), cast("Any", mllm.model)
        options: dict[str, Any] = {"attention_mask": torch.ones_like(given), "max_new_tokens": 8}
        if isinstance(query.image, PIL.Image.Image):
            options["pixel_values"] = pixels(query.image).float()
        said = model.generate(given, do_sample=False, **options)
        assert tuple(said[0].tolist()) == ids


def test_rows_are_those_of_the_authors_and_of_vlkeb(converted: Path, mllm: MLLM) -> None:
    raw = MLLM.load(str(converted), device="cpu", template="raw")
    image = (QUERIES + 1) * "<|image|>"
    rows = [*mllm.rows(ASKED[::2]), *raw.rows(ASKED[::2])]
    assert ["".join(mllm.tokenizer.convert_ids_to_tokens(list(row.ids))) for row in rows] == [
        f"<s>_USER:_{image}_the_cat_ASSISTANT:_red".replace("_", SPACE),
        "<s>_USER:_the_red_cat_ASSISTANT:_there".replace("_", SPACE),
        # The image stands before all text.
        f"{image}<s>_the_cat_red".replace("_", SPACE),
        "<s>_the_red_cat_there".replace("_", SPACE),
    ]
    assert mllm.stop_ids == (mllm.tokenizer.eos_token_id,)


# The folder


def test_what_it_was_made_from_is_noted(converted: Path) -> None:
    note = json.loads((converted / "provenance.json").read_text())
    assert note["model"] == "mPLUG-Owl2"
    assert list(note["sha256"]) == ["config.json", "tokenizer.model", "one.bin", "two.bin"]
    assert {len(one) for one in note["sha256"].values()} == {64}


def test_positions_are_taken_where_a_folder_has_them(
    published: Path, converted: Path, tensors: Tensors, tmp_path: Path
) -> None:
    """Models that were tuned and saved once more have them, in the precision that they were saved in."""
    folder = shutil.copytree(published, tmp_path / "tuned")
    kept = {name: tensor.half() for name, tensor in tensors.items() if name.endswith("pos_embed")}
    torch.save(kept, folder / "three.bin")
    convert(folder, tmp_path / "out")
    made, taken = (load_file(place / "model.safetensors") for place in (converted, tmp_path / "out"))
    assert made.keys() == taken.keys()
    for name, ours in (("q_pos_embed", "query_positions"), ("k_pos_embed", "image_positions")):
        one = f"abstractor.layers.1.{ours}"
        theirs = tensors[f"{ABSTRACTOR}.encoder.layers.1.crossattention.attention.{name}"]
        torch.testing.assert_close(made[one], theirs, rtol=0, atol=1e-6)
        assert torch.equal(taken[one], theirs.half())


def with_config(folder: Path, change: Callable[[Any], Any]) -> None:
    config = json.loads(json.dumps(CONFIG))
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def of_the_next(config: Any) -> None:
    config["visual_config"]["visual_model"]["use_cls_token"] = False


def of_another(config: Any) -> None:
    config["model_type"] = "mplug_owl2_1"


def stretched(config: Any) -> None:
    config["rope_scaling"] = {"type": "linear", "factor": 2.0}


def wider(config: Any) -> None:
    config["intermediate_size"] = MIDDLE + 1


def deeper(config: Any) -> None:
    config["num_hidden_layers"] = LAYERS + 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (of_the_next, "use_cls_token False in visual_model, where True is needed"),
        (of_another, "model of type 'mplug_owl2_1'"),
        (stretched, "scales rotary angles"),
        (wider, "do not make a model of mPLUG-Owl2"),
        (deeper, "do not make a model of mPLUG-Owl2: 13 tensors are missing"),
    ],
)
def test_other_models_are_refused(
    published: Path, tmp_path: Path, change: Callable[[Any], None], told: str
) -> None:
    folder = shutil.copytree(published, tmp_path / "other")
    with_config(folder, change)
    with pytest.raises(UserError, match=told):
        convert(folder, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["other"]


def test_what_is_missing_is_told(published: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(published, tmp_path / "part")
    (folder / "two.bin").unlink()
    with pytest.raises(UserError, match=r"it lacks two.bin.*give the folder of mplug-owl2-llama2-7b"):
        convert(folder, tmp_path / "out")
    (folder / "tokenizer.model").unlink()
    with pytest.raises(UserError, match="No such file"):
        convert(folder, tmp_path / "out")
    with pytest.raises(UserError, match="not empty"):
        convert(published, folder)
    with pytest.raises(UserError, match="no such folder"):
        convert(tmp_path / "nowhere", tmp_path / "out")


def test_the_command(published: Path, tmp_path: Path) -> None:
    out = tmp_path / "folder"
    result = CliRunner().invoke(app, ["convert", "mplug-owl2", "--out", str(out), str(published)])
    assert result.exit_code == 0, result.output
    mllm = MLLM.load(str(out), device="cpu")
    assert len(mllm.rows(ASKED[:1])[0].image) == QUERIES + 1

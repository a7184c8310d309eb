"""What `mmedit-eval list --model` shows."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from evaluation.cli import app
from mmedit_build.errors import UserError
from mmedit_build.mllm.found import look_into
from tests.zoo.building import Zoo, zoo

__all__ = ["zoo"]


def shown(*arguments: str) -> str:
    done = CliRunner().invoke(app, ["list", *arguments], catch_exceptions=False, env={"COLUMNS": "200"})
    assert done.exit_code == 0
    return done.output


def test_the_bundled_model() -> None:
    told = shown("--model", "miniature/mllm")
    for words in ("blip-2", "Blip2", "fc1", "'{image}{prompt}'", "8, of 96 x 64 pixels"):
        assert words in told, words


def test_any_folder(zoo: Zoo) -> None:
    found = look_into(zoo("qwen2_5_vl"))
    assert (found.family, found.known, found.layers) == ("Qwen25VL", True, 4)
    assert [*found.parts] == ["vision", "connector", "language"]
    assert min(found.parts.values()) > 0
    assert [*found.linears.values()] == [(48, 32), (48, 32), (32, 48)]
    assert "{image}" in found.template
    assert "{image}" not in found.text_template
    assert "{prompt}" in found.text_template
    assert found.ends == ("?",)
    assert found.image_tokens > 1
    assert found.difference < 1e-4


def test_a_model_without_a_file_and_with_a_template(zoo: Zoo) -> None:
    told = shown("--model", zoo("aya_vision"), "--template", "Look: {image} {prompt}")
    assert "generic" in told
    assert "'Look: {image} {prompt}'" in told


@pytest.mark.parametrize(
    "arguments", [["ft", "--model", "x"], ["--json", "--model", "x"], ["--template", "raw"]]
)
def test_what_does_not_go_together(arguments: list[str]) -> None:
    with pytest.raises(UserError, match="--model"):
        shown(*arguments)

"""Checkpoint folders of tiny models with random weights, each made once a session."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText, PreTrainedModel

from tests.zoo.common import Member, token_id
from tests.zoo.members import MEMBERS, STRANGERS

Zoo = Callable[[str], str]
"""From the name of a member to the folder of its checkpoint."""


@pytest.fixture(scope="session")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Zoo:
    """Folders of tiny models, by the names in MEMBERS and STRANGERS."""
    folders: dict[str, str] = {}

    def folder(name: str) -> str:
        if name not in folders:
            path = tmp_path_factory.mktemp(name.replace(" ", "-"))
            write((MEMBERS | STRANGERS)[name](), path)
            folders[name] = str(path)
        return folders[name]

    return folder


def write(member: Member, path: Path) -> None:
    """An ordinary checkpoint folder."""
    torch.manual_seed(0)
    model = AutoModelForImageTextToText.from_config(member.config)
    shake(model)
    assert model.generation_config is not None
    model.generation_config.eos_token_id = [token_id(member.tokenizer, "?")]
    model.save_pretrained(path)
    member.tokenizer.save_pretrained(path)
    member.image_processor.save_pretrained(path)
    if member.processor:
        (path / "processor_config.json").write_text(json.dumps(member.processor))
    if member.prompt_tokenizer is not None:
        member.prompt_tokenizer.save_pretrained(path / "qformer_tokenizer")


@torch.no_grad()
def shake(model: PreTrainedModel) -> None:
    """Every parameter random: fresh models have zero biases and nearly flat logits, which hide mistakes."""
    language = ("language_model.", "text_model.")
    for name, parameter in model.named_parameters():
        # Larger ones where the image passes, so that mixing images up changes every answer.
        scale = 0.15 if any(one in name for one in language) else 0.4
        parameter.add_(scale * torch.randn_like(parameter))

"""GRACE against numbers of public code on the tiny OPT of `test_parity_of_neurons`; see parity/grace.json."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from editors.base import Edit
from editors.gating.codebook import Codebook, CodebookPatch
from editors.grace import GRACE, GRACEConfig
from editors.growing import grow
from mmedit_build.mllm import MLLM
from tests.editors.test_parity_of_neurons import close, next_logits, numbers, redrawn


@pytest.fixture
def tiny(mllm: MLLM) -> MLLM:
    return redrawn(mllm)


def test_a_codebook_grows_as_that_of_the_authors(tiny: MLLM) -> None:
    expected = numbers("grace")
    options = {"layer": expected["layer"], "radius": "fixed", "epsilon": expected["epsilon"], "start": "warm"}
    editor = GRACE(GRACEConfig.model_validate({**options, "steps": 10}))
    editor.fit(tiny, [], [], work=Path("unused"), advance=lambda _: None)
    made = None
    for (prompt, target), step in zip(expected["edits"], expected["steps"], strict=True):
        made = grow(editor, tiny, made, [Edit(target, None, prompt, target)])
        assert isinstance(made.patch, CodebookPatch)
        book = made.patch.book
        close(book.radii, step["radii"], 1e-8)
    assert made is not None
    for found, wanted in ((book.keys, expected["keys"]), (torch.cat(book.values), expected["values"])):
        close(torch.stack([found.sum(dim=1), found.norm(dim=1)], dim=1), wanted, 1e-7)
    prompts = [prompt for prompt, _ in expected["edits"]] + [expected["asked"]]
    with made.patch.applied(tiny):
        for prompt, logits in zip(prompts, expected["logits"], strict=True):
            close(next_logits(tiny, prompt)[:8], logits)


def test_where_published_code_errs_ours_does_not() -> None:
    rows = numbers("grace")["published"]["rows"]
    for row in rows:
        book = Codebook.empty(1, torch.empty(0, dtype=torch.float64))
        for place, label in row["edits"]:
            book, _ = book.beside(torch.tensor([place], dtype=torch.float64), 1.0, tuple(label))
        close(book.keys[:, 0], row["ours"]["keys"], 1e-8)
        close(book.radii, row["ours"]["radii"], 1e-8)
        assert row["published"] != row["ours"]

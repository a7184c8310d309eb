"""What is known of a method grows with the patches that it plans, also over a run that was cut off."""

from __future__ import annotations

from pathlib import Path

import torch

from editors import load_editor
from editors.base import Learner, Patch, State
from editors.patches.overlays import PromptPatch
from editors.patches.weights import WeightPatch
from evaluation.results.about import About
from evaluation.run.witness import Witness
from mmedit_build.mllm import MLLM


def patch(mllm: MLLM, layer: int) -> WeightPatch:
    return WeightPatch({name: torch.zeros_like(one) for name, one in mllm.part(f"mlp.{layer}").items()})


def test_it_grows_with_each_patch(mllm: MLLM) -> None:
    witness = Witness.of(load_editor("ft"), mllm)
    assert witness.about == About(family="fine-tuning", batch=True)
    kept: list[bool] = []
    patches: list[Patch] = [PromptPatch(("Say red.",)), patch(mllm, 1), PromptPatch(("Say blue.",))]
    for one in patches:
        witness.see(one)
        kept.append(witness.about.preserves)
    assert kept == [True, False, False]
    assert witness.about.area == {"the prompt": (), "MLP": (1,)}
    later = Witness.of(load_editor("ft"), mllm)
    later.see(patch(mllm, 0))
    both = later.about.with_what_was_known(witness.about)
    assert both.area == {"the prompt": (), "MLP": (0, 1)}
    assert not both.preserves
    assert later.about.with_what_was_known(None) == later.about


def test_what_was_learned_is_counted(mllm: MLLM, tmp_path: Path) -> None:
    editor = load_editor("kn", {"share": 0.5})
    learner: object = editor
    assert isinstance(learner, Learner)
    learner.fit(mllm, [], [], work=tmp_path, advance=lambda _: None)
    assert Witness.of(load_editor("oracle"), mllm).about.learned is None
    assert Witness.of(editor, mllm).about.learned == 0


def test_variants_that_are_shown_the_answers_say_so(mllm: MLLM) -> None:
    def leaks(router: str) -> bool:
        editor = load_editor("serac", {"router": router})
        editor.fitted = lambda: State()  # type: ignore[attr-defined]
        return Witness.of(editor, mllm).about.leaks

    assert leaks("leaking")
    assert not leaks("prompt")

"""KN, CaliNET and T-Patcher against numbers that the authors' public code gave.

Each file in `parity/` says how its numbers were obtained. All are of the text side alone: a tiny OPT language
model in float64, whose weights are drawn here by name, so that no version of a library decides about them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from editors.base import Edit
from editors.calinet import CaliNET, CaliNETConfig
from editors.kn import KN, KNConfig, embedded
from editors.losses import smoothed_nll
from editors.neurons.attribution import attributions, path
from editors.neurons.choosing import coarse, refined
from editors.neurons.columns import column_patch
from editors.neurons.patches import AddedNeurons, Neurons, look_into
from editors.neurons.patching import Patching, PatchingConfig, find_mistakes, said, train
from editors.neurons.remembered import Remembered
from mmedit_build.mllm import MLLM, Query

FOLDER = Path(__file__).parent / "parity"


def redrawn(mllm: MLLM) -> MLLM:
    """The model with its language model's weights drawn by name, in float64."""
    mllm.model.double()
    language = mllm.model.get_submodule("language_model")
    for number, (name, parameter) in enumerate(sorted(language.named_parameters())):
        noise = drawn(number, *parameter.shape)
        parameter.data = 0.3 * noise + (1.0 if name.endswith("layer_norm.weight") else 0.0)
    return mllm


def drawn(seed: int, *shape: int) -> Tensor:
    """Normal numbers in float64, the same wherever they are drawn."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.fixture
def tiny(mllm: MLLM) -> MLLM:
    return redrawn(mllm)


def numbers(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
    return found


def close(found: Tensor | float, expected: list[Any] | float, tolerance: float = 1e-5) -> None:
    expectation = torch.tensor(expected, dtype=torch.float64)
    torch.testing.assert_close(torch.as_tensor(found).double(), expectation, rtol=tolerance, atol=tolerance)


def next_logits(mllm: MLLM, prompt: str) -> Tensor:
    """After a prompt without an image."""
    (scored,) = mllm.score([Query(None, prompt, "two")])
    return scored.target_logits[0]


def test_knowledge_neurons_are_found_as_the_authors_find_them(tiny: MLLM) -> None:
    shares = path(20, "inclusive")
    for case in numbers("kn")["cases"]:
        query = Query(None, case["prompt"], case["target"])
        assert tiny.score([query])[0].target_ids.tolist() == case["target_ids"]
        (scores,) = attributions(tiny, [query], shares, tokens=8)
        close(scores.sum(dim=1), case["scores"]["sums"])
        for layer, number, score in case["scores"]["top"]:
            close(scores[layer, number], score, 1e-6)
        assert sorted(map(list, coarse(scores, 0.3, "share"))) == sorted(case["coarse_share_0.3"])
        assert len(coarse(scores, 97, "percentile")) == case["percentile_97"]


def test_knowledge_neurons_are_refined_as_the_authors_refine_them(
    tiny: MLLM, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = numbers("kn")["refined"]
    queries = [Query(None, prompt, expected["target"]) for prompt in expected["prompts"]]
    scores = attributions(tiny, queries, path(20, "inclusive"), tokens=8)
    sets = [coarse(one, expected["threshold"], "share") for one in scores]
    found = refined(sets, expected["share"])
    assert list(map(list, found)) == expected["neurons"]
    options = {"steps": 20, "rule": "inclusive", "threshold": 0.3, "share": 0.5, "tokens": 8}
    monkeypatch.setattr("editors.kn.reworded", lambda *_: queries)
    edit = Edit("one", None, expected["prompts"][0], expected["target"])
    assert KN(KNConfig.model_validate(options)).neurons(tiny, edit, expected["target"].strip()) == found


def test_columns_are_edited_as_the_authors_edit_them(tiny: MLLM) -> None:
    expected = numbers("kn")["edit"]
    before = next_logits(tiny, expected["prompt"])
    old = tiny.embed_tokens.weight.detach()[before.argmax()]
    new = embedded(tiny, expected["target"])
    assert tiny.tokenizer.decode([int(before.argmax())]) == expected["old"]
    change = 2 * new - 2 * old
    places = [(layer, number) for layer, number, _, _ in expected["columns"]]
    for layer, number, total, norm in expected["columns"]:
        assert (layer, number) in places
        close(change.sum(), total, 1e-9)
        close(change.norm(), norm, 1e-9)
    query = Query(None, expected["prompt"], expected["target"])
    close(tiny.score([query])[0].log_prob.exp(), expected["before"], 1e-6)
    with column_patch(tiny, dict.fromkeys(places, change)).applied(tiny):
        close(next_logits(tiny, expected["prompt"])[:8], expected["logits"])
        close(tiny.score([query])[0].log_prob.exp(), expected["after"], 1e-6)


def test_slots_are_trained_as_the_authors_train_them(tiny: MLLM, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = numbers("calinet")
    last = tiny.mlp(-1)
    for linear in (last.up, last.down):
        linear.module.bias.data.zero_()

    def slots(*_: object) -> Neurons:
        return Neurons(0.2 * drawn(1000, 8, 32), 0.2 * drawn(1001, 8, 32))

    monkeypatch.setattr("editors.calinet.new_slots", slots)
    edits = [Edit(target, None, prompt, target) for prompt, target in expected["facts"]]

    def loss() -> Tensor:
        return torch.stack([-one.token_log_probs.mean() for one in tiny.score([one.query for one in edits])])

    for steps in (1, 10, 30):
        config = CaliNETConfig(steps=steps, stop_below=None, forms=("{prompt}",))
        patch = CaliNET(config).plan(tiny, edits)
        with patch.applied(tiny):
            close(loss().mean(), expected["losses"][steps])
    close(patch.neurons.keys.norm(), expected["keys_norm"])
    close(patch.neurons.keys.sum(), expected["keys_sum"], 1e-4)
    close(patch.neurons.values.norm(), expected["values_norm"])
    with patch.applied(tiny):
        close(next_logits(tiny, edits[0].prompt)[:8], expected["logits"], 1e-4)
    with AddedNeurons(5, slots()).applied(tiny):
        close(loss().mean(), expected["losses"][0], 1e-6)


def test_neurons_are_trained_as_the_authors_train_them(tiny: MLLM) -> None:
    expected = numbers("t-patcher")
    remembered = Remembered(drawn(2000, 200, 32), drawn(2001, 150, 32))
    query = Query(None, expected["prompt"], expected["target"])
    below = tiny.below([query], 5)
    (inputs,) = look_into(tiny, below, 5)
    (mistake,) = find_mistakes(tiny, [below], [inputs], 5)
    assert len(mistake.inputs) == len(expected["wrong"])

    def config(steps: int) -> PatchingConfig:
        return PatchingConfig(steps=steps, validate_every=10, validate_from=1000)

    def loss(one: Patching, memory: Tensor) -> Tensor:
        return smoothed_nll(said(tiny, 5, [one]), 0.1).sum() + one.memory(memory)

    def patching(steps: int) -> Patching:
        found = Patching(tiny, 5, config(steps), mistake, remembered)
        found._values.data = drawn(2002, len(mistake.inputs), 32)
        # Equally excited at the start, it would be left to rounding which of them count among the worst.
        found._biases.data = 0.1 * drawn(2003, len(mistake.inputs))
        return found

    close(loss(patching(1), remembered.train), expected["first"]["total"], 1e-6)
    for look in expected["looks"]:
        trained = patching(look["step"])
        train(tiny, 5, config(look["step"]), [trained])
        parts = [look["nll"], look["activation"], 10 * look["validation_memory"]]
        close(loss(trained, remembered.validation), sum(parts), 1e-4)
    neurons = trained.neurons
    assert neurons.biases is not None
    close(neurons.biases, expected["biases"], 1e-4)
    close(neurons.keys.norm(), expected["keys_norm"], 1e-4)
    close(neurons.keys.sum(), expected["keys_sum"], 1e-4)
    close(neurons.values.norm(), expected["values_norm"], 1e-4)
    with AddedNeurons(5, neurons).applied(tiny):
        close(tiny.score([query])[0].target_logits[:, :6], expected["logits"], 1e-4)

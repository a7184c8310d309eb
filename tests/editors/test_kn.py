"""KN, on the tiny random BLIP-2."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from editors.base import Edit, TrainEdit
from editors.kn import KN, KNConfig, embedded
from editors.neurons.choosing import Place
from editors.neurons.patches import ColumnPatch, ScaledNeurons
from editors.saving import read_state, write_state
from mmedit_build.mllm import MLLM, Query
from tests.editors.conftest import Snapshot

OPTIONS: dict[str, Any] = {"share": 0.5, "steps": 2, "forms": ("{prompt}", "Look. {prompt}")}
FOUND: list[Place] = [(1, 4), (1, 9), (3, 0)]


def make(**options: Any) -> KN:
    return KN(KNConfig.model_validate(OPTIONS | options))


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch, mllm: MLLM, edits: list[Edit]) -> dict[str, list[Place]]:
    """Neurons by the edit's id, in the place of those found; and old answers that can be told apart."""
    by_id = {"one": FOUND, "two": [(3, 0), (5, 63)], "three": []}
    monkeypatch.setattr(KN, "neurons", lambda _, __, edit, ___: by_id[edit.id])
    answers = {edit.prompt: answer for edit, answer in zip(edits, ("red", "a cat", "two"), strict=True)}
    monkeypatch.setattr(mllm, "generate", lambda queries, **_: [answers[query.prompt] for query in queries])
    return by_id


def weights(mllm: MLLM) -> dict[int, torch.Tensor]:
    return {layer: mllm.mlp(layer).down.module.weight.detach().clone() for layer in range(mllm.n_layers)}


def sum_of(mllm: MLLM, text: str) -> torch.Tensor:
    ids = mllm.tokenizer(f" {text}", add_special_tokens=False)["input_ids"]
    return torch.stack([mllm.embed_tokens.weight.detach()[i] for i in ids]).sum(dim=0)


@pytest.mark.usefixtures("given")
def test_an_edit_changes_its_columns_alone_and_by_the_vectors(mllm: MLLM, edits: list[Edit]) -> None:
    before, snapshot = weights(mllm), Snapshot(mllm)
    patch = make(old_weight=1.0, new_weight=8.0).plan(mllm, edits[:1])
    assert isinstance(patch, ColumnPatch)
    assert patch.changed == 32 * len(FOUND)
    assert patch.first_layer(mllm) == 1
    change = 8 * sum_of(mllm, "two boats") - sum_of(mllm, "red")
    with patch.applied(mllm):
        for layer, weight in weights(mllm).items():
            expected = before[layer].clone()
            for number in [number for of, number in FOUND if of == layer]:
                expected[:, number] += change
            assert torch.equal(weight, expected)
    snapshot.assert_unchanged(mllm)


@pytest.mark.usefixtures("given")
def test_edits_that_share_a_neuron_both_change_it(mllm: MLLM, edits: list[Edit]) -> None:
    before = weights(mllm)
    news, olds = ("two boats", "a red tree"), ("red", "a cat")
    changes = [2 * sum_of(mllm, new) - 2 * sum_of(mllm, old) for new, old in zip(news, olds, strict=True)]
    patch = make().plan(mllm, edits)
    assert patch.changed == 32 * 4
    with patch.applied(mllm):
        after = weights(mllm)
    torch.testing.assert_close(after[3][:, 0] - before[3][:, 0], changes[0] + changes[1])
    torch.testing.assert_close(after[1][:, 4] - before[1][:, 4], changes[0])
    torch.testing.assert_close(after[5][:, 63] - before[5][:, 63], changes[1])


@pytest.mark.usefixtures("given")
def test_erased_columns_are_zero(mllm: MLLM, edits: list[Edit]) -> None:
    before, snapshot = weights(mllm), Snapshot(mllm)
    with make(mode="erase").plan(mllm, edits).applied(mllm):
        for layer, weight in weights(mllm).items():
            gone = [number for of, number in {*FOUND, (5, 63)} if of == layer]
            expected = before[layer].clone()
            expected[:, gone] = 0
            assert torch.equal(weight, expected)
    snapshot.assert_unchanged(mllm)


@pytest.mark.usefixtures("given")
@pytest.mark.parametrize(("mode", "factor"), [("suppress", 0.0), ("enhance", 2.0)])
def test_activations_are_suppressed_and_enhanced(
    mllm: MLLM, edits: list[Edit], mode: str, factor: float
) -> None:
    patch = make(mode=mode).plan(mllm, edits)
    assert isinstance(patch, ScaledNeurons)
    assert patch.factor == factor
    chosen = {name: of.tolist() for name, of in patch.chosen.items()}
    path = "language_model.model.decoder.layers"
    assert chosen == {f"{path}.1.fc2": [4, 9], f"{path}.3.fc2": [0], f"{path}.5.fc2": [63]}


@pytest.mark.parametrize("mode", ["edit", "erase", "suppress", "enhance"])
def test_with_no_neurons_nothing_is_changed(mllm: MLLM, edits: list[Edit], mode: str) -> None:
    queries = [edit.query for edit in edits]
    plain = mllm.score(queries)
    patch = make(mode=mode, threshold=1.0).plan(mllm, edits)
    assert patch.changed == 0
    with patch.applied(mllm) as model:
        pairs = zip(plain, model.score(queries), strict=True)
        assert all(torch.equal(one.logits, other.logits) for one, other in pairs)


def test_a_model_that_says_nothing_has_no_neurons_for_it(
    mllm: MLLM, edits: list[Edit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mllm, "generate", lambda queries, **_: ["" for _ in queries])
    assert make().plan(mllm, edits).changed == 0


def test_neurons_for_an_answer_matter_to_it(mllm: MLLM, edits: list[Edit]) -> None:
    """Scaled up, the model is surer of its old answer; taken away, it is less sure."""
    (edit,) = edits[:1]
    (old,) = mllm.generate([edit.query], max_new_tokens=1)
    query = Query(edit.image, edit.prompt, old)
    options: dict[str, Any] = {"threshold": 0.5, "forms": ("{prompt}",), "tokens": 1, "steps": 10}
    (token, *_) = mllm.score([query])[0].target_ids.tolist()
    sure = {}
    for mode in ("suppress", "enhance"):
        patch = make(mode=mode, **options)
        places = patch.neurons(mllm, edit, old)
        assert 0 < len(places) < 64
        by_module: dict[str, list[int]] = {}
        for layer, number in places:
            by_module.setdefault(mllm.mlp(layer).down.name, []).append(number)
        chosen = {name: torch.tensor(numbers) for name, numbers in by_module.items()}
        with ScaledNeurons(chosen, 0.0 if mode == "suppress" else 2.0).applied(mllm):
            sure[mode] = float(mllm.score([query])[0].target_logits[0].softmax(dim=-1)[token])
    plain = float(mllm.score([query])[0].target_logits[0].softmax(dim=-1)[token])
    assert sure["suppress"] < plain < sure["enhance"]


@pytest.mark.usefixtures("given")
def test_relative_weights_are_multiples_of_the_column(mllm: MLLM, edits: list[Edit]) -> None:
    before = weights(mllm)
    patch = make(relative=True, old_weight=1.0, new_weight=8.0).plan(mllm, edits[:1])
    old, new = (sum_of(mllm, text) for text in ("red", "two boats"))
    with patch.applied(mllm):
        after = weights(mllm)
    for layer, number in FOUND:
        column = before[layer][:, number]
        expected = column.norm() * (8 * new / new.norm() - old / old.norm())
        torch.testing.assert_close(after[layer][:, number] - column, expected)


def test_neurons_of_fact_after_fact_are_left_alone(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    train = [TrainEdit(edit) for edit in edits]
    told: list[int] = []
    editor = make(common=0.5, threshold=0.05)
    with pytest.raises(ValueError, match="fit"):
        editor.plan(mllm, edits[:1])
    editor.fit(mllm, train, train, work=tmp_path, advance=told.append)
    assert sum(told) == editor.steps(train) == 3
    answers = mllm.generate([edit.query for edit in edits], max_new_tokens=16)
    plain = [make(threshold=0.05).neurons(mllm, *pair) for pair in zip(edits, answers, strict=True)]
    shared = {place for one in plain for place in one if sum(place in other for other in plain) >= 2}
    assert 0 < len(shared) < len(set(plain[0]))
    again = make(common=0.5, threshold=0.05)
    write_state(tmp_path / "state", editor.fitted(), "fitted")
    again.restore(mllm, read_state(tmp_path / "state")[0])
    for one in (editor, again):
        found = [one.neurons(mllm, *pair) for pair in zip(edits, answers, strict=True)]
        assert found == [[place for place in places if place not in shared] for places in plain]


def test_a_longer_share_of_forms_keeps_fewer_neurons(mllm: MLLM, edits: list[Edit]) -> None:
    few, many = (set(make(share=share).neurons(mllm, edits[0], "red")) for share in (0.5, 0.0))
    assert few < many


def test_fitting_finds_the_share(mllm: MLLM, edits: list[Edit], tmp_path: Path) -> None:
    train = [TrainEdit(edit) for edit in edits]
    told: list[int] = []
    editor = make(share=None, sample=2)
    with pytest.raises(ValueError, match="fit"):
        editor.plan(mllm, edits[:1])
    editor.fit(mllm, train, train, work=tmp_path, advance=told.append)
    assert sum(told) == editor.steps(train) == 2
    share = editor.fitted().fields["share"]
    assert isinstance(share, float)
    again = make(share=None)
    again.restore(mllm, editor.fitted())
    assert again.neurons(mllm, edits[0], "red") == make(share=share).neurons(mllm, edits[0], "red")
    fixed = make(share=0.3)
    fixed.fit(mllm, train, train, work=tmp_path, advance=told.append)
    assert fixed.fitted().fields == {"share": 0.3, "common": ()}
    assert fixed.steps(train) == 0


@pytest.mark.parametrize("forms", [(), ("no place for a prompt",)])
def test_forms_have_a_place_for_the_prompt(forms: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="forms"):
        make(forms=forms)


def test_answers_are_embedded_as_they_are_scored(mllm: MLLM) -> None:
    for text in ("two boats", " two boats"):
        torch.testing.assert_close(embedded(mllm, text), sum_of(mllm, "two boats"))

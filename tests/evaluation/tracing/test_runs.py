from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import pytest
import torch
from torch import Tensor, nn

from editors.patches.weights import WeightPatch
from evaluation.tracing.runs import OUTPUTS, Output, Place, Runs, draw_noise, layers_around, trace
from evaluation.tracing.terms import KINDS, SITES, Kind, Site
from mmedit_build.mllm import MLLM, Query

Asked = tuple[Query, tuple[int, ...]]
MakeRuns = Callable[..., Runs]
NOISE: dict[Kind, float] = {"text": 0.4, "image": 4.0}
"""Three standard deviations of what is corrupted, about."""


@pytest.mark.parametrize("kind", KINDS)
def test_without_noise_every_restoration_gives_the_clean_probability(
    kind: Kind, asked: dict[Kind, Asked], make_runs: MakeRuns
) -> None:
    found = trace(make_runs(asked[kind], 0.0, samples=1), window=2)
    assert found.corrupted == pytest.approx(found.clean, abs=1e-6)
    for site in SITES:
        assert found.of[site].abs().max() < 1e-5
        assert found.together[site].abs().max() < 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_all_positions_of_any_layer_give_the_clean_probability(
    kind: Kind, asked: dict[Kind, Asked], make_runs: MakeRuns
) -> None:
    runs = make_runs(asked[kind], NOISE[kind])
    assert runs.p_clean - runs.p_corrupted.mean() > 0.2
    everything = runs.masks([range(runs.length)])
    for layer in range(runs.n_layers):
        restored = runs.restore_states(layer, everything)
        assert torch.allclose(restored, runs.p_clean.expand_as(restored), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_what_nothing_attends_to_restores_nothing(
    kind: Kind, asked: dict[Kind, Asked], make_runs: MakeRuns
) -> None:
    runs = make_runs(asked[kind], NOISE[kind])
    # The row ends with one token of the answer, behind the position that is read.
    after = runs.masks([[runs.length]])
    for layer in range(runs.n_layers):
        assert torch.allclose(runs.restore_states(layer, after)[0], runs.p_corrupted, atol=1e-6)
        for output in OUTPUTS:
            assert torch.allclose(
                runs.restore_outputs([(output, layer)], after)[0], runs.p_corrupted, atol=1e-6
            )


@pytest.mark.parametrize("kind", KINDS)
def test_all_outputs_at_the_last_position_give_the_clean_probability(
    kind: Kind, asked: dict[Kind, Asked], make_runs: MakeRuns
) -> None:
    """A state is its embedding plus all outputs at its position, and the last embedding is clean here."""
    runs = make_runs(asked[kind], NOISE[kind])
    last = runs.masks([[runs.length - 1]])
    places: list[Place] = [(output, layer) for output in OUTPUTS for layer in range(runs.n_layers)]
    restored = runs.restore_outputs(places, last)
    assert torch.allclose(restored, runs.p_clean.expand_as(restored), atol=1e-4)
    only_mlps = runs.restore_outputs([place for place in places if place[0] == "mlp"], last)
    assert (only_mlps - runs.p_clean).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_batches_give_what_a_plain_loop_gives(
    kind: Kind, mllm: MLLM, asked: dict[Kind, Asked], make_runs: MakeRuns
) -> None:
    found = trace(make_runs(asked[kind], NOISE[kind], samples=2), window=2)
    query, corrupted = asked[kind]
    noise = draw_noise(2, (len(corrupted), mllm.embed_tokens.embedding_dim), NOISE[kind], seed=7)
    plain = Plain(mllm, query, corrupted, noise)
    assert found.token == plain.token
    assert found.clean == pytest.approx(plain.clean, abs=1e-5)
    assert found.corrupted == pytest.approx(plain.corrupted, abs=1e-5)
    positions = [0, corrupted[0], corrupted[-1], plain.length - 2, plain.length - 1]
    for site in SITES:
        for layer in range(mllm.n_layers):
            layers = [layer] if site == "hidden" else list(layers_around(layer, 2, mllm.n_layers))
            for position in positions:
                effect = plain.restored(site, layers, [position]) - plain.corrupted
                assert float(found.of[site][layer, position]) == pytest.approx(effect, abs=1e-5)
            whole = plain.restored(site, layers, corrupted) - plain.corrupted
            assert float(found.together[site][layer]) == pytest.approx(whole, abs=1e-5)


class Plain:
    """Causal tracing as one would write it down: the language model of transformers, a run for each cell."""

    def __init__(self, mllm: MLLM, query: Query, corrupted: Sequence[int], noise: Tensor) -> None:
        self.language = mllm.model.get_submodule("language_model")
        self.mllm = mllm
        ids = torch.tensor(mllm.tokenizer(query.prompt)["input_ids"])
        embedded = mllm.embed_tokens(ids)
        if query.image is not None:
            embedded = torch.cat([mllm.image_features([query])[0], embedded])
        self.length = len(embedded)
        self.inputs = [embedded.clone() for _ in noise]
        for row, draw in zip(self.inputs, noise, strict=True):
            row[list(corrupted)] += draw
        self.seen: dict[tuple[Site, int], Tensor] = {}
        with ExitStack() as undo:
            for site in SITES:
                for layer in range(mllm.n_layers):
                    undo.callback(
                        self._module(site, layer).register_forward_hook(self._keep(site, layer)).remove
                    )
            clean = self._run(embedded)
        self.token = int(clean.argmax())
        self.clean = float(clean[self.token])
        self.corrupted = self._mean()

    def restored(self, site: Site, layers: Sequence[int], positions: Sequence[int]) -> float:
        with ExitStack() as undo:
            for layer in layers:
                hook = self._restore(self.seen[site, layer], positions)
                undo.callback(self._module(site, layer).register_forward_hook(hook).remove)
            return self._mean()

    def _mean(self) -> float:
        return sum(float(self._run(row)[self.token]) for row in self.inputs) / len(self.inputs)

    def _run(self, row: Tensor) -> Tensor:
        with torch.no_grad():
            logits: Tensor = self.language(inputs_embeds=row[None]).logits
        return logits[0, -1].softmax(dim=-1)

    def _module(self, site: Site, layer: int) -> nn.Module:
        decoder = self.mllm.layer(layer)
        names: dict[Site, str] = {"hidden": "", "mlp": "fc2", "attention": "self_attn.out_proj"}
        return decoder.get_submodule(names[site])

    def _keep(self, site: Site, layer: int) -> Callable[..., None]:
        def keep(module: nn.Module, inputs: object, output: Tensor) -> None:  # noqa: ARG001
            self.seen[site, layer] = output.reshape(-1, output.shape[-1])

        return keep

    @staticmethod
    def _restore(clean: Tensor, positions: Sequence[int]) -> Callable[..., Tensor]:
        def restore(module: nn.Module, inputs: object, output: Tensor) -> Tensor:  # noqa: ARG001
            changed = output.reshape(-1, output.shape[-1]).clone()
            changed[list(positions)] = clean[list(positions)]
            return changed.reshape(output.shape)

        return restore


def test_the_effect_is_where_the_answer_comes_through(
    mllm: MLLM, asked: dict[Kind, Asked], make_runs: MakeRuns
) -> None:
    """In a model whose layer 3 alone moves anything between positions, it is known beforehand."""
    names = [f"{mllm.attention(layer).name}.weight" for layer in range(mllm.n_layers) if layer != 3]
    silent = WeightPatch({name: -mllm.model.get_parameter(name).detach() for name in names})
    with silent.applied(mllm):
        found = trace(make_runs(asked["image"], NOISE["image"]), window=1)
    total = found.clean - found.corrupted
    assert abs(total) > 0.01
    number = len(asked["image"][1])
    last, words = found.of["hidden"][:, -1], found.of["hidden"][:, number:-1]
    before, after = torch.full((3,), total), torch.zeros(3)
    # Up to there the image has it, from there on the position that is read, and the words never.
    assert torch.allclose(found.together["hidden"], torch.cat([before, after]), atol=1e-5)
    assert torch.allclose(last, torch.cat([after, before]), atol=1e-5)
    assert words.abs().max() < 1e-5
    assert float(found.of["attention"][3, -1]) == pytest.approx(total, abs=1e-5)
    assert float(found.of["attention"][[0, 1, 2, 4, 5]].abs().max()) < 1e-5
    assert float(found.of["hidden"][:3, :number].abs().max()) > 1e-4


def test_only_what_follows_is_computed(mllm: MLLM, asked: dict[Kind, Asked], make_runs: MakeRuns) -> None:
    runs = make_runs(asked["image"], NOISE["image"], samples=2)
    cells = runs.masks([[0], [1], [2]])
    outputs: tuple[tuple[Output, int, int], ...] = (("mlp", 4, 2), ("attention", 5, 1))
    before = mllm.counts.layers
    runs.restore_states(4, cells)
    assert mllm.counts.layers - before == 6
    for output, layer, layers in outputs:
        before = mllm.counts.layers
        runs.restore_outputs([(output, layer)], cells)
        assert mllm.counts.layers - before == 6 * layers


def test_hooks_go_also_after_an_exception(
    mllm: MLLM,
    asked: dict[Kind, Asked],
    make_runs: MakeRuns,
    hooks: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs, before = make_runs(asked["text"], NOISE["text"]), hooks()

    def fail(*_: object) -> Tensor:
        raise ArithmeticError

    monkeypatch.setattr(torch, "where", fail)
    with pytest.raises(ArithmeticError):
        runs.restore_outputs([("mlp", 2), ("attention", 2)], runs.masks([[3]]))
    assert hooks() == before
    assert mllm.running is None


@pytest.mark.parametrize(
    ("layer", "width", "expected"),
    [
        (3, 1, [3]),
        (3, 2, [2, 3]),
        (3, 3, [2, 3, 4]),
        (0, 4, [0, 1]),
        (5, 4, [3, 4, 5]),
        (1, 10, [0, 1, 2, 3, 4, 5]),
    ],
)
def test_windows_are_cut_off_at_the_ends(layer: int, width: int, expected: list[int]) -> None:
    assert list(layers_around(layer, width, 6)) == expected


def test_noise_is_that_of_its_seed() -> None:
    noise = draw_noise(500, (4, 8), 3.0, 1)
    assert torch.equal(noise, draw_noise(500, (4, 8), 3.0, 1))
    assert not torch.equal(noise, draw_noise(500, (4, 8), 3.0, 2))
    assert float(noise.std()) == pytest.approx(3.0, rel=0.03)

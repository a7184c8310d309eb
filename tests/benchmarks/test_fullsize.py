"""The run of full size, on tiny shapes."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures.process import BrokenProcessPool
from types import SimpleNamespace

import pytest
import torch
from transformers import AutoModelForImageTextToText

from benchmarks.fullsize import command, shapes
from benchmarks.fullsize.budget import Sizes, _mend_parameters
from benchmarks.fullsize.building import make_family, make_model
from benchmarks.fullsize.running import RUNS, measure, options, published
from editors.mend import MENDNetwork
from tests.zoo.common import Member
from tests.zoo.members import MEMBERS

CPU = torch.device("cpu")
SMALL = {"blip-2 opt": "blip2-opt-2.7b", "llava": "llava-1.5-7b", "qwen2_5_vl": "qwen2.5-vl-7b"}
"""Tiny models of the kinds that are run in full size."""


def deep(name: str) -> Member:
    """A tiny model with as many layers as published options name."""
    member = MEMBERS[name]()
    text = member.config.get_text_config()
    text.num_hidden_layers = 9
    if getattr(text, "layer_types", None):
        text.layer_types = ["full_attention"] * 9
    return member


@pytest.mark.parametrize("name", MEMBERS)
def test_a_model_is_made_of_its_config_alone(name: str) -> None:
    member = MEMBERS[name]()
    if name == "instructblip":
        pytest.skip("has a second tokenizer")
    mllm = make_model(name, member, torch.float32, CPU)
    plain = AutoModelForImageTextToText.from_config(member.config)
    assert {key: one.shape for key, one in mllm.model.state_dict().items()} == {
        key: one.shape for key, one in plain.state_dict().items()
    }
    for key, buffer in plain.named_buffers():
        assert torch.equal(mllm.model.get_buffer(key), buffer)
    tied = [mllm.model.get_output_embeddings().weight is mllm.embed_tokens.weight]
    assert tied == [plain.get_output_embeddings().weight is plain.get_input_embeddings().weight]
    assert all(one.device == CPU and not one.requires_grad for one in mllm.model.parameters())


def test_a_family_of_shapes_takes_no_memory() -> None:
    for make in shapes.MODELS.values():
        family = make_family(make(), torch.bfloat16)
        assert all(one.device.type == "meta" for one in family.model.parameters())


@pytest.mark.parametrize(
    ("name", "gigabytes", "layers", "row"),
    [("blip2-opt-2.7b", 7.5, 32, 32), ("llava-1.5-7b", 14.1, 32, 576), ("qwen2.5-vl-7b", 16.6, 28, 391)],
)
def test_shapes_are_the_real_ones(name: str, gigabytes: float, layers: int, row: int) -> None:
    sizes = Sizes(shapes.MODELS[name](), torch.bfloat16)
    assert abs(sizes.weights / 1e9 - gigabytes) < 0.06
    assert (sizes.mllm.n_layers, sizes.row - 40) == (layers, row)
    budgets = {what: sizes.budget(what, published(shapes.MODELS[name](), what), CPU) for what in RUNS}
    assert all(budget.parts["weights"] == sizes.weights for budget in budgets.values())
    assert budgets["memit"].whole > budgets["rome"].whole > budgets["ft"].whole > budgets["ike"].whole
    on_gpu = sizes.budget("memit", published(shapes.MODELS[name](), "memit"), torch.device("cuda"))
    assert on_gpu.whole < budgets["memit"].whole


@pytest.mark.parametrize("name", SMALL)
def test_published_options_are_taken_but_for_counts(name: str) -> None:
    member, real = MEMBERS[name](), shapes.MODELS[SMALL[name]]()
    assert published(member, "mend") == published(real, "mend") != {}
    found = options(real, "mend")
    assert (found["rank"], found["steps"]) == (1920, 2)


def test_what_the_network_of_mend_holds_is_counted() -> None:
    few = {"a": (6, 4), "b": (6, 4), "c": (4, 6)}
    for rank in (3, 100):
        network = MENDNetwork(few, rank, 1e-4)
        assert _mend_parameters(few, rank) == sum(one.numel() for one in network.parameters())


@pytest.mark.parametrize("what", RUNS)
@pytest.mark.parametrize("name", SMALL)
def test_all_runs_on_tiny_shapes(name: str, what: str) -> None:
    found = measure(name, deep(name), what, CPU, torch.bfloat16)
    phases = {"check": ["check"], "mine": ["mine"]}.get(what, ["plan"])
    assert set(phases) <= set(found.seconds) == set(found.bytes)
    assert all(seconds > 0 for seconds in found.seconds.values())
    stepping = {"ft", "ft-vision", "calinet", "rome", "memit", "mend"}
    assert what not in stepping or found.step is not None


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[str]]:
    monkeypatch.setattr(command, "MODELS", {"tiny": lambda: deep("llava")})

    def lines(methods: list[str], room: float | None) -> list[str]:
        return list(command.table("tiny", methods, CPU, torch.float32, room))

    return lines


def test_what_would_not_fit_is_not_run(tiny: Callable[..., list[str]]) -> None:
    head, *_, row = tiny(["rome"], 1e-6)
    assert "rows of 56 positions" in head
    assert row.startswith("| rome | 0.0 | not run |")


def test_a_process_that_is_killed_is_told(
    tiny: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise BrokenProcessPool

    monkeypatch.setattr(command, "_apart", killed)
    assert "| killed |" in tiny(["ft"], None)[-1]


def test_a_table_has_a_line_for_each_run(
    tiny: Callable[..., list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    # In this process, as another would not know the tiny model.
    monkeypatch.setattr(command, "_apart", command._measured)
    _, columns, _, *rows = tiny(["mine", "mend"], None)
    assert [row.split(" | ")[0] for row in rows] == ["| mine", "| mend"]
    assert {row.count("|") for row in rows} == {columns.count("|")}
    cells = [cell.strip() for cell in rows[1].split("|")[1:-1]]
    assert all(float(cell) >= 0 for cell in cells[1:8])


def test_a_run_has_a_process_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "measure", SimpleNamespace())
    with pytest.raises(KeyError, match="nothing"):
        command._apart("nothing", "mine", CPU, torch.float32)

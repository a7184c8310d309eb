from __future__ import annotations

import json
from pathlib import Path
from typing import cast

import pytest
import torch
from typer.testing import CliRunner

import benchmarks.speed.command
from benchmarks.speed.command import Measured, app, cost_table, evaluation_table, training_table
from benchmarks.speed.floor import operations, rate
from benchmarks.speed.mining import chosen, compare_mining, load_plain, table_of
from benchmarks.speed.models import LONG, MINIATURE, Setting, Shape, make_editor, write_model
from benchmarks.speed.modes import compare, footprint_of
from benchmarks.speed.training import compare_training
from editors.ike import IKE
from mmedit_build.checkpoints import locate
from mmedit_build.mllm import MLLM
from mmedit_build.sources.vqav2 import VqaQuestion

TINY = Shape(layers=4, width=32, vision_layers=1, side=28, query_tokens=3)


@pytest.fixture
def setting(dataset: Path, tmp_path: Path) -> Setting:
    """A tiny model of random weights, with two edits to judge and four to learn from."""
    return Setting.load(write_model(tmp_path / "tiny", TINY), str(dataset), edits=2, train=4)


@pytest.mark.parametrize("method", ["mend", "ft"])
def test_both_modes_give_the_same_scores_for_the_passes_they_should_take(
    method: str, setting: Setting
) -> None:
    found = compare(method, setting, repeats=1, memory=False)
    assert found.legacy_equal
    assert found.answers_equal
    assert found.apart < 1e-4
    assert (found.edits, found.probes) == (2, 12)
    # Two pictures of an edit, and one of a locality item; the plain mode asks about each twice, with every
    # score and every answer, and looks at the edit's own picture while it plans.
    assert (found.unedited.vision, found.reusing.vision) == (3, 0)
    steps = 15 if method == "ft" else 1
    assert found.plain.vision == 2 * 2 * 5 + steps
    assert found.reusing.layers < found.plain.layers / 1.9
    assert found.ratios == (found.plain.seconds / found.reusing.seconds,)
    assert 0 < found.reached < 1


def test_training_steps_are_the_same_and_skip_what_does_not_change(setting: Setting) -> None:
    found = compare_training(setting, steps=2, batch=2)
    assert found.loss_apart < 1e-5
    assert found.gradients_apart < 1e-3
    # The edit, two rephrases, and two locality queries before and after; one of these has no picture.
    assert (found.plain.vision, found.plain.layers) == (5, 7 * TINY.layers)
    # The three edited layers for four queries; the edit's own gradient is known.
    assert (found.reusing.vision, found.reusing.layers) == (0, 4 * 3)
    assert len(found.ratios) == found.steps == 2


def test_memory_is_that_of_a_process_that_only_judges(setting: Setting) -> None:
    memory = footprint_of("ft", setting, None, plain=False)
    assert 2**26 < memory.model <= memory.peak
    assert memory.ratio < 1.3
    # The queries of both edits at the last layer, with keys and values below it, and three pictures each.
    assert 2**14 < memory.cache < 2**22


def test_the_command_tells_and_keeps_what_it_measured(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = Measured(
        "miniature", [compare("ft", setting, 1, memory=False)], compare_training(setting, steps=1, batch=2)
    )
    monkeypatch.setattr(benchmarks.speed.command, "measure", lambda *_: measured)
    done = CliRunner().invoke(app, ["--model", "miniature", "--json", str(tmp_path / "speed.json")])
    assert done.exit_code == 0, done.output
    (kept,) = json.loads((tmp_path / "speed.json").read_text())
    assert kept["model"] == "miniature"
    assert kept["methods"][0]["legacy_equal"] is True
    assert kept["training"]["reusing"]["layers"] == measured.training.reusing.layers
    for table in (evaluation_table(measured), cost_table(measured), training_table(measured)):
        assert table.row_count


def test_both_ways_of_mining_give_the_same_answers(setting: Setting) -> None:
    asked = [
        VqaQuestion(number, case.image, f"what is {word}?", "what", (), number, "val2014")
        for number, case in enumerate(setting.cases)
        for word in ("it", "there", "red")
        if isinstance(case.image, Path)
    ]
    assert len(chosen(asked, 9, 2)) == 4
    plain = load_plain(setting.model, asked)
    found = compare_mining(plain, "tiny", 3, batch=4, tokens=3, repeats=1)
    assert (found.questions, found.equal, found.vision) == (6, 6, 2 / 6)
    assert 1 < found.plain_flops / found.flops < 6
    assert table_of([found]).row_count == 1


def test_operations_are_counted_and_a_rate_is_measured(setting: Setting) -> None:
    x = torch.randn(1, 2, 5, 8)
    both = operations(lambda: torch.nn.functional.scaled_dot_product_attention(x, x, x))
    assert both == 2 * 2 * 2 * 5 * 5 * 8
    assert operations(lambda: x @ x.mT) == both // 2
    assert rate(setting.mllm()) > 10**6


def test_demonstrations_of_the_paper_fit_into_the_long_model() -> None:
    editor = make_editor("ike, 32", None, cast("MLLM", None))
    assert isinstance(editor, IKE)
    assert editor.config.number == 32
    assert LONG.positions > 32 * 40


def test_the_default_shape_is_the_one_that_is_published() -> None:
    assert (Shape().layers, Shape().width, (Shape().side // Shape().patch) ** 2 + 1) == (24, 256, 257)
    assert Path(locate(MINIATURE)).is_dir()

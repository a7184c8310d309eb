"""What evaluations leave on disk: results, traces, outputs of the unedited model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from editors.base import State
from editors.saving import load_patch, read_state, write_state
from evaluation.protocols.output import Output
from evaluation.report.page import write_page
from evaluation.report.runs import find_runs
from evaluation.report.tables import write_tables
from evaluation.results.records import HEADER, LINES, ResultFolder
from evaluation.results.verdicts import FILE, Verdict, verdict_lines
from evaluation.run.base_outputs import BaseOutputs
from evaluation.run.packed_outputs import pack
from evaluation.tracing.records import SETTINGS, Settings, Traced, add, begin, find_traces
from tests.evaluation.report.conftest import Plan, _run
from tests.fuzz.conftest import Fuzz
from tests.fuzz.damage import damage_one, on_file
from tests.fuzz.engine import Case, LeakError, Reader
from tests.fuzz.trees import damage_json, damage_lines, edited_lines

FOLDER = "vqa/good"


def report(folder: Path) -> None:
    """As `mmedit-eval report` does."""
    folders = [folder / "out"]
    runs = find_runs(folders)
    for run in (run for of_task in runs.values() for run in of_task):
        if len({one.id for one in run.results}) < len(run.results):
            raise LeakError("an edit counts more than once")
    write_tables(runs, folder / "report")
    write_page(runs, folder / "report", None, find_traces(folders))


def _write(folder: Path) -> None:
    plan = Plan(ids=("a", "b", "c"))
    for name in ("unedited", "good"):
        run = _run(name, "vqa", plan)
        results = ResultFolder(folder / "out" / "vqa" / name)
        results.write_header(run.header)
        for one in run.results:
            results.add(one)


def test_results(tmp_path: Path, fuzz_one: Fuzz) -> None:
    _write(tmp_path / "seed")
    header, lines = f"out/{FOLDER}/{HEADER}", f"out/{FOLDER}/{LINES}"
    picked = [*on_file(header), *on_file(lines)]
    five = edited_lines(lines, lambda rows: rows.extend([rows[0]] * 4))
    picked.append(Case("a line stands five times", five))
    for value in (7, -1, float("nan"), float("inf"), 10**400, None, "x"):
        picked.append(
            Case(f"a score is {value!r:.20}", edited_lines(lines, _score("exact_match", value)), "refused")
        )
    picked.append(Case("an unknown score", edited_lines(lines, _score("accuracy", 1.0)), "refused"))

    def draw(rng: Any, folder: Path) -> str:
        return damage_json(folder, [header], rng) if rng.random() < 0.3 else damage_lines(folder, lines, rng)

    fuzz_one(Reader(tmp_path / "seed", report, picked, draw))


def test_verdicts(tmp_path: Path, fuzz_one: Fuzz) -> None:
    _write(tmp_path / "seed")
    lines = f"out/{FOLDER}/{FILE}"
    for answer in ("made-up target", "made-up mistake"):
        verdict = Verdict(
            judge="sage",
            prompt="grade#1",
            question="Q: What is reliability? A:",
            target="made-up target",
            answer=answer,
            raw="right",
            right=True,
        )
        verdict_lines(tmp_path / "seed" / "out" / FOLDER).add(verdict)
    changes: dict[str, Callable[[Any], object]] = {
        "a verdict is a number": lambda one: one.update(right=7),
        "there is no judge": lambda one: one.pop("judge"),
    }
    picked = [Case(what, _first(lines, change), "refused") for what, change in changes.items()]

    def draw(rng: Any, folder: Path) -> str:
        return damage_lines(folder, lines, rng)

    fuzz_one(Reader(tmp_path / "seed", report, [*on_file(lines), *picked], draw))


def _score(metric: str, value: Any) -> Callable[[list[Any]], None]:
    def edit(rows: list[Any]) -> None:
        rows[0]["probes"][0]["scores"]["legacy"][metric] = value

    return edit


def test_traces(tmp_path: Path, fuzz_one: Fuzz) -> None:
    _write(tmp_path / "seed")
    folder = tmp_path / "seed" / "out" / "trace"
    begin(folder, _settings())
    for number in range(3):
        add(folder, _traced(number))
    names = [f"out/trace/{SETTINGS}"]
    lines = f"out/trace/{_traced(0).kind}.jsonl"
    changes: dict[str, Callable[[Any], object]] = {
        "a layer stands twice": lambda one: one["effects"]["mlp"].append(one["effects"]["mlp"][0]),
        "a position is missing": lambda one: one["effects"]["mlp"][0].pop(),
        "a role is missing": lambda one: one["roles"].pop(),
        "there are no effects": lambda one: one["effects"].clear(),
        "an effect is no number": lambda one: one.update(clean=float("nan")),
    }
    picked = [Case(what, _first(lines, change), "refused") for what, change in changes.items()]

    def draw(rng: Any, folder: Path) -> str:
        return damage_json(folder, names, rng) if rng.random() < 0.3 else damage_lines(folder, lines, rng)

    fuzz_one(Reader(tmp_path / "seed", report, [*on_file(names[0]), *on_file(lines), *picked], draw))


def _first(lines: str, change: Callable[[Any], object]) -> Callable[[Path], None]:
    return edited_lines(lines, lambda rows: change(rows[0]))


def _settings() -> Settings:
    return Settings(
        model="m",
        model_digest="1",
        dataset="d",
        dataset_digest="2",
        layers=2,
        window=1,
        noise=3.0,
        samples=2,
        seed=0,
        guess="last",
        subjects={},
    )


def _traced(number: int) -> Traced:
    rows = ((0.1, 0.2), (0.3, 0.4))
    return Traced(
        id=f"nq/{number}",
        kind="text",
        group=f"{number}",
        prompt="who wrote it",
        answer="Ada",
        token="A",
        subject="it",
        tokens=("who", "it"),
        roles=("before", "last"),
        deviation=0.1,
        clean=0.9,
        corrupted=0.1,
        effects={"hidden": rows, "mlp": rows, "attention": rows},
        together={"hidden": (0.1, 0.2), "mlp": (0.1, 0.2), "attention": (0.1, 0.2)},
    )


def test_outputs_of_the_unedited_model(tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    numbers = np.zeros(2, np.float32)
    top = np.zeros((2, 10), np.int32)
    one = Output(
        target=np.zeros(2, np.int64),
        predicted=np.zeros(2, np.int64),
        log_probs=numbers,
        top=top,
        events=None,
        spread=None,
        text="x",
        written=1,
    )
    arrays: Any = pack({"a": one, "b": one})
    np.savez(seed / "x.npz", **arrays)

    def read(folder: Path) -> None:
        BaseOutputs.open(folder)

    fuzz_one(Reader(seed, read, on_file("x.npz"), lambda rng, folder: damage_one(folder, ["x.npz"], rng)))


def test_fits_and_patches(tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed = tmp_path / "seed"
    seed.mkdir()
    state = State({"a": torch.ones(3)}, {"seconds": 1.0})
    write_state(seed / "x.safetensors", state, "editors.patches.weights:WeightPatch")

    def read(folder: Path) -> None:
        read_state(folder / "x.safetensors")
        load_patch(folder / "x.safetensors")

    names = ["x.safetensors"]
    fuzz_one(
        Reader(seed, read, on_file(names[0], "refused"), lambda rng, folder: damage_one(folder, names, rng))
    )

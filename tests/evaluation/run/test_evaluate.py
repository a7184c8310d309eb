from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from editors import EDITORS, load_editor
from editors.keys import model_key
from editors.saving import read_state
from evaluation.data.dataset import load_cases
from evaluation.results.records import HEADER, LINES, CaseResult, read_results
from evaluation.run import evaluate as whole
from evaluation.run.bench import Bench
from evaluation.run.evaluate import LOG
from evaluation.run.experiment import Experiment, Method
from evaluation.run.loading import THREADS, load_editors, load_model
from evaluation.run.peak import peak, reset_peak
from mmedit_build.console import Advance
from mmedit_build.errors import UserError
from mmedit_build.mllm import Query
from tests.evaluation.whole import evaluate

TOLD: list[tuple[str, int]] = []


@contextmanager
def progress(label: str, total: int | None) -> Iterator[Advance]:  # noqa: ARG001
    def advance(number: int, note: str = "") -> None:  # noqa: ARG001
        TOLD.append((label, number))

    yield advance


@pytest.fixture
def experiment(dataset: Path, tmp_path: Path) -> Experiment:
    return Experiment(
        methods={"oracle": Method(), "ft": Method(options={"steps": 3})},
        dataset=str(dataset),
        device="cpu",
        out=tmp_path / "out",
        cache=tmp_path / "cache",
        holdout=0.4,
    )


def timeless(results: list[CaseResult]) -> list[CaseResult]:
    return [replace(result, plan_seconds=0.0, probe_seconds=0.0) for result in results]


def change(experiment: Experiment, **changes: Any) -> Experiment:
    return experiment.model_copy(update=changes)


def test_the_evaluation_tells_a_perfect_editor_and_none_apart(experiment: Experiment) -> None:
    folders = evaluate(change(experiment, methods={"oracle": Method()}), progress)
    assert [str(folder.relative_to(experiment.out)) for folder in folders] == [
        *("vqa/unedited", "vqa/oracle", "caption/unedited", "caption/oracle"),
    ]
    for folder in folders:
        header, results = read_results(folder)
        assert header.finished
        assert (header.scored, header.skipped) == (len(results), {})
        probes = [probe for result in results for probe in result.probes]
        for probe in probes:
            shares = [
                score
                for of in probe.scores.values()
                for name, score in of.items()
                if name not in ("kl", "right")
            ]
            if probe.relation is not None or folder.name == "oracle":
                assert shares == [1.0] * len(shares), (folder, probe)
            if probe.kind == "reliability" and folder.name == "unedited":
                assert probe.scores["legacy"]["exact_match"] == probe.scores["wild"]["match"] == 0.0


def test_a_run_that_was_cut_off_ends_the_same(experiment: Experiment) -> None:
    experiment = change(experiment, task="vqa")
    _, oracle, tuned = evaluate(experiment, progress)
    whole = timeless(read_results(tuned)[1])
    path = tuned / LINES
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:-20])
    TOLD.clear()
    before = (oracle / LINES).read_bytes()
    evaluate(experiment, progress)
    header, results = read_results(tuned)
    assert timeless(results) == whole
    assert (header.finished, header.edits, header.scored) == (True, 4, 4)
    assert (oracle / LINES).read_bytes() == before
    # One edit was there, and the others are judged again.
    assert [number for label, number in TOLD if label == "vqa: ft"] == [1, 1, 1, 1]


def test_a_finished_run_loads_nothing_anew_and_changes_nothing(experiment: Experiment) -> None:
    folders = evaluate(change(experiment, task="caption"), progress)
    before = [(folder / name).read_bytes() for folder in folders for name in (LINES, "run.json")]
    TOLD.clear()
    evaluate(change(experiment, task="caption"), progress)
    assert [(folder / name).read_bytes() for folder in folders for name in (LINES, "run.json")] == before
    assert TOLD == []


def test_more_edits_are_added_to_those_that_are_there(experiment: Experiment) -> None:
    some = change(experiment, task="vqa", methods={"ft": Method(options={"steps": 3})})
    folders = evaluate(change(some, limit=2), progress)
    first = [read_results(folder)[1] for folder in folders]
    evaluate(some, progress)
    for folder, known in zip(folders, first, strict=True):
        header, results = read_results(folder)
        assert results[: len(known)] == known
        assert (len(known), len(results), header.edits) == (2, 4, 4)


def test_another_configuration_is_refused(experiment: Experiment) -> None:
    some = change(experiment, task="vqa", limit=1)
    evaluate(change(some, methods={"ft": Method(options={"steps": 1})}), progress)
    there = {path: path.read_bytes() for path in some.out.rglob("*") if path.is_file()}
    with pytest.raises(UserError, match=r"config\.steps was 1 and is now 2.*--out"):
        evaluate(change(some, methods={"ft": Method(options={"steps": 2})}), progress)
    # Nor does the log tell of work that was not done.
    assert {path: path.read_bytes() for path in some.out.rglob("*") if path.is_file()} == there


def test_a_method_that_cannot_run_keeps_no_other_from_it(experiment: Experiment, tmp_path: Path) -> None:
    nowhere = {"encoder": str(tmp_path / "nowhere")}
    methods = {"ike": Method(options=nowhere), "oracle": Method()}
    settled = whole.evaluate(change(experiment, methods=methods, limit=1), progress)
    assert [str(folder.relative_to(experiment.out)) for folder in settled.done] == [
        *("vqa/unedited", "vqa/oracle", "caption/unedited", "caption/oracle"),
    ]
    told = r"All is done but ike for vqa: .*nowhere.*ike for caption: 2 edits"
    assert re.search(told, str(settled.failed))
    methods["ke"] = Method(options={"steps": 1, "validate_every": 1})
    learned = whole.fit(change(experiment, methods=methods, task="vqa"), progress)
    assert [fitted.path.name.partition("-")[0] for fitted in learned.done] == ["ke"]
    assert learned.failed is not None


def test_a_run_that_goes_on_is_not_finished_meanwhile(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    some = change(experiment, task="vqa", methods={"oracle": Method()})
    _, folder = evaluate(change(some, limit=1), progress)

    def cut_off(*_: object) -> Iterator[CaseResult]:
        raise KeyboardInterrupt

    monkeypatch.setattr("evaluation.run.bench.run", cut_off)
    with pytest.raises(KeyboardInterrupt):
        evaluate(some, progress)
    assert not read_results(folder)[0].finished


def test_edits_whose_image_is_missing_are_skipped_and_all_missing_are_refused(
    experiment: Experiment, dataset: Path, tmp_path: Path
) -> None:
    place = tmp_path / "copy"
    shutil.copytree(dataset, place)
    some = change(experiment, dataset=str(place), task="vqa", methods={"oracle": Method()})
    first, *others = load_cases(str(place), "vqa")
    assert isinstance(first.image, Path)
    first.image.unlink()
    for folder in evaluate(some, progress):
        header, results = read_results(folder)
        told = f"Cannot read the image file {first.image} (No such file or directory): check the path."
        assert header.skipped == {told: 1}
        assert [result.id for result in results if result.scored] == [case.id for case in others]
    told = f" WARNING oracle: {first.id} skipped: Cannot read the image file"
    assert told in (some.out / LOG).read_text()
    for case in others:
        Path(str(case.image)).unlink(missing_ok=True)
    with pytest.raises(UserError, match=r"None of the images that .*copy names is there.*--images"):
        evaluate(change(some, out=tmp_path / "other"), progress)


def test_mistakes_are_told_before_any_work(experiment: Experiment) -> None:
    for methods, told in (
        ({"mine": Method(editor="fit")}, "no editor 'fit'"),
        ({"ft": Method(options={"step": 1})}, "no option 'step'"),
    ):
        with pytest.raises(UserError, match=told):
            evaluate(change(experiment, methods=methods), progress)
    with pytest.raises(UserError, match="did you mean 'miniature/mllm'"):
        evaluate(change(experiment, model="miniature/mlm"), progress)
    assert not experiment.out.exists()
    assert not experiment.cache.exists()


def test_what_an_editor_learned_is_kept(experiment: Experiment) -> None:
    methods = {"ike": Method(options={"encoder": "base", "copies": 1, "updates": 1, "retains": 1})}
    learned = whole.fit(change(experiment, methods=methods, task="vqa"), progress).done
    assert [one.cached for one in learned] == [False]
    assert learned[0].path.is_relative_to(experiment.cache)
    experiment = change(experiment, methods=methods, task="vqa")
    assert [one.cached for one in whole.fit(experiment, progress).done] == [True]
    _, folder = evaluate(change(experiment, limit=2), progress)
    header, results = read_results(folder)
    assert header.fit_seconds == pytest.approx(learned[0].seconds)
    assert all(result.scored for result in results)
    assert whole.fit(change(experiment, methods={"ft": Method()}), progress).done == []


def test_the_seed_is_that_of_every_editor_that_draws_unless_its_options_name_one(
    experiment: Experiment,
) -> None:
    methods = {"ft": Method(), "mine": Method(editor="rome", options={"seed": 5}), "mend": Method()}
    found = load_editors(change(experiment, methods=methods, seed=3))
    seeds = {name: editor.config.model_dump().get("seed") for name, editor in found.items()}
    assert seeds == {"ft": None, "mine": 5, "mend": 3}
    # Nobody who gave no seed gets other numbers, or learns anew: it is that of the editors' defaults.
    for name in EDITORS:
        (editor,) = load_editors(change(experiment, methods={name: Method()})).values()
        assert editor.config == load_editor(name).config


def test_another_seed_is_learned_and_judged_anew(experiment: Experiment) -> None:
    drawing = {"t-patcher": Method(options={"steps": 5, "memory": 40})}
    some = change(experiment, methods=drawing | {"ft": Method(options={"steps": 1})}, task="vqa", limit=1)
    for seed in (0, 1, 0):
        evaluate(change(some, seed=seed, out=some.out / str(seed)), progress)
    runs = [read_results(some.out / seed / "vqa" / "t-patcher") for seed in ("0", "1")]
    assert [header.settings.config["seed"] for header, _ in runs] == [0, 1]
    assert runs[0][0].fit != runs[1][0].fit
    assert runs[0][1][0].probes != runs[1][1][0].probes
    tuned = [read_results(some.out / seed / "vqa" / "ft")[1][0].probes for seed in ("0", "1")]
    assert tuned[0] == tuned[1]
    with pytest.raises(UserError, match=r"seed was 0 and is now 1"):
        evaluate(change(some, seed=1, out=some.out / "0"), progress)


def test_editors_learn_from_the_train_split_alone_also_where_another_is_judged(
    experiment: Experiment,
) -> None:
    methods = {"ike": Method(options={"encoder": "base", "copies": 1, "updates": 0, "retains": 0})}
    some = change(experiment, methods=methods, task="vqa", split="test")
    [learned] = whole.fit(some, progress).done
    shown = read_state(learned.path)[0].fields["ids"]
    bench = Bench(some, load_model(some), "vqa", load_cases(some.dataset, "vqa", "test"), progress)
    train, validation = ([one.edit.id for one in part] for part in bench.train)
    assert shown == train
    assert train
    assert validation
    assert all(name.startswith("vqa/train/") for name in (*train, *validation))
    known = {case.id: case.image_id for case in load_cases(some.dataset, "vqa", "train")}
    assert known.keys() == {*train, *validation}
    assert not {known[name] for name in train} & {known[name] for name in validation}


def test_results_of_what_was_learned_otherwise_are_not_added_to(experiment: Experiment) -> None:
    methods = {"ike": Method(options={"encoder": "base", "copies": 1, "updates": 1, "retains": 1})}
    some = change(experiment, methods=methods, task="vqa", holdout=0.4)
    [_, folder] = evaluate(change(some, limit=2), progress)
    before = [(folder / name).read_bytes() for name in (LINES, HEADER)]
    with pytest.raises(UserError, match=r"learned from other train edits.*--out"):
        evaluate(change(some, holdout=0.8), progress)
    assert [(folder / name).read_bytes() for name in (LINES, HEADER)] == before
    [_, folder] = evaluate(some, progress)
    assert len(read_results(folder)[1]) == 4


def test_the_peak_is_that_of_what_was_done_since() -> None:
    devices = [torch.device("cpu")]
    reset_peak(devices)
    before, of = peak(devices)
    # More than what was freed before may have left for it.
    held = [torch.zeros(30_000_000).add_(1) for _ in range(5)]
    assert len(held) == 5
    assert of == "process"
    assert peak(devices)[0] - before > 80_000_000


def test_raw_prompts_begin_with_nothing_and_are_another_model_to_what_is_kept(experiment: Experiment) -> None:
    raw, family = (load_model(change(experiment, prompts=prompts)) for prompts in ("raw", "family"))
    (without,), (whole,) = (model.rows([Query(None, "a cat")]) for model in (raw, family))
    assert without.ids == whole.ids[1:]
    assert model_key(raw) != model_key(family)


def test_a_header_tells_how_the_model_was_set_up(experiment: Experiment) -> None:
    some = change(
        experiment,
        methods={},
        task="vqa",
        limit=1,
        template="{image}Q: {prompt}",
        image_processor={"image_mean": [0.1, 0.2, 0.3]},
    )
    (folder,) = evaluate(some, progress)
    header, _ = read_results(folder)
    assert (header.dtype, header.settings.template) == ("float32", "{image}Q: {prompt}")
    assert header.settings.model_digest not in {
        model_key(load_model(change(some, template=None))),
        model_key(load_model(change(some, image_processor={}))),
    }
    with pytest.raises(UserError, match="other settings: model_digest"):
        evaluate(change(some, template="checkpoint"), progress)


@pytest.mark.parametrize(("wished", "threads"), [(None, 1), ("2", 2)])
def test_a_small_model_runs_on_one_thread_unless_the_user_wants_more(
    wished: str | None, threads: int, experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(THREADS, raising=False)
    if wished is not None:
        monkeypatch.setenv(THREADS, wished)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        load_model(experiment)
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_each_seed_has_a_folder_of_its_own_and_is_the_run_of_that_seed(experiment: Experiment) -> None:
    one = change(experiment, task="vqa", limit=2, methods={"lora": Method(options={"steps": 2})})
    evaluate(change(one, seed=1, out=experiment.out / "alone"), progress)
    TOLD.clear()
    folders = evaluate(change(one, seeds=(0, 1)), progress)
    assert [str(folder.relative_to(experiment.out)) for folder in folders] == [
        *("seed-0/vqa/unedited", "seed-0/vqa/lora", "seed-1/vqa/unedited", "seed-1/vqa/lora"),
    ]
    alone = read_results(experiment.out / "alone" / "vqa" / "lora")
    header, results = read_results(folders[-1])
    assert header.settings == alone[0].settings
    assert timeless(results) == timeless(alone[1])
    assert timeless(results) != timeless(read_results(folders[1])[1])
    assert {label for label, _ in TOLD} >= {"seed 0, vqa: lora", "seed 1, vqa: lora"}
    # What one folder lacks is done, and nothing else.
    shutil.rmtree(folders[1])
    TOLD.clear()
    evaluate(change(one, seeds=(0, 1)), progress)
    assert {label for label, _ in TOLD} == {"seed 0, vqa: asking the unedited model", "seed 0, vqa: lora"}

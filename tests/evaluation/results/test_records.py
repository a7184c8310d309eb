from __future__ import annotations

import json
import multiprocessing
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.results.records import (
    HEADER,
    LINES,
    CaseResult,
    ProbeResult,
    ResultFolder,
    RunResult,
    Settings,
    read_results,
)
from evaluation.results.summary import count_skipped
from mmedit_build.errors import UserError

SETTINGS = Settings(
    method="ft",
    config={"lr": 0.1, "part": {"name": "mlp", "layers": [1, 2]}},
    model="m",
    model_digest="1",
    dataset="d",
    dataset_digest="2",
    task="vqa",
    split="test",
    protocols=("legacy", "wild"),
    prompts="family",
    seed=0,
)
HEAD = RunResult(settings=SETTINGS, versions={"torch": "2"}, device="cpu")
PROBE = ProbeResult(
    kind="image_locality",
    item="okvqa/1",
    relation="far",
    prompt="Question: what?\u2028 Short answer:",
    target="digging",
    before="digging",
    after="",
    log_prob_before=-0.1234567890123,
    log_prob_after=-12.5,
    target_tokens=2,
    written_tokens=0,
    scores={"legacy": {"top1": 0.5, "top10": 1 / 3}, "wild": {"kl": 1e-9}},
)


def result(name: str, **changes: Any) -> CaseResult:
    whole = CaseResult(
        id=name,
        task="vqa",
        image_id="7",
        question="How many?",
        question_type="count",
        target="2",
        probes=(PROBE,),
        plan_seconds=0.25,
        probe_seconds=1.5,
        changed=12,
    )
    return replace(whole, **changes)


def test_results_come_back_as_they_were(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    assert folder.begin(HEAD) == (HEAD, [])
    results = [result("a"), result("b", skipped="broken\nimage", probes=())]
    for one in results:
        folder.add(one)
    assert read_results(tmp_path) == (HEAD, results)
    assert [one.scored for one in results] == [True, False]
    assert count_skipped(results) == {"broken\nimage": 1}


def test_lines_that_were_written_before_there_was_portability_are_read(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin(HEAD)
    folder.add(result("a"))
    path = tmp_path / LINES
    line = json.loads(path.read_text())
    for probe in line["probes"]:
        del probe["known"]
    path.write_text(json.dumps(line) + "\n")
    assert read_results(tmp_path)[1] == [result("a")]


def test_what_was_known_comes_back(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin(HEAD)
    hop = replace(PROBE, kind="portability", relation="2-hop", scores={"wild": {"match": 1.0}})
    probes = tuple(replace(hop, known=known) for known in (True, False, None))
    folder.add(result("a", probes=probes))
    assert read_results(tmp_path)[1] == [result("a", probes=probes)]


def test_a_run_goes_on_after_the_last_whole_line(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin(HEAD)
    for name in "abc":
        folder.add(result(name))
    path = tmp_path / LINES
    data = path.read_bytes()
    for torn in range(1, 40):
        path.write_bytes(data[:-torn])
        _, known = ResultFolder(tmp_path).begin(HEAD)
        assert [one.id for one in known] == ["a", "b"]
        folder.add(result("c"))
        assert path.read_bytes() == data


def test_a_line_broken_in_the_midst_is_told_by_its_number(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin(HEAD)
    folder.add(result("a"))
    with (tmp_path / LINES).open("ab") as file:
        file.write(b'{"id": "b"}\n')
    folder.add(result("c"))
    with pytest.raises(UserError, match=rf"Line 2 of {tmp_path / LINES}"):
        folder.begin(HEAD)


def test_an_edit_that_is_there_more_than_once_counts_once(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin(HEAD)
    for one in (result("a", changed=1), result("b"), result("a", changed=2)):
        folder.add(one)
    expected = [result("a", changed=2), result("b")]
    assert read_results(tmp_path)[1] == expected
    assert ResultFolder(tmp_path).begin(HEAD)[1] == expected


@pytest.mark.parametrize(
    ("place", "value", "told"),
    [
        ("top1", "7", "legacy top1 cannot be 7.0"),
        ("top1", "-0.1", "legacy top1 cannot be -0.1"),
        ("top1", "NaN", "finite"),
        ("kl", "-1", "wild kl cannot be -1.0"),
        ("kl", "Infinity", "finite"),
        ("log_prob_after", "NaN", "finite"),
        ("plan_seconds", "-1", "greater than or equal to 0"),
        ("probe_seconds", "NaN", "finite"),
        ("changed", "-1", "greater than or equal to 0"),
    ],
)
def test_numbers_that_cannot_be_are_told_by_file_and_line(
    place: str, value: str, told: str, tmp_path: Path
) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin(HEAD)
    folder.add(result("a"))
    folder.add(result("b"))
    path = tmp_path / LINES
    first, second = path.read_text().strip().split("\n")
    broken, found = re.subn(rf'"{place}":[^,}}]+', f'"{place}":{value}', second)
    assert found == 1
    path.write_text(f"{first}\n{broken}\n")
    with pytest.raises(UserError, match=rf"Line 2 of {path} is no result .*{told}"):
        read_results(tmp_path)


def test_scores_that_there_are_not_are_told_by_file_and_line(tmp_path: Path) -> None:
    folder = ResultFolder(tmp_path)
    folder.begin(HEAD)
    folder.add(result("a", probes=(replace(PROBE, scores={"legacy": {"bleu": 0.5}}),)))
    with pytest.raises(UserError, match=r"Line 1 of .*there is no score bleu of the legacy protocol"):
        read_results(tmp_path)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"method": "mend"}, 'method was "ft" and is now "mend"'),
        ({"config": {"lr": 0.2, "part": SETTINGS.config["part"]}}, "config.lr was 0.1 and is now 0.2"),
        (
            {"config": {"lr": 0.1, "part": {"name": "x", "layers": [1, 2]}}},
            'config.part.name was "mlp" and is now "x"',
        ),
        ({"config": {"lr": 0.1}}, 'config.part.name was "mlp" and is now null'),
        ({"protocols": ("legacy",)}, r'protocols was \["legacy", "wild"\] and is now \["legacy"\]'),
        ({"dataset": "e", "dataset_digest": "3"}, 'dataset was "d" and is now "e"'),
        ({"model_digest": "3"}, 'model_digest was "1" and is now "3"'),
        ({"seed": 1}, "seed was 0 and is now 1"),
    ],
)
def test_other_settings_are_refused_by_their_difference(
    changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    ResultFolder(tmp_path).begin(HEAD)
    with pytest.raises(UserError, match=told):
        ResultFolder(tmp_path).begin(replace(HEAD, settings=replace(SETTINGS, **changes)))
    assert read_results(tmp_path)[0] == HEAD


def test_the_same_model_and_dataset_may_have_other_names(tmp_path: Path) -> None:
    ResultFolder(tmp_path).begin(HEAD)
    moved = replace(HEAD, settings=replace(SETTINGS, model="/m", dataset="./d"))
    assert ResultFolder(tmp_path).begin(moved) == (HEAD, [])


def test_a_header_of_another_version_is_refused(tmp_path: Path) -> None:
    ResultFolder(tmp_path).begin(HEAD)
    content = json.loads((tmp_path / HEADER).read_text())
    content["settings"]["version"] = 2
    (tmp_path / HEADER).write_text(json.dumps(content))
    with pytest.raises(UserError, match="not the header"):
        ResultFolder(tmp_path).begin(HEAD)


def _hold(folder: Path, held: Any, done: Any) -> None:
    with ResultFolder(folder).locked():
        held.set()
        done.wait(30)


def test_two_commands_do_not_write_to_one_folder(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    held, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path, held, done))
    other.start()
    try:
        assert held.wait(30)
        with pytest.raises(UserError, match="Another command"), ResultFolder(tmp_path).locked():
            pass
    finally:
        done.set()
        other.join()
    with ResultFolder(tmp_path).locked():
        pass


def test_a_folder_that_cannot_be_made_is_told_in_one_sentence() -> None:
    # Nobody may make folders there, not even who may write everywhere.
    with (
        pytest.raises(UserError, match=r"Cannot write to /proc/none/vqa .*choose a folder"),
        ResultFolder(Path("/proc/none/vqa")).locked(),
    ):
        pass

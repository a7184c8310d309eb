"""Streams and verdicts of a judge, handed in and scored again."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from evaluation.api import evaluate
from evaluation.leaderboard.entries import PACKED, VERDICTS, packed, parse_entry, sha256, unpacked
from evaluation.leaderboard.reading import Shelf
from evaluation.leaderboard.submitting import prepare, write_files
from evaluation.results.records import read_results
from evaluation.results.stream_summary import Stream, measured
from evaluation.results.streams import Checkpoint, Placed, read_stream
from evaluation.results.verdicts import Verdict, judged_of, verdict_lines
from mmedit_build.errors import UserError
from tests.evaluation.leaderboard.conftest import call

Line = Checkpoint | Placed
LINE: TypeAdapter[Line] = TypeAdapter(Line)


@pytest.fixture(scope="module")
def whole(judged: Path, dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Results with a stream of FT, and a judge to whom every second answer is right."""
    folder = Path(shutil.copytree(judged / "all", tmp_path_factory.mktemp("whole") / "all"))
    fields: dict[str, Any] = {"dataset": str(dataset), "cache": judged / "cache", "device": "cpu"}
    evaluate("ft", out=folder, task="vqa", stream=(2, 4), orders=2, **fields)
    run = folder / "vqa" / "ft"
    _, results = read_results(run)
    asked = (judged_of("vqa", probe) for result in results for probe in result.probes)
    for number, said in enumerate(dict.fromkeys(said for said in asked if said is not None)):
        right = number % 2 == 1
        raw = "Right." if right else "Wrong, it is not."
        verdict = Verdict(judge="sage", prompt="grade#1", raw=raw, right=right, **said._asdict())
        verdict_lines(run).add(verdict)
    return folder


@pytest.fixture(scope="module")
def handed(whole: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("besides")
    write_files(prepare(whole, None, None, limited=False), folder)
    return folder


@pytest.fixture
def board(handed: Path, tmp_path: Path) -> Path:
    """A leaderboard to tamper with."""
    return Path(shutil.copytree(handed, tmp_path / "board"))


def refused(board: Path) -> str:
    (one,) = Shelf.read(board).refused
    return one.reason


def test_both_are_accepted_and_shown(board: Path, whole: Path, tmp_path: Path) -> None:
    shelf = Shelf.read(board)
    assert shelf.refused == []
    (stream,) = shelf.streams.values()
    _, checkpoints, online = read_stream(whole / "vqa" / "streams" / "ft")
    told = measured(Stream("vqa", checkpoints, online), "wild", 3)
    assert told["Online"].edits == 2
    assert measured(stream.stream, "wild", 3) == told
    (judged,) = [row for row in shelf.rows.values() if row.judged]
    right = {one.said: one.right for one in verdict_lines(whole / "vqa" / "ft").read()}
    _, results = read_results(whole / "vqa" / "ft")
    own = [right[said] for one in results if (said := judged_of("vqa", one.probes[0])) is not None]
    assert len(own) == 4
    mean = judged.judged["wild/reliability/match"].mean
    assert mean == pytest.approx(sum(map(bool, own)) / 4)
    done = call("leaderboard", board, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "1 entries of streams were scored again." in done.stdout
    page = (tmp_path / "out" / "index.html").read_text()
    assert f"Right by sage: Rel {100 * mean:.1f}" in page
    assert "Edits one after the other" in page
    assert "vqa,ft,wild,3," in (tmp_path / "out" / "streams.csv").read_text()


def test_entries_without_them_keep_their_names(judged: Path) -> None:
    files = prepare(judged / "all", None, None, limited=False).files
    texts = [data for name, data in files.items() if name.endswith(".json")]
    assert not any(b"judged" in text or b"verdicts" in text for text in texts)
    assert not any(name.endswith(VERDICTS) for name in files)


def with_verdicts(board: Path, change: Callable[[bytes], bytes]) -> str:
    """Why an entry is refused whose verdicts were altered, with all digests made to fit."""
    (path,) = board.rglob(f"*{VERDICTS}")
    place = path.with_name(path.name.removesuffix(VERDICTS))
    entry = parse_entry(Path(f"{place}.json").read_bytes())
    lines = change(unpacked(path))
    altered = board / replace(entry, verdicts=sha256(lines)).place
    Path(f"{place}{PACKED}").rename(f"{altered}{PACKED}")
    Path(f"{altered}.json").write_bytes(replace(entry, verdicts=sha256(lines)).text())
    Path(f"{altered}{VERDICTS}").write_bytes(packed(lines))
    for old in (Path(f"{place}.json"), path):
        old.unlink()
    return refused(board)


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (b'"right":false', b'"right":true', "a verdict is given as True, and its reply says False"),
        (b'Wrong, it is not.","right":false', b'Right.","right":true', "is claimed as"),
        (b'"question":"', b'"question":"Not ', "on an answer that is not among its own"),
        (b'"judge":"sage"', b'"judge":"fool"', "not all of one judge"),
    ],
)
def test_verdicts_have_to_be_those_of_the_replies_on_these_answers(
    board: Path, old: bytes, new: bytes, reason: str
) -> None:
    def change(lines: bytes) -> bytes:
        assert old in lines
        return lines.replace(old, new, 1)

    assert reason in with_verdicts(board, change)


def test_verdicts_that_are_not_the_ones_handed_in_are_refused(board: Path) -> None:
    (path,) = board.rglob(f"*{VERDICTS}")
    path.write_bytes(packed(b""))
    assert refused(board) == "the verdicts are not those that it was handed in with"
    path.unlink()
    assert "cannot be read" in refused(board)


Change = Callable[[list[Line]], list[Line]]


def with_stream(board: Path, change: Change) -> str:
    """Why a stream is refused whose lines were altered, with all digests made to fit."""
    (path,) = (board / "results").rglob("streams/ft/*.json")
    entry = parse_entry(path.read_bytes())
    lines = path.with_name(path.stem + PACKED)
    found = change([LINE.validate_json(line) for line in unpacked(lines).splitlines()])
    data = b"".join(LINE.dump_json(one) + b"\n" for one in found)
    altered = replace(entry, answers=sha256(data))
    for old in (path, lines):
        old.unlink()
    (board / f"{altered.place}.json").write_bytes(altered.text())
    (board / f"{altered.place}{PACKED}").write_bytes(packed(data))
    return refused(board)


def better(lines: list[Line]) -> list[Line]:
    """The first edit of all is said to match, or not to."""
    first = lines[0]
    assert isinstance(first, Placed)
    probe = first.result.probes[0]
    wild = {**probe.scores["wild"], "match": 1.0 - probe.scores["wild"]["match"]}
    changed = replace(probe, scores={**probe.scores, "wild": wild})
    return [replace(first, result=replace(first.result, probes=(changed,))), *lines[1:]]


def early(lines: list[Line]) -> list[Line]:
    """Edits are asked for again before they were made."""
    return [replace(one, edits=1) if isinstance(one, Checkpoint) and one.edits == 2 else one for one in lines]


def other_answer(lines: list[Line]) -> list[Line]:
    """The fixed set's first answer is another one."""
    of = next(one for one in lines if isinstance(one, Checkpoint))
    kept = next(one for one in of.fixed if one.result.scores["wild"]["unchanged"] == 1)
    other = replace(kept, result=replace(kept.result, after=f"not {kept.result.before}"))
    fixed = tuple(other if one is kept else one for one in of.fixed)
    return [replace(of, fixed=fixed) if one is of else one for one in lines]


def without_first(lines: list[Line]) -> list[Line]:
    return lines[1:]


def without_last(lines: list[Line]) -> list[Line]:
    return lines[:-1]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (better, "wild match is given as"),
        (early, "an edit is asked again that was not made yet"),
        (other_answer, "wild unchanged is not what the answers are"),
        (without_first, "order 0 is not one edit after the other"),
        (without_last, "it claims other measures than its answers have|is claimed as"),
    ],
)
def test_streams_that_do_not_come_out_are_refused(board: Path, change: Change, reason: str) -> None:
    assert re.search(reason, with_stream(board, change))


def test_streams_that_are_not_finished_are_not_handed_in(whole: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    path = run / "vqa" / "streams" / "ft" / "stream.json"
    path.write_bytes(path.read_bytes().replace(b'"finished": true', b'"finished": false'))
    with pytest.raises(UserError, match=r"The streams in .* are not finished"):
        prepare(run, None, None, limited=False)
    # A stream alone takes the row of the unedited model along.
    assert len(prepare(whole / "vqa" / "streams" / "ft", None, None, limited=False).entries) == 2

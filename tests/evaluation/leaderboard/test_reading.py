from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from evaluation.leaderboard.entries import PACKED, RESULTS, Claim, parse_entry
from evaluation.leaderboard.reading import Shelf
from evaluation.results.records import CaseResult, ProbeResult
from mmedit_build.errors import UserError
from tests.evaluation.leaderboard.conftest import Change, Tamper, call

LOCAL = ("text_locality", "image_locality")


def of_first(kinds: tuple[str, ...], change: Callable[[ProbeResult], ProbeResult]) -> Change:
    """Alters the first probe of some kinds of the first edit."""

    def alter(results: list[CaseResult]) -> list[CaseResult]:
        probes = list(results[0].probes)
        place = next(place for place, one in enumerate(probes) if one.kind in kinds)
        probes[place] = change(probes[place])
        return [replace(results[0], probes=tuple(probes)), *results[1:]]

    return alter


def scored(protocol: str, **scores: float) -> Callable[[ProbeResult], ProbeResult]:
    def change(probe: ProbeResult) -> ProbeResult:
        mine: Any = {**probe.scores, protocol: {**probe.scores[protocol], **scores}}  # type: ignore[index]
        return replace(probe, scores=mine)

    return change


EDITED = ("reliability",)
TAMPERED: dict[str, tuple[Change, str]] = {
    "another answer": (
        of_first(EDITED, lambda one: replace(one, after=one.target if one.after != one.target else "no")),
        "reliability of vqa/test/100: wild match is given as",
    ),
    "a better free score": (
        of_first(EDITED, scored("wild", vqa=0.123)),
        "wild vqa is given as 0.123, and comes out as",
    ),
    "a better locality": (of_first(LOCAL, scored("wild", unchanged=0.5)), "wild unchanged is given as 0.5"),
    "no divergence": (
        of_first(
            LOCAL, lambda one: replace(one, scores={**one.scores, "wild": {"right": 1.0, "unchanged": 1.0}})
        ),
        "there are scores right, unchanged and not",
    ),
    "no share of tokens": (of_first(EDITED, scored("legacy", token_accuracy=0.37)), "0.37 is no share of"),
    "a match without its tokens": (
        of_first(EDITED, scored("legacy", exact_match=0.0, token_accuracy=1.0)),
        "exact match and token accuracy do not agree",
    ),
    "a likely target that does not match": (
        of_first(
            EDITED,
            lambda one: scored("legacy", exact_match=0.0, token_accuracy=0.0)(
                replace(one, log_prob_after=-0.1)
            ),
        ),
        "the target is likelier than all else together, and yet no match",
    ),
    "a probability above 1": (
        of_first(EDITED, lambda one: replace(one, log_prob_after=0.5)),
        "a probability is above 1",
    ),
    "no probabilities, as of served models": (
        of_first(EDITED, lambda one: replace(one, log_prob_before=None, log_prob_after=None)),
        "there are no log-probabilities",
    ),
    "ranks of no positions": (
        of_first(LOCAL, scored("legacy", top10=0.8123456789)),
        "top1 and top10 cannot be of the same positions",
    ),
    "better firsts than ranks allow": (
        of_first(LOCAL, scored("legacy", top1=0.0, top10=1.0)),
        "top1 and top10 cannot be of the same positions",
    ),
    "another answer before": (
        of_first(EDITED, lambda one: replace(one, before="made up")),
        "what the unedited model answers and knows is not what its own row says",
    ),
    "another probability before": (
        of_first(EDITED, lambda one: replace(one, log_prob_before=-9.0)),
        "the unedited model's log-probability is not that of its own row",
    ),
    "another target": (
        of_first(EDITED, lambda one: replace(one, target="made up")),
        "question and target are not those of the dataset",
    ),
    "a probe of another item": (
        of_first(LOCAL, lambda one: replace(one, item="made/up")),
        "the dataset asks something else here",
    ),
    "a probe left out": (
        lambda results: [replace(results[0], probes=results[0].probes[:-1]), *results[1:]],
        "vqa/test/100 has 5 answers to 6 questions",
    ),
    "an edit left out": (lambda results: results[:-1], "it should have the first 4 edits of the dataset"),
    "an edit twice": (
        lambda results: [*results[:-1], results[0]],
        "it should have the first 4 edits of the dataset, once each and in order",
    ),
    "a hidden skip": (
        lambda results: [replace(results[0], skipped="Too hard.", probes=()), *results[1:]],
        "the header counts other edits as scored or skipped than there are",
    ),
    "a quicker edit": (
        lambda results: [replace(results[0], plan_seconds=0.0), *results[1:]],
        "and its edits took",
    ),
    "another image": (
        lambda results: [replace(results[0], image_id="made up"), *results[1:]],
        "vqa/test/100 is described otherwise than in the row of the unedited model",
    ),
    "one protocol less": (
        of_first(EDITED, lambda one: replace(one, scores={"wild": one.scores["wild"]})),
        "vqa/test/100 is not scored by legacy and wild, as the header says",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_what_does_not_come_out_is_refused_and_the_others_stay(
    folder: Path, tamper: Tamper, name: str
) -> None:
    change, reason = TAMPERED[name]
    place = tamper("ft", change)
    shelf = Shelf.read(folder)
    (refusal,) = shelf.refused
    assert refusal.place == place
    assert reason in refusal.reason
    kept = [(row.entry.header.settings.task, row.entry.header.settings.method) for row in shelf.rows.values()]
    assert sorted(kept) == [("caption", "ft"), ("caption", "unedited"), ("vqa", "unedited")]


def test_all_that_was_handed_in_is_accepted(handed_in: Path) -> None:
    shelf = Shelf.read(handed_in)
    assert shelf.refused == []
    assert sorted(len(row.results) for row in shelf.rows.values()) == [2, 2, 4, 4]
    assert {row.edits for row in shelf.rows.values()} == {2, 4}


def test_a_claim_may_be_off_by_no_more_than_rounding(folder: Path, tamper: Tamper) -> None:
    (path,) = (folder / RESULTS).glob("*/*/vqa/ft/*.json")
    claims = parse_entry(path.read_bytes()).claims
    name = "wild/reliability/match"
    mean, edits = claims[name]
    tamper("ft", claims={**claims, name: Claim(mean + 2e-9, edits)})
    assert f"{name} is claimed as" in Shelf.read(folder).refused[0].reason
    tamper("ft", claims={**claims, name: Claim(mean + 5e-10, edits)})
    assert Shelf.read(folder).refused == []
    tamper("ft", claims={**claims, name: Claim(mean, edits - 1)})
    assert len(Shelf.read(folder).refused) == 1
    tamper("ft", claims={key: of for key, of in claims.items() if key != name})
    assert "it claims other measures than its answers have" in Shelf.read(folder).refused[0].reason


def test_a_row_of_the_unedited_model_has_to_be_its_own(folder: Path, tamper: Tamper) -> None:
    tamper("unedited", of_first(EDITED, lambda one: replace(one, log_prob_after=-9.0)))
    reasons = [one.reason for one in Shelf.read(folder).refused]
    assert any("the unedited model answers otherwise than before" in one for one in reasons)
    assert any("the row of the unedited model" in one and "is missing or refused" in one for one in reasons)


def test_nothing_counts_without_its_row_of_the_unedited_model(folder: Path) -> None:
    for path in (folder / RESULTS).glob("*/*/vqa/unedited/*"):
        path.unlink()
    (refusal,) = Shelf.read(folder).refused
    assert "is missing or refused" in refusal.reason


def test_other_answers_than_were_handed_in_are_refused(folder: Path) -> None:
    (path,) = (folder / RESULTS).glob(f"*/*/vqa/ft/*{PACKED}")
    (other,) = (folder / RESULTS).glob(f"*/*/caption/ft/*{PACKED}")
    path.write_bytes(other.read_bytes())
    assert "the answers are not those" in Shelf.read(folder).refused[0].reason
    path.write_bytes(path.read_bytes()[:100])
    assert Shelf.read(folder).refused[0].reason == "it is not whole"
    path.unlink()
    assert "its answers cannot be read" in Shelf.read(folder).refused[0].reason


def test_an_entry_that_was_altered_or_moved_is_refused(folder: Path) -> None:
    (path,) = (folder / RESULTS).glob("*/*/vqa/ft/*.json")
    path.write_bytes(path.read_bytes().replace(b'"threads": 1', b'"threads": 2'))
    assert "so it was altered or moved" in Shelf.read(folder).refused[0].reason
    path.write_bytes(b'{"version": 7}')
    assert "it is no entry of this version of mmedit" in Shelf.read(folder).refused[0].reason
    path.unlink()
    assert "nothing that says what they are of" in Shelf.read(folder).refused[0].reason


def test_a_key_has_to_be_that_of_the_dataset(folder: Path) -> None:
    first, second = sorted((folder / "keys").iterdir())
    first.write_bytes(second.read_bytes())
    assert {"key of another dataset" in one.reason for one in Shelf.read(folder).refused} == {True}
    first.unlink()
    assert {"the key of its dataset is missing" in one.reason for one in Shelf.read(folder).refused} == {True}


def test_a_command_writes_the_rest_and_ends_with_a_sentence(
    folder: Path, tamper: Tamper, tmp_path: Path
) -> None:
    tamper("ft", TAMPERED["another answer"][0])
    done = call("leaderboard", folder, "--out", tmp_path / "out")
    assert isinstance(done.exception, UserError)
    assert str(done.exception).startswith("1 of 4 entries were refused")
    assert "wild match is given as" in done.stdout
    page = (tmp_path / "out/index.html").read_text()
    assert "<h2>Refused</h2>" in page
    assert "Captions: miniature/mllm on" in page


def test_a_folder_without_entries_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There are no entries in"):
        Shelf.read(tmp_path)
    done = call("leaderboard", tmp_path / "nothing", "--out", tmp_path / "out")
    assert "There is no folder" in str(done.exception)

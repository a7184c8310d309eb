from __future__ import annotations

import numpy as np
import pytest

from evaluation.data.cases import Kind
from evaluation.leaderboard.ranking import counted, parts, ranked
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.results.summary import Measure, Results, headline

MEASURES = headline("vqa", "wild")
KINDS: dict[str, tuple[Kind, str, str | None]] = {
    "Rel": ("reliability", "match", None),
    "T-Gen": ("text_generality", "match", None),
    "I-Gen": ("image_generality", "match", None),
    "I-Loc near": ("image_locality", "unchanged", "same_image"),
}
OF = parts({title: MEASURES[title] for title in KINDS})


def results(shares: dict[str, float] | None = None, skipped: int = 0, **more: float) -> Results:
    """Edits of which such shares are right."""
    return Results(
        CaseResult(
            id=str(number),
            task="vqa",
            image_id=str(number),
            question="",
            question_type="",
            target="",
            skipped="made up" if number < skipped else None,
            probes=()
            if number < skipped
            else tuple(_probe(title, number, {**(shares or {}), **more}) for title in KINDS),
        )
        for number in range(100)
    )


def _probe(title: str, number: int, shares: dict[str, float]) -> ProbeResult:
    kind, metric, relation = KINDS[title]
    right = float(number * 7 % 100 < shares.get(title, 1.0) * 100)
    return ProbeResult(
        kind=kind,
        relation=relation,  # type: ignore[arg-type]
        prompt="",
        target="",
        before="",
        after="",
        log_prob_before=0,
        log_prob_after=0,
        target_tokens=1,
        written_tokens=1,
        scores={"wild": {metric: right}},
    )


def test_the_score_is_the_harmonic_mean_of_three_parts() -> None:
    row = results({"Rel": 0.5, "T-Gen": 0.4, "I-Gen": 0.2, "I-Loc near": 0.6})
    (rank,) = ranked([row], OF)
    assert rank.score == pytest.approx(3 / (1 / 0.5 + 1 / 0.3 + 1 / 0.6))
    low, high = rank.interval
    assert low < rank.score < high
    assert (rank.place, rank.tied, rank.places) == (1, False, (1, 1))


def test_who_changes_nothing_has_nothing() -> None:
    assert ranked([results(Rel=0.0)], OF)[0].score == 0


def test_what_cannot_be_told_apart_shares_a_rank() -> None:
    rows = [results(Rel=0.9), results(Rel=0.88), results(Rel=0.3), results(Rel=0.3)]
    ranks = ranked(rows, OF)
    assert [rank.place for rank in ranks] == [1, 1, 3, 3]
    assert all(rank.tied for rank in ranks)
    assert ranks[2].places == (3, 3)


def test_ranks_do_not_depend_on_the_order() -> None:
    rows = [results(Rel=share) for share in (0.2, 0.8, 0.5)]
    assert [rank.place for rank in ranked(rows, OF)] == [3, 1, 2]
    assert [rank.score for rank in ranked(rows[::-1], OF)][::-1] == [rank.score for rank in ranked(rows, OF)]


def test_an_interval_is_that_of_images_drawn_anew() -> None:
    """Against a slow bootstrap of its own."""
    row = results({"Rel": 0.7, "I-Loc near": 0.9})
    rng = np.random.default_rng(5)
    values = np.array([row.scores[of] for some in OF.values() for of in some])
    scores = []
    for _ in range(4000):
        rel, text, image, near = values[:, rng.integers(0, 100, 100)].mean(axis=1)
        scores.append(3 / (1 / rel + 2 / (text + image) + 1 / near))
    wanted = np.quantile(scores, [0.025, 0.975])
    assert ranked([row], OF)[0].interval == pytest.approx(tuple(wanted), abs=0.01)


def test_a_skipped_edit_counts_as_the_unedited_model() -> None:
    """Leaving out what is hard makes nobody better."""
    base = results(Rel=0.0)
    rank = ranked([counted(results(skipped=50), base)], OF)[0]
    assert rank.score == pytest.approx(3 / (1 / 0.5 + 1 + 1))
    whole = results()
    assert counted(whole, base) is whole


def test_without_a_part_there_is_no_score() -> None:
    known: dict[str, Measure] = {title: MEASURES[title] for title in ("Rel", "T-Gen")}
    assert parts(known) == {}
    far = parts({title: MEASURES[title] for title in ("Rel", "T-Gen", "I-Loc")})
    assert far["locality"] == (MEASURES["I-Loc"],)

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from evaluation.data.cases import LOCALITY, Kind, Relative
from evaluation.results.batches import differences, estimates
from evaluation.results.records import CaseResult, ProbeResult
from evaluation.results.summary import (
    Group,
    Measure,
    Results,
    all_values,
    by_question_type,
    estimate,
    estimated,
    headline,
    images_of,
    values,
)


def probe(kind: Kind, score: float, relation: Relative | None = None) -> ProbeResult:
    metric = "top10" if kind in LOCALITY else "exact_match"
    return ProbeResult(
        kind=kind,
        relation=relation,
        prompt="",
        target="",
        before="",
        after="",
        log_prob_before=0.0,
        log_prob_after=0.0,
        target_tokens=1,
        written_tokens=1,
        scores={"legacy": {metric: score}},
    )


def result(number: int, *probes: ProbeResult, kind: str = "color", image: int | None = None) -> CaseResult:
    return CaseResult(
        id=str(number),
        task="vqa",
        image_id=str(number if image is None else image),
        question="",
        question_type=kind,
        target="",
        skipped=None if probes else "broken",
        probes=probes,
    )


RELIABILITY = Measure("legacy", "reliability", "exact_match")


def of_scores(scores: dict[int, float]) -> Results:
    """Edits of these scores, each about an image of its own."""
    return Results(result(number, probe("reliability", score)) for number, score in scores.items())


def test_the_mean_is_over_edits_and_not_over_images() -> None:
    found = estimate({"a": 1.0, "b": 1.0, "c": 0.0, "d": 1.0}, {"a": "x", "b": "x", "c": "y", "d": "x"})
    assert found is not None
    assert (found.mean, found.edits, found.images) == (0.75, 4, 2)


@pytest.mark.parametrize("share", [False, True])
def test_an_interval_of_many_independent_edits_is_that_of_the_normal_distribution(share: bool) -> None:
    rng = np.random.default_rng(1)
    scores = {str(i): float(rng.random() < 0.3) for i in range(2000)}
    found = estimate(scores, {name: name for name in scores}, share=share)
    assert found is not None
    half = 1.96 * (found.mean * (1 - found.mean) / 2000) ** 0.5
    assert found.low == pytest.approx(found.mean - half, abs=0.002)
    assert found.high == pytest.approx(found.mean + half, abs=0.002)


@pytest.mark.parametrize("share", [False, True])
def test_edits_of_one_image_widen_the_interval(share: bool) -> None:
    scores = {str(i): float(i < 200) for i in range(400)}
    alone = estimate(scores, {name: name for name in scores}, share=share)
    # Images of ten edits that all have the same score: as good as a tenth of the edits.
    together = estimate(scores, {name: str(int(name) // 10) for name in scores}, share=share)
    assert alone is not None
    assert together is not None
    ratio = (together.high - together.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(10**0.5, rel=0.1)


def test_intervals_repeat_with_their_seed() -> None:
    scores = {str(i): i**0.5 for i in range(50)}
    images = {name: name for name in scores}
    assert estimate(scores, images) == estimate(scores, images)
    assert estimate(scores, images) != estimate(scores, images, seed=1)


def test_one_image_has_no_spread_and_no_edit_no_estimate() -> None:
    found = estimate({"a": 0.2, "b": 0.4}, {"a": "x", "b": "x"})
    assert found is not None
    assert (found.low, found.mean, found.high) == pytest.approx((0.3, 0.3, 0.3))
    assert estimate({}, {}) is None


def test_a_share_is_never_known_for_sure() -> None:
    right = [result(number, probe("reliability", 1.0)) for number in range(35)]
    found = estimated(right, RELIABILITY)
    assert found is not None
    assert (found.low, found.mean, found.high) == pytest.approx((0.901, 1.0, 1.0), abs=0.001)
    assert estimated([], RELIABILITY) is None


def test_numbers_that_are_no_share_have_their_own_range() -> None:
    kl = Measure("wild", "text_locality", "kl", "far")
    one = replace(probe("text_locality", 0.0, "far"), scores={"wild": {"kl": 7.5}})
    found = estimated([result(number, one) for number in range(35)], kl)
    assert found is not None
    assert (found.low, found.mean, found.high) == (7.5, 7.5, 7.5)


def test_differences_are_those_of_the_edits_that_both_have() -> None:
    one = of_scores({1: 1.0, 2: 1.0, 3: 0.5})
    found = differences(one, of_scores({4: 1.0, 3: 0.5, 2: 0.0}))[RELIABILITY]
    assert (found.mean, found.edits) == (0.5, 2)
    assert differences(one, of_scores({4: 1.0})) == {}


def test_a_paired_difference_is_surer_than_two_means() -> None:
    rng = np.random.default_rng(0)
    scores = {number: 0.01 + 0.99 * float(rng.random()) for number in range(100)}
    one, other = of_scores(scores), of_scores({number: score - 0.01 for number, score in scores.items()})
    found, first = differences(one, other)[RELIABILITY], estimated(one, RELIABILITY)
    assert first is not None
    assert found.low == pytest.approx(0.01)
    assert first.high - first.low > 0.1


def test_several_items_of_an_edit_count_as_their_mean_and_near_ones_together() -> None:
    results = [
        result(
            1,
            probe("image_locality", 1.0, "far"),
            probe("image_locality", 0.0, "far"),
            probe("image_locality", 0.2, "same_image"),
            probe("image_locality", 0.6, "same_question"),
        ),
        result(2, probe("reliability", 1.0)),
    ]

    def of(relation: str) -> dict[str, float]:
        found = {one.relation: one for one in all_values(results)}
        return values(results, found[relation])  # type: ignore[index]

    assert of("far") == {"1": 0.5}
    assert of("near") == {"1": pytest.approx(0.4)}
    assert of("same_question") == {"1": 0.6}
    assert values(results, RELIABILITY) == {"2": 1.0}
    everything = all_values(results)
    assert next(iter(everything)) == RELIABILITY
    assert everything == {measure: values(results, measure) for measure in everything}


def test_portability_is_parted_by_hops_and_by_what_was_known() -> None:
    hop = probe("portability", 1.0, "2-hop")
    results = [
        result(
            1,
            replace(hop, known=True),
            replace(probe("portability", 0.0, "2-hop"), known=False),
            replace(probe("portability", 0.5), known=True),
        ),
        result(2, replace(hop, known=False)),
        # Without a premise nothing has to be known.
        result(3, hop),
    ]

    def of(group: Group | None) -> dict[str, float]:
        return values(results, Measure("legacy", "portability", "exact_match", group))

    assert of(None) == {"1": 0.5, "2": 1.0, "3": 1.0}
    assert of("2-hop") == {"1": 0.5, "2": 1.0, "3": 1.0}
    assert of("known") == {"1": 0.75}
    assert of("1-hop") == of("near") == {}
    everything = all_values(results)
    assert [measure.relation for measure in everything] == [None, "known", "2-hop", "2-hop known"]
    assert everything == {measure: values(results, measure) for measure in everything}


def test_skipped_edits_have_no_value() -> None:
    assert values([result(1), result(2, probe("reliability", 0.0))], RELIABILITY) == {"2": 0.0}


def test_results_are_parted_by_the_type_of_question() -> None:
    results = [result(1, kind="size"), result(2, kind="color"), result(3, kind="size")]
    parts = by_question_type(results)
    assert {name: [one.id for one in of] for name, of in parts.items()} == {
        "color": ["2"],
        "size": ["1", "3"],
    }
    assert images_of(results) == {"1": "1", "2": "2", "3": "3"}


def test_the_headline_has_the_columns_of_the_paper() -> None:
    legacy = headline("vqa", "legacy")
    assert list(legacy) == [
        *("Rel", "Rel second", "T-Gen", "T-Gen near", "T-Gen second", "I-Gen"),
        *("Port", "Port known", "Comp", "T-Loc", "I-Loc", "I-Loc near"),
    ]
    assert (legacy["T-Loc"].metric, legacy["I-Loc"].metric) == ("top1", "top10")
    assert headline("caption", "wild")["Rel"].metric == "consensus"
    known = headline("caption", "wild")["Port known"]
    assert (known.kind, known.metric, known.relation) == ("portability", "match", "known")


def test_only_the_usual_near_items_make_the_near_column() -> None:
    scores: dict[Relative, float] = {
        "same_image": 1.0,
        "same_question": 0.0,
        "similar_question": 0.25,
        "near_right": 0.75,
    }
    edit = result(1, *(probe("image_locality", score, of) for of, score in scores.items()))
    found = {
        of.relation: by_id["1"] for of, by_id in all_values([edit]).items() if of.kind == "image_locality"
    }
    assert found.pop("near") == 0.5
    assert found == scores


def test_many_numbers_at_once_are_what_each_is_alone() -> None:
    """Also of edits that lack some, and of scores that are no shares."""
    rng = np.random.default_rng(0)
    results = [
        result(
            number,
            probe("reliability", float(rng.random() < 0.5)),
            replace(probe("text_locality", 0.0, "far"), scores={"wild": {"kl": float(rng.random())}}),
            *[probe("image_locality", float(rng.random() < 0.7), "far")] * (number % 3),
            kind=("color", "number")[number % 2],
            image=number // 4,
        )
        for number in range(60)
    ]
    known = Results([*results, result(99)])
    found = estimates(known.scores, [one.image_id for one in known], differ=False)
    assert {*found} == {*all_values(results)}
    for of, one in found.items():
        alone = estimated(results, of)
        assert alone is not None
        assert (one.edits, one.images, one.mean) == (alone.edits, alone.images, alone.mean)
        assert (one.low, one.high) == pytest.approx((alone.low, alone.high), rel=1e-12)
        assert values(known, of) == values(results, of)

"""What each protocol says of itself."""

from __future__ import annotations

import pytest

from evaluation.data.cases import KINDS, LOCALITY
from evaluation.protocols.base import Protocol
from evaluation.protocols.known import PROTOCOLS, chosen, metric
from mmedit_build.rows import TASKS

ALL = pytest.mark.parametrize("protocol", PROTOCOLS.values(), ids=list(PROTOCOLS))


def test_every_score_is_described() -> None:
    assert {"exact_match", "token_accuracy", "top1", "top10", "answer_top1"} == PROTOCOLS[
        "legacy"
    ].metrics.keys()
    assert [name for name, one in PROTOCOLS["wild"].metrics.items() if not one.percent] == ["kl"]
    assert metric("wild", "kl").title == "KL"


@ALL
def test_texts_are_sentences_and_titles_tell_scores_apart(protocol: Protocol) -> None:
    assert protocol.title
    assert all(one.about.endswith(".") for one in protocol.metrics.values())
    assert len({one.title for one in protocol.metrics.values()}) == len(protocol.metrics)


@ALL
@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_main_score_is_one_that_there_is(protocol: Protocol, task: str, kind: str) -> None:
    name = protocol.main(task, kind)  # type: ignore[arg-type]
    assert protocol.metrics[name].percent


@pytest.mark.parametrize(
    ("name", "kind", "task", "score"),
    [
        ("legacy", "reliability", "vqa", "exact_match"),
        ("legacy", "portability", "vqa", "token_accuracy"),
        ("legacy", "text_locality", "caption", "top1"),
        ("legacy", "image_locality", "caption", "top10"),
        ("wild", "image_generality", "vqa", "match"),
        ("wild", "image_generality", "caption", "consensus"),
        # What portability asks has a short answer, also about a caption.
        ("wild", "portability", "caption", "match"),
        *(("wild", kind, "vqa", "unchanged") for kind in LOCALITY),
    ],
)
def test_the_main_score_of_each_kind(name: str, kind: str, task: str, score: str) -> None:
    assert PROTOCOLS[name].main(task, kind) == score  # type: ignore[index, arg-type]


def test_protocols_go_by_their_names_and_in_one_order() -> None:
    assert {name: one.name for name, one in PROTOCOLS.items()} == {name: name for name in PROTOCOLS}
    assert chosen(["wild", "legacy"]) == [PROTOCOLS["legacy"], PROTOCOLS["wild"]]
    assert chosen(["wild"]) == [PROTOCOLS["wild"]]

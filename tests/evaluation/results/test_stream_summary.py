from __future__ import annotations

from collections.abc import Sequence

import pytest

from evaluation.results.stream_summary import COLUMNS, Stream, measured
from evaluation.results.streams import Checkpoint, Kept, Placed
from tests.evaluation.results.test_summary import probe, result


def placed(order: int, position: int, score: float) -> Placed:
    asked = (probe("reliability", score), probe("text_generality", score / 2))
    return Placed(order=order, position=position, result=result(position, *asked))


def kept(image: str, score: float, *, knew: bool, knows: bool) -> Kept:
    found = probe("image_locality", score)
    return Kept(image=image, knew={"legacy": knew}, knows={"legacy": knows}, result=found)


def checkpoint(order: int, edits: int, now: Sequence[float], *fixed: Kept) -> Checkpoint:
    return Checkpoint(
        order=order,
        edits=edits,
        retention=tuple(placed(order, position, score) for position, score in enumerate(now)),
        fixed=fixed,
        patch_bytes=0,
        plan_seconds=0.0,
        query_seconds=0.2,
        unedited_seconds=0.1,
        peak_bytes=0,
    )


@pytest.fixture
def stream() -> Stream:
    online = [placed(order, position, 1.0) for order in (0, 1) for position in range(3)]
    fixed = [kept("a", 0.5, knew=True, knows=True), kept("b", 0.0, knew=True, knows=False)]
    fixed.append(kept("c", 1.0, knew=False, knows=True))
    last = [checkpoint(order, 3, now, *fixed) for order, now in enumerate(([0.0, 1.0, 1.0], [1.0, 0.0, 1.0]))]
    return Stream("vqa", [checkpoint(0, 1, [1.0]), checkpoint(1, 1, [1.0]), *last], online)


def test_what_is_kept_and_forgotten_is_as_counted_by_hand(stream: Stream) -> None:
    found = {name: one.mean for name, one in measured(stream, "legacy", 3).items()}
    assert found == pytest.approx(
        {
            "Online": 1.0,
            "Kept": 4 / 6,
            "T-Gen": 2 / 6,
            "I-Loc": 0.5,
            "Ability": 0.5,
            "Lost old": 0.5,
            "Lost mid": 0.5,
            "Lost new": 0.0,
        }
    )
    assert stream.checkpoints[-1].slowdown == pytest.approx(2)
    assert found.keys() <= COLUMNS.keys()


def test_orders_are_not_more_images(stream: Stream) -> None:
    found = measured(stream, "legacy", 3)
    assert (found["Kept"].edits, found["Kept"].images) == (6, 3)
    assert (found["I-Loc"].edits, found["I-Loc"].images) == (6, 3)
    # Online is of what was made since the checkpoint before.
    assert found["Online"].edits == 4
    assert measured(stream, "legacy", 1)["Online"].edits == 2

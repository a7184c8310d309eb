from __future__ import annotations

import random
from itertools import combinations

import pytest

from evaluation.drawing.labels import HEIGHT, LETTER, Box, Column, Label, Point, place

AREA: Box = (0.0, 0.0, 232.0, 240.0)
ASIDE = Column(252.0, 30.0, 240.0)


def box(label: Label) -> Box:
    width = LETTER * len(label.point.name)
    left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    return left, label.y - 9, left + width, label.y - 9 + HEIGHT - 2


def hides(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_a_lonely_point_has_its_name_at_the_right() -> None:
    [label] = place([Point(100, 100, "mend")], AREA, ASIDE)
    assert (label.point.name, label.anchor, label.aside) == ("mend", "start", False)
    assert label.x > 100


def test_at_the_right_edge_the_name_goes_elsewhere() -> None:
    [label] = place([Point(228, 100, "mend")], AREA, ASIDE)
    assert not label.aside
    assert box(label)[2] <= 232


def test_points_in_one_place_have_their_names_in_the_column() -> None:
    labels = place([Point(200, 60, name) for name in ("ike", "mend", "serac")], AREA, ASIDE)
    assert [label.point.name for label in labels] == ["ike", "mend", "serac"]
    assert {label.x for label in labels} == {252.0}
    assert [round(label.y - 4) for label in labels] == [46, 60, 74]


def test_more_names_than_fit_go_on_below() -> None:
    labels = place([Point(200, 60, f"method-{number}") for number in range(24)], AREA, ASIDE)
    assert labels[0].y - 4 == ASIDE.top
    assert labels[-1].y > ASIDE.bottom
    assert not any(hides(box(one), box(other)) for one, other in combinations(labels, 2))


@pytest.mark.parametrize("seed", range(20))
def test_labels_hide_neither_each_other_nor_points(seed: int) -> None:
    rng = random.Random(seed)
    points = [Point(rng.uniform(40, 218), rng.uniform(60, 226), f"method-{n}") for n in range(14)]
    labels = place(points[:9], AREA, ASIDE, nameless=points[9:])
    assert {label.point for label in labels} == {*points[:9]}
    assert not any(hides(box(one), box(other)) for one, other in combinations(labels, 2))
    dots = [(one.x - 3, one.y - 3, one.x + 3, one.y + 3) for one in points]
    assert not any(hides(box(label), one) for label in labels for one in dots)


def test_lines_that_lead_down_from_one_height_do_not_cross() -> None:
    labels = place([Point(x, 60, f"at {x}") for x in (200, 206, 212, 218)], AREA, Column(252, 60, 240))
    assert [label.point.x for label in labels] == [218, 212, 206, 200]


def test_labels_go_out_of_the_way_of_intervals() -> None:
    [label] = place([Point(120, 100, "mend")], AREA, ASIDE, arms=[(60.0, 99.0, 190.0, 101.0)])
    assert label.anchor == "middle"

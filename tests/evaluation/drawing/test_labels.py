from __future__ import annotations

from itertools import combinations

from evaluation.drawing.labels import HEIGHT, LETTER, LINES, Box, Label, Point, place

AREA: Box = (0.0, 0.0, 340.0, 240.0)


def box(label: Label) -> Box:
    width = LETTER * max(map(len, label.lines))
    left = label.x - {"start": 0.0, "middle": width / 2, "end": width}[label.anchor]
    return left, label.y - 9, left + width, label.y - 9 + HEIGHT * len(label.lines) - 2


def hides(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def test_a_lonely_point_has_its_name_at_the_right() -> None:
    [label] = place([Point(100, 100, "mend")], AREA)
    assert (label.lines, label.anchor, label.leader) == (("mend",), "start", None)
    assert label.x > 100


def test_at_the_right_edge_the_name_goes_elsewhere() -> None:
    [label] = place([Point(335, 100, "mend")], AREA)
    assert box(label)[2] <= 340


def test_points_in_one_place_share_a_label() -> None:
    labels = place([Point(300, 20, name) for name in ("ike", "mend", "serac")], AREA)
    assert [label.lines for label in labels] == [("ike, mend, serac",)]


def test_long_labels_have_several_lines() -> None:
    names = [f"some-method-{number}" for number in range(5)]
    [label] = place([Point(300, 20, name) for name in names], AREA)
    assert len(label.lines) == 3
    assert " ".join(label.lines) == ", ".join(names)


def test_labels_hide_neither_each_other_nor_points() -> None:
    points = [Point(40 + 22 * number, 20 + number % 3, f"method-{number}") for number in range(12)]
    labels = place(points, AREA)
    assert len(labels) == 12
    assert not any(hides(box(one), box(other)) for one, other in combinations(labels, 2))
    dots = [(one.x - 3, one.y - 3, one.x + 3, one.y + 3) for one in points]
    assert not any(hides(box(label), one) for label in labels for one in dots)
    assert any(label.leader for label in labels)


def test_of_many_names_in_one_place_the_last_are_counted() -> None:
    [label] = place([Point(300, 20, f"a-rather-long-name-{number}") for number in range(9)], AREA)
    assert label.lines[0] == "a-rather-long-name-0,"
    assert label.lines[-1] == "and 6 more"
    assert len(label.lines) == LINES


def test_a_name_that_would_hide_others_is_left_out() -> None:
    points = [Point(150 + 10 * (n % 6), 100 + 10 * (n // 6), f"a-longer-name-{n}") for n in range(36)]
    labels = place(points, AREA)
    assert 0 < len(labels) < 36
    for one, other in combinations(labels, 2):
        first, second = box(one), box(other)
        wide = min(first[2], second[2]) - max(first[0], second[0])
        tall = min(first[3], second[3]) - max(first[1], second[1])
        size = min((of[2] - of[0]) * (of[3] - of[1]) for of in (first, second))
        assert max(0, wide) * max(0, tall) <= 0.25 * size


def test_labels_go_out_of_the_way_of_intervals() -> None:
    [label] = place([Point(170, 100, "mend")], AREA, [(120.0, 99.0, 240.0, 101.0)])
    assert label.anchor == "middle"

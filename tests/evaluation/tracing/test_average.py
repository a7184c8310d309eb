from __future__ import annotations

import pytest

from evaluation.tracing.average import advise, by_image_token, by_role, of_prompt, peaks, traced_only
from evaluation.tracing.records import Rows, Traced
from evaluation.tracing.terms import SITES, Kind, Role


def traced(
    number: int, roles: tuple[Role, ...], rows: Rows, *, kind: Kind = "text", together: float = 0.9
) -> Traced:
    return Traced(
        id=str(number),
        kind=kind,
        group=str(number // 2),
        prompt="p",
        answer="a",
        tokens=tuple(f"t{place}" for place in range(len(roles))),
        roles=roles,
        clean=0.9,
        corrupted=0.1,
        effects=dict.fromkeys(SITES, rows),
        together={site: (together,) * len(rows) for site in SITES},
    )


def test_a_prompt_counts_with_the_mean_of_its_role() -> None:
    one = traced(
        1, ("before", "subject_middle", "subject_middle", "subject_last"), ((0, 1, 3, 5), (0, 0, 0, 1))
    )
    two = traced(
        2, ("subject_middle", "subject_last", "after", "last"), ((4, 7, 1, 1), (2, 3, 1, 1)), together=0.7
    )
    found = by_role([one, two], "mlp")
    assert {line.name: (line.values, line.prompts) for line in found.lines} == {
        "whole subject": (pytest.approx((0.8, 0.8)), 2),
        "words before it (1)": ((0, 0), 1),
        "subject, middle": ((3, 1), 2),
        "subject, last token": ((6, 2), 2),
        "words after it (1)": ((1, 1), 1),
        "last token (1)": ((1, 1), 1),
    }
    assert peaks([one, two])[0] == ("hidden", "subject, last token", 0, 6)


def test_positions_of_images_and_of_one_prompt() -> None:
    roles: tuple[Role, ...] = ("image", "image", "last")
    traces = [traced(1, roles, ((1, 2, 0),), kind="image"), traced(2, roles, ((3, 2, 1),), kind="image")]
    assert [line.values for line in by_image_token(traces, "hidden").lines] == [(2,), (2,)]
    lines = of_prompt(traces[1], "hidden").lines
    assert [(line.name, line.values, line.prompts) for line in lines] == [
        ("whole image", (0.9,), 1),
        ("t0", (3,), 1),
        ("t1", (2,), 1),
        ("t2", (1,), 1),
    ]


def test_a_prompt_with_very_many_image_tokens_is_shown_without_them() -> None:
    one = traced(1, ("image",) * 65 + ("last",), ((0,) * 66,), kind="image")
    assert [line.name for line in of_prompt(one, "hidden").lines] == ["whole image", "t65"]


def test_the_peak_at_the_subject_is_suggested() -> None:
    rows: Rows = ((0.1, 0.0), (0.3, 0.0), (0.5, 0.0), (0.26, 0.9), (0.1, 0.9), (0.4, 0.9))
    (advice,) = advise([traced(number, ("subject_last", "last"), rows) for number in range(4)])
    assert advice.where == "the subject's last token"
    assert (advice.layer, list(advice.layers)) == (2, [1, 2, 3])
    assert advice.effect.mean == pytest.approx(0.5)
    assert advice.effect.images == 2
    assert advice.clear


def test_without_a_subject_the_last_token_and_the_strongest_before_it() -> None:
    rows: Rows = ((0.0, 0.1, 0.0, 0.0), (0.0, 0.4, 0.2, 0.1), (0.0, 0.0, 0.0, 0.8))
    roles: tuple[Role, ...] = ("image", "question", "template", "last")
    last, words = advise([traced(number, roles, rows, kind="image") for number in range(4)])
    assert (last.where, last.layer) == ("the last token", 2)
    assert (words.where, words.layer) == ("the words of the question", 1)


def test_where_nothing_stands_out() -> None:
    roles: tuple[Role, ...] = ("subject_end",)
    spread = [
        traced(number, roles, ((value,),)) for number, value in ((0, 0.5), (2, -0.6), (4, 0.3), (6, -0.2))
    ]
    assert not advise(spread)[0].clear
    assert advise([]) == []
    assert traced_only([Traced(id="1", kind="text", group="", prompt="", answer="", skipped="why")]) == []

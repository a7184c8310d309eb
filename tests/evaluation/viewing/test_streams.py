"""Streams in the viewer: what became of each edit, and of the fixed set, over time."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect

from evaluation.data.dataset import load_cases
from evaluation.results.stream_summary import Stream, measured
from evaluation.results.streams import Placed, StreamFolder, read_stream
from evaluation.viewing.app import viewer
from evaluation.viewing.index import make_index
from evaluation.viewing.steps import Steps, find_steps
from evaluation.viewing.streaming import stream_overview, streams_of
from mmedit_build.console import silent
from mmedit_build.errors import UserError
from mmedit_build.pages.index import Index
from tests.evaluation.viewing.conftest import NUMBERS, make_case
from tests.serving import browsing, running


def asked(index: Index, **wanted: object) -> tuple[int, list[dict[str, object]]]:
    usual = {"task": "vqa", "runs": runs(index), "column": "Kept", "protocol": "wild", "number": 4}
    with index.reading() as connection:
        found = find_steps(connection, Steps.model_validate({**usual, **wanted}))
    return found["total"], found["steps"]


def runs(index: Index) -> str:
    with index.reading() as connection:
        return ",".join(str(run["run"]) for run in streams_of(connection, "vqa"))


def test_means_are_those_of_reports(streamed: Index, results: Path) -> None:
    header, checkpoints, online = read_stream(results / "vqa" / "streams" / "ft")
    told = measured(Stream("vqa", checkpoints, online), "wild", 4)
    with streamed.reading() as connection:
        wild, legacy = stream_overview(connection, "vqa")
        named = {run["run"]: run["name"] for run in streams_of(connection, "vqa")}
    assert (wild["protocol"], legacy["protocol"]) == ("wild", "legacy")
    (row,) = [row for row in wild["rows"] if named[row["run"]] == "ft" and row["number"] == 4]
    assert {name: found[0] for name, found in row["means"].items()} == {
        name: found.mean for name, found in told.items()
    }
    assert header.settings.stream == 4


def test_lists_have_every_position_of_every_order(streamed: Index) -> None:
    total, steps = asked(streamed)
    assert total == 8
    assert [(step["ord"], step["position"]) for step in steps] == [(o, p) for o in (0, 1) for p in range(4)]
    assert asked(streamed, order=1)[0] == 4
    assert asked(streamed, column="Online", number=2)[0] == 4
    # What ft forgets, ike does not.
    assert [asked(streamed, show=show)[0] for show in ("lost", "fails", "disagree", "all-pass")] == [
        4,
        4,
        4,
        4,
    ]
    first, second = runs(streamed).split(",")
    assert asked(streamed, runs=first, show="lost")[0] + asked(streamed, runs=second, show="lost")[0] == 4
    (step, *_) = asked(streamed, show="lost")[1]
    ft = next(cell for cell in step["cells"] if cell[4]["value"] == 0)  # type: ignore[attr-defined]
    assert {number: found["value"] for number, found in ft.items()} == {0: 1, 2: 0, 4: 0}
    assert ft[4]["said"] == "wrong <b>ft</b>"
    assert asked(streamed, text="wrong <b>ft")[0] == 4
    assert asked(streamed, text="no such words")[0] == 0


def test_the_fixed_set_is_followed_too(streamed: Index) -> None:
    early, late = (asked(streamed, column="Ability", number=number, show="lost")[0] for number in NUMBERS)
    assert early == 0
    assert late == asked(streamed, column="Ability")[0] > 0
    with pytest.raises(UserError, match="There is no column of streams 'Abilty'; did you mean 'Ability'"):
        asked(streamed, column="Abilty")


def test_only_streams_that_have_changed_are_read_anew(
    streamed: Index, results: Path, dataset: Path, tmp_path: Path
) -> None:
    cases = load_cases(str(dataset), "vqa")
    folder = StreamFolder(results / "vqa" / "streams" / "ike")
    late = Placed(order=2, position=0, result=make_case(cases[0], "ike", False))
    folder.add_online(late)
    make_index([results], tmp_path / "cache", None, silent)
    assert asked(streamed, column="Online", number=0)[0] == 9
    for path in (results / "vqa" / "streams" / "ft").iterdir():
        path.unlink()
    make_index([results], tmp_path / "cache", None, silent)
    assert len(runs(streamed).split(",")) == 1


def test_streams_alone_can_be_looked_at(streamed: Index, results: Path, tmp_path: Path) -> None:
    del streamed
    index = make_index([results / "vqa" / "streams"], tmp_path / "other", None, silent)
    assert asked(index)[0] == 8


def test_from_a_number_over_time_to_the_edit(streamed: Index) -> None:
    with running(viewer(streamed, [])) as port, browsing() as page:
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("link", name="over time").click()
        row = page.locator("section").first.locator("tr", has_text="ft").nth(1)
        # After four edits half of them are kept; the number leads to these four.
        row.get_by_role("link").nth(1).click()
        expect(page.locator("#count")).to_contain_text("8 asked, earlier edits after 4 edits (wild)")
        page.get_by_label("Show").select_option("lost")
        expect(page.locator(".times tbody tr")).to_have_count(4)
        expect(page.locator(".times tbody tr").first.locator("td.said.fail").first).to_contain_text(
            "wrong <b>ft</b>"
        )
        page.locator(".times tbody tr").first.get_by_role("link").click()
        expect(page.locator(".probe").first).to_be_visible()
        page.go_back()
        page.locator("details.runs summary").click()
        page.get_by_role("button", name="all methods").click()
        expect(page.locator(".matrix thead th")).to_have_count(1 + 1 + 2 * 3)


def test_a_phone_shows_streams_without_moving_sideways(streamed: Index) -> None:
    with running(viewer(streamed, [])) as port, browsing(viewport={"width": 390, "height": 800}) as page:
        for path in ("?view=streams", "?view=streams&column=Kept", "?view=streams&column=I-Loc"):
            page.goto(f"http://127.0.0.1:{port}/{path}")
            page.wait_for_load_state("networkidle")
            assert page.evaluate("document.documentElement.scrollWidth") == 390

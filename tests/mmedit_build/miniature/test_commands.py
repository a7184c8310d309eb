"""The commands `python -m mmedit_build.miniature` and `... .train`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from mmedit_build.checkpoints import BUNDLED
from mmedit_build.errors import UserError
from mmedit_build.miniature import __main__ as command
from mmedit_build.miniature.measure import report
from mmedit_build.miniature.measure.base import Measure, shown
from mmedit_build.miniature.train.__main__ import TRAINERS, What, trainer

DOCS = Path(__file__).parents[3] / "docs"


def test_there_is_a_trainer_and_a_measure_for_each_bundled_checkpoint() -> None:
    names = {name.removeprefix("miniature/") for name in BUNDLED}
    assert names == set(TRAINERS) == set(report.MEASURES) == {what.value for what in What} - {"all"}
    assert all(callable(trainer(name)) for name in TRAINERS)


@pytest.mark.parametrize(("value", "code"), [(0.9, 0), (0.4, 1)])
def test_report_as_json_fails_when_a_bar_is_missed(
    monkeypatch: pytest.MonkeyPatch, value: float, code: int
) -> None:
    measured = Measure("clip", "a bar", value, 10, least=0.5)
    monkeypatch.setitem(report.MEASURES, "clip", lambda *_: [measured])
    result = CliRunner().invoke(command.app, ["report", "clip", "--json"])
    assert result.exit_code == code
    assert json.loads(result.stdout)[0]["value"] == value


def test_report_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    for arguments, wrong in ((["vae"], "vae"), (["clip", "--weights", str(tmp_path)], "clip")):
        result = CliRunner().invoke(command.app, ["report", *arguments])
        assert isinstance(result.exception, UserError)
        assert wrong in str(result.exception)


def test_the_documented_numbers_are_the_measured_ones() -> None:
    page = (DOCS / "miniature.md").read_text(encoding="utf-8")
    rows = json.loads((DOCS / "miniature.json").read_text(encoding="utf-8"))
    assert {row["subject"] for row in rows} == set(TRAINERS)
    for row in rows:
        assert f"| {row['subject']} | {row['name']} | {shown(row['value'])} |" in page


def test_no_placeholder_is_left_in_the_documents() -> None:
    for path in DOCS.parent.glob("*.md"):
        assert "@" + "TABLE" not in path.read_text(encoding="utf-8")
    assert "@" not in (DOCS / "miniature.md").read_text(encoding="utf-8")

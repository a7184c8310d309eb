"""Released rows of all formats as edits, with what their formats do not tell left open."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from mmedit_build.audit.targets import open_target
from mmedit_build.formats.edits import UNKNOWN, hops_of, portability_of
from mmedit_build.formats.files import read_rows
from mmedit_build.formats.rows import Hop
from mmedit_build.rows import EditRow, Portability
from tests.mmedit_build.conftest import PORTABILITY
from tests.mmedit_build.formats.rows import HOPS, ONEHOP, Row, ads_edit, cckeb, fgvedit, vlkeb


def _read(folder: Path, row: Row) -> EditRow:
    (folder / "eval.json").write_text(json.dumps([row]))
    [edit] = open_target(str(folder / "eval.json")).edits
    return edit


@pytest.mark.parametrize("row", [vlkeb(port_new=HOPS), vlkeb(port_new=ONEHOP), cckeb(), fgvedit()])
def test_hops_of_all_formats_come_along(tmp_path: Path, row: Row) -> None:
    assert hops_of(_read(tmp_path, row)) == next(read_rows(tmp_path / "eval.json")).hops


@pytest.mark.parametrize(("row", "base"), [(vlkeb(pred=""), UNKNOWN), (fgvedit(), ""), (ads_edit(), "")])
def test_a_format_without_predictions_is_not_one_whose_predictions_are_empty(
    tmp_path: Path, row: Row, base: str
) -> None:
    assert (_read(tmp_path, row).base, _read(tmp_path, row).prediction) == (base, "")


def test_what_a_format_does_not_have_is_none(tmp_path: Path) -> None:
    edit = _read(tmp_path, fgvedit())
    assert edit.imagined is None
    assert edit.locality is not None
    [beside] = edit.locality.image
    assert (beside.relation, beside.image_id, beside.question) == (
        "same_image",
        "42",
        "What color is the hat?",
    )
    lacking = _read(tmp_path, vlkeb(image_rephrase="", loc="", loc_ans="", m_loc="", m_loc_q="", m_loc_a=""))
    assert lacking.imagined is not None
    assert lacking.imagined.image == ""
    assert lacking.locality is not None
    assert (lacking.locality.text, lacking.locality.image) == ((), ())


def test_hops_of_one_step_are_written_as_they_were_before_there_were_others() -> None:
    rows = TypeAdapter(Portability)
    assert b"steps" not in rows.dump_json(PORTABILITY)
    far = portability_of([Hop("2-hop", "Whose land is it in?", "Ada's")])
    assert rows.validate_json(rows.dump_json(far)) == far

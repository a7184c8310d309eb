"""What travels through the stages, as it was written by earlier versions, too."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.engine.shards import read_rows, write_rows
from mmedit_build.errors import UserError
from mmedit_build.rows import EditRow


def _rewritten(path: Path, edit: EditRow, image_id: object) -> None:
    write_rows(path, [edit])
    row = json.loads(path.read_text())
    row["image_id"] = row["locality"]["image"][0]["image_id"] = image_id
    assert not {"released", "said_wrong", "left_out"} & row.keys()
    path.write_text(json.dumps(row))


def test_ids_of_images_that_were_numbers_are_read_as_texts(tmp_path: Path, make_edit: Any) -> None:
    edit, path = make_edit(), tmp_path / "rows.jsonl"
    _rewritten(path, edit, 42)
    [found] = read_rows(path, EditRow)
    assert found.locality is not None
    assert (found.image_id, found.locality.image[0].image_id) == ("42", "42")
    assert replace(found, locality=None) == replace(edit, locality=None)


@pytest.mark.parametrize("image_id", [[42], 4.2, None])
def test_ids_of_images_that_are_neither_are_refused(tmp_path: Path, make_edit: Any, image_id: object) -> None:
    path = tmp_path / "rows.jsonl"
    _rewritten(path, make_edit(), image_id)
    with pytest.raises(UserError, match="does not hold rows of this version of mmedit"):
        list(read_rows(path, EditRow))

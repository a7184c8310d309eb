"""The notebook of the documentation runs from top to bottom, and is kept without what came out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

TOUR = Path(__file__).parent.parent / "docs" / "tour.ipynb"


@pytest.fixture(scope="module")
def tour() -> Any:
    return nbformat.read(TOUR, as_version=4)  # type: ignore[no-untyped-call]


def test_it_is_kept_without_outputs(tour: Any) -> None:
    nbformat.validate(tour)
    cells = [cell for cell in tour.cells if cell.cell_type == "code"]
    assert len(cells) >= 8
    assert [cell for cell in cells if cell.outputs or cell.execution_count] == []
    # Lines of code are as long as elsewhere; what ran when, and where, is not kept.
    assert max(len(line) for cell in cells for line in cell.source.splitlines()) <= 120
    assert {*tour.metadata} == {"kernelspec", "language_info"}


def test_it_runs(tour: Any, tmp_path: Path) -> None:
    done = NotebookClient(
        tour, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    ).execute()
    shown = [
        output.data.get("text/plain", "")
        for cell in done.cells
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "execute_result"
    ]
    assert "edits=8" in shown[0]
    assert all(method in shown[3] for method in ("unedited", "ike", "ft"))
    made = eval(shown[-1])
    assert made["inside"][0] == made["wished"] != made["before"][0]
    assert made["after"] == made["before"]
    assert (tmp_path / "tour" / "eval" / "vqa" / "ike" / "results.jsonl").is_file()

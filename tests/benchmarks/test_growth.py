"""The engine's own cost is measured of runs that do, find and move the same rows."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.growth.command import main


def test_numbers_and_a_plot_are_written(tmp_path: Path) -> None:
    main(tmp_path, rows="600,1200")
    measured = json.loads((tmp_path / "growth.json").read_bytes())
    assert [one["rows"] for one in measured] == [600, 1200]
    assert all(one[kind] > 0 for one in measured for kind in ("first", "again", "cut"))
    assert all(20 < one[f"{kind}_peak"] < 300 for one in measured for kind in ("first", "again", "cut"))
    root = ElementTree.fromstring((tmp_path / "growth.svg").read_bytes())
    words = [one.text for one in root.iter("{http://www.w3.org/2000/svg}text")]
    assert {"first run", "all done", "cut anew", "1,200"} <= {*words}

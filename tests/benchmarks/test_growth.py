"""What the machinery costs is measured: of runs that do, find and move the same rows, and of datasets."""

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


def test_audits_publishing_and_exchange_are_measured_too(tmp_path: Path) -> None:
    main(tmp_path, rows="30,60", datasets=True)
    measured = json.loads((tmp_path / "datasets.json").read_bytes())
    assert [one["rows"] for one in measured] == [30, 60]
    # Where torch is imported, it takes 400 alone.
    kinds = ("audit", "publish", "published", "export", "imported")
    assert all(50 < one[f"{kind}_peak"] < 300 for one in measured for kind in kinds)
    ElementTree.fromstring((tmp_path / "datasets.svg").read_bytes())

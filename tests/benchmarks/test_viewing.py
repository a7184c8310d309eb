from __future__ import annotations

from pathlib import Path

from benchmarks.viewing.besides import add_besides
from benchmarks.viewing.made import PROBES, make_results
from evaluation.results.records import read_results
from evaluation.viewing.index import make_index
from evaluation.viewing.lists import Wanted, find_edits
from evaluation.viewing.steps import Steps, find_steps
from evaluation.viewing.streaming import streams_of
from evaluation.viewing.titles import about
from mmedit_build.console import silent


def test_made_up_results_are_read_and_viewed_like_real_ones(tmp_path: Path) -> None:
    make_results(tmp_path / "results", edits=5, methods=2)
    add_besides(tmp_path / "results")
    header, lines = read_results(next((tmp_path / "results" / "vqa").iterdir()))
    assert (header.edits, len(lines), {len(line.probes) for line in lines}) == (5, 5, {len(PROBES)})
    index = make_index([tmp_path / "results"], tmp_path / "cache", None, silent)
    with index.reading() as connection:
        runs = [run["run"] for run in about(connection)["runs"]]
        wanted = Wanted(task="vqa", measure="wild.gain.match.near_wrong", runs=",".join(map(str, runs)))
        total, edits = find_edits(connection, wanted)
        compared = [one["key"] for one in about(connection)["tasks"][0]["measures"] if one["compared"]]
        streams = streams_of(connection, "vqa")
        asked = {"task": "vqa", "column": "Kept", "protocol": "wild", "number": 1}
        steps = find_steps(connection, Steps.model_validate({**asked, "runs": str(streams[0]["run"])}))
    assert (total, len(runs), {len(edit["cells"]) for edit in edits}) == (5, 3, {3})
    assert "judged.reliability.match." in compared
    assert [(one["numbers"], one["orders"]) for one in streams] == [([1], 3)] * 2
    assert steps["total"] == 3

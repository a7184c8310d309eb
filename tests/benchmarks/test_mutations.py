"""Which bugs are tried, by which tests, and what comes of it."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.mutants import Mutant
from benchmarks.mutations import ROOT, belonging, choose, tried


def test_the_same_bugs_are_chosen_again_and_more_are_added_to_them() -> None:
    few, many = (choose(["editors/losses.py", "editors/memory"], count, 0) for count in (12, 20))
    assert many[:12] == few
    assert len({mutant.kind for mutant in few}) > 6
    assert choose(["editors/losses.py", "editors/memory"], 12, 1) != few


def test_belonging_a_file_are_its_own_and_then_those_of_what_imports_it() -> None:
    own, others = belonging("editors/losses.py", ROOT)
    assert own == ["tests/editors/test_losses.py"]
    assert {"tests/editors/test_mend.py", "tests/editors/test_contract.py"} <= set(others)
    assert own[0] not in others
    assert any(
        "tests/evaluation/run/test_evaluate.py" in tests
        for tests in belonging("evaluation/run/headers.py", ROOT)
    )


def test_a_bug_is_noticed_or_not_and_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "editors").mkdir()
    (tmp_path / "tests" / "editors").mkdir(parents=True)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    source = "def larger(one, two):\n    return one > two\n"
    (tmp_path / "editors" / "size.py").write_text(source)
    for name in ("tests/editors/test_contract.py", "tests/editors/test_seeds.py"):
        (tmp_path / name).write_text("def test_nothing():\n    pass\n")
    (tmp_path / "tests" / "editors" / "test_size.py").write_text(
        "from editors.size import larger\n\n\ndef test_larger():\n    assert larger(2, 1)\n"
    )
    verdicts = {
        bug: tried(
            Mutant("editors/size.py", 2, "", "    return one > two", f"    return {bug}"), tmp_path, 100
        )
        for bug in ("one < two", "one >= two")
    }
    assert verdicts == {"one < two": "tests/editors/test_size.py::test_larger", "one >= two": ""}
    assert (tmp_path / "editors" / "size.py").read_text() == source

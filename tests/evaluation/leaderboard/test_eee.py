"""Records are held against the schemas, and against what the validator asks of files together."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator, ValidationError

from evaluation.leaderboard.entries import sha256
from evaluation.report.runs import find_runs
from evaluation.results.summary import estimated, headline
from mmedit_build.errors import UserError
from tests.evaluation.leaderboard.conftest import call

SCHEMAS = Path(__file__).parent / "schemas"
PLACE = re.compile(
    r"data/mmedit-[^/]+/miniature/mllm/[0-9a-f-]{14}4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\.json"
)


def schema(name: str) -> Draft7Validator:
    content = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
    Draft7Validator.check_schema(content)
    return Draft7Validator(content)


@pytest.fixture(scope="module")
def exported(judged: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("eee")
    done = call("export", judged / "all", "--format", "eee", "--organization", "somebody", "--out", out)
    assert done.exit_code == 0, done.output
    return out


def records(exported: Path) -> list[tuple[str, Any, list[Any]]]:
    """Each record, its place, and its rows."""
    found = []
    for path in sorted(exported.rglob("*.json")):
        rows = path.with_name(f"{path.stem}_samples.jsonl").read_text(encoding="utf-8").splitlines()
        place = path.relative_to(exported).as_posix()
        found.append((place, json.loads(path.read_text(encoding="utf-8")), [json.loads(row) for row in rows]))
    return found


def test_records_fit_the_schemas(exported: Path) -> None:
    whole, row = schema("eval"), schema("instance_level_eval")
    found = records(exported)
    assert len(found) == 4
    for place, record, rows in found:
        assert PLACE.fullmatch(place)
        whole.validate(record)
        for one in rows:
            row.validate(one)


@pytest.mark.parametrize("field", ["evaluation_id", "eval_library", "model_info", "evaluation_results"])
def test_the_schema_would_notice(exported: Path, field: str) -> None:
    _, record, _ = records(exported)[0]
    altered = copy.deepcopy(record)
    del altered[field]
    with pytest.raises(ValidationError, match=f"'{field}' is a required property"):
        schema("eval").validate(altered)


def test_a_record_and_its_rows_belong_together(exported: Path) -> None:
    for place, record, rows in records(exported):
        about = record["detailed_evaluation_results"]
        assert about["file_path"] == place.replace(".json", "_samples.jsonl")
        assert about["checksum"] == sha256((exported / about["file_path"]).read_bytes())
        assert about["total_rows"] == len(rows) > 0
        assert {row["evaluation_id"] for row in rows} == {record["evaluation_id"]}
        assert {row["model_id"] for row in rows} == {record["model_info"]["id"]} == {"miniature/mllm"}
        named = {result["evaluation_result_id"] for result in record["evaluation_results"]}
        assert {row["evaluation_result_id"] for row in rows} <= named
        details = record["model_info"]["additional_details"]
        assert all(isinstance(value, str) for value in details.values())
        assert details["deployment_type"] == "self_deployed"


def test_numbers_are_those_of_reports_and_rows_average_to_them(exported: Path, judged: Path) -> None:
    runs = {(task, run.name): run for task, of_task in find_runs([judged / "all"]).items() for run in of_task}
    for _, record, rows in records(exported):
        _, _, _, editor, task, _ = record["evaluation_id"].split("/")
        for result in record["evaluation_results"]:
            protocol, title = result["evaluation_result_id"].split("/")
            found = estimated(runs[task, editor].results, headline(task, protocol)[title])
            assert found is not None
            assert result["score_details"]["score"] == found.mean
            scores: dict[str, list[float]] = {}
            for row in rows:
                if row["evaluation_result_id"] == result["evaluation_result_id"]:
                    scores.setdefault(row["metadata"]["edit"], []).append(row["evaluation"]["score"])
            means = [sum(of) / len(of) for of in scores.values()]
            if protocol == "wild":
                assert sum(means) / len(means) == pytest.approx(found.mean)


def test_the_same_results_make_the_same_files(exported: Path, judged: Path, tmp_path: Path) -> None:
    call("export", judged / "all", "--format", "eee", "--organization", "somebody", "--out", tmp_path)
    names = [path.relative_to(exported) for path in exported.rglob("*") if path.is_file()]
    assert all((tmp_path / name).read_bytes() == (exported / name).read_bytes() for name in names)


def test_who_ran_it_has_to_be_said(judged: Path, tmp_path: Path) -> None:
    done = call("export", judged / "all", "--format", "eee", "--out", tmp_path)
    assert isinstance(done.exception, UserError)
    assert "--organization" in str(done.exception)

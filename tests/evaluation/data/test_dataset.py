from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evaluation.data.cases import Case, Kind, Premise, Probe
from evaluation.data.dataset import digest, load_cases
from mmedit_build.build import finish
from mmedit_build.engine.shards import Tally, write_rows
from mmedit_build.errors import UserError
from mmedit_build.publishing.tables import write_tables
from mmedit_build.rows import (
    SPLITS,
)
from mmedit_build.work import STAGES, Work
from tests.evaluation.data.conftest import EDITS, by_id, painted, publish, without_pictures
from tests.mmedit_build.conftest import HOP, PORTABILITY


def test_a_published_dataset_gives_whole_cases(work: Path) -> None:
    cases = load_cases(str(work / "dataset"), "vqa")
    assert [case.id for case in cases] == ["vqa/val2014/1", "vqa/val2014/3"]
    case = cases[0]
    assert (case.image, painted(case), case.image_id) == (b"1 jpg", [b"1 png"], "1")
    assert (case.question, case.target) == ("How many cats?", "2")
    (text,), (again,) = case.of("text_generality"), case.of("image_generality")
    assert (text.question, text.image, text.answers) == ("What number of cats?", b"1 jpg", ("2",))
    assert (again.question, again.answers) == ("How many cats?", ("2",))
    assert (case.prediction, case.question_type, case.answers) == ("4", "count", ("2",) * 9 + ("3",))
    (fact,), (near,) = case.of("text_locality"), case.of("image_locality")
    assert (fact.question, fact.answers, fact.image, fact.relation) == ("who", ("Ada", "A."), None, "far")
    assert (near.id, near.relation, near.image) == ("okvqa/1", "same_image", b"1 jpg")
    # The answer that the model gave comes first, and none comes twice.
    assert near.answers == ("fun", "work")


def test_a_work_folder_gives_the_same_cases_with_files(work: Path) -> None:
    here, there = load_cases(str(work)), load_cases(str(work / "dataset"))
    assert here[0].image == work / "images" / "1.jpg"
    assert digest(here) == digest(there)
    assert list(map(without_pictures, here)) == list(map(without_pictures, there))


def test_what_follows_from_an_edit_is_asked_wherever_it_is_read(work: Path) -> None:
    edits = [replace(one, portability=PORTABILITY) if one.split == "test" else one for one in EDITS]
    # The last stage of a build that has it; the rows of attach stand beside.
    write_rows(work / "extend" / "rows.jsonl", edits)
    write_tables(edits, Work(work), work / "extended", embedded=True, extended=True)
    here, there = load_cases(str(work)), load_cases(str(work / "extended"))
    assert digest(here) == digest(there)
    assert digest(here) != digest(load_cases(str(work / "dataset")))
    (probe,) = here[0].of("portability")
    assert (probe.relation, probe.question, probe.answers) == ("1-hop", HOP.question, (HOP.answer,))
    assert probe.premise == Premise(question=HOP.premise, answers=(HOP.answer,))
    assert probe.image == here[0].image
    assert not load_cases(str(work / "extended"), split="train")[0].of("portability")


def test_train_and_test_are_told_apart(work: Path) -> None:
    splits = [by_id(load_cases(str(work / "dataset"), split=split)) for split in SPLITS]
    assert splits[0].keys().isdisjoint(splits[1])


def test_a_digest_sees_every_part(work: Path) -> None:
    case = load_cases(str(work))[0]
    hop = Probe(kind="portability", question="q", answers=("a",), relation="2-hop", image=case.image)
    premise = Premise(question="p", answers=("b",))

    def with_last(probe: Probe) -> Case:
        return replace(case, probes=(*case.probes[:-1], probe))

    def lacking(kind: Kind) -> Case:
        return replace(case, probes=tuple(probe for probe in case.probes if probe.kind != kind))

    others = [
        replace(case, target="3"),
        replace(case, image=b"other"),
        lacking("text_generality"),
        lacking("image_generality"),
        lacking("text_locality"),
        with_last(replace(case.probes[-1], relation="far")),
        with_last(replace(case.probes[-1], image=b"other")),
        with_last(replace(case.probes[-1], answers=("fun",))),
        with_last(hop),
        with_last(replace(hop, premise=premise)),
        with_last(replace(hop, premise=replace(premise, answers=("c",)))),
    ]
    assert len({digest([one]) for one in (case, *others)}) == 1 + len(others)


def test_images_that_are_only_named_are_looked_for(work: Path, tmp_path: Path) -> None:
    publish(Work(work), tmp_path / "named", embedded=False)
    with pytest.raises(UserError, match=r"names the image 1\.jpg.*--images"):
        load_cases(str(tmp_path / "named"))
    cases = load_cases(str(tmp_path / "named"), images=work / "images")
    assert cases[0].image == work / "images" / "1.jpg"
    assert painted(cases[0]) == [b"1 png"]
    assert digest(cases) == digest(load_cases(str(work)))


def test_an_item_that_is_missing_from_its_pool_is_named(work: Path) -> None:
    shutil.rmtree(work / "dataset" / "data" / "image_locality")
    with pytest.raises(UserError, match="names the locality item okvqa/1"):
        load_cases(str(work / "dataset"))


def test_a_broken_file_is_named(work: Path) -> None:
    path = work / "dataset" / "data" / "vqa" / "test-00000-of-00001.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=f"{path} is not a readable Parquet file"):
        load_cases(str(work / "dataset"))


def rewrite(dataset: Path, changes: dict[str, object]) -> None:
    """Change the first row of the first table of edits."""
    path = dataset / "data" / "vqa" / "test-00000-of-00001.parquet"
    table = pq.read_table(path)
    first, *others = table.to_pylist()
    pq.write_table(pa.Table.from_pylist([{**first, **changes}, *others], schema=table.schema), path)


def test_what_a_published_row_lacks_is_no_text(work: Path) -> None:
    path = work / "dataset" / "data" / "vqa" / "test-00000-of-00001.parquet"
    table = pq.read_table(path)
    first, second = table.to_pylist()
    first["target"] = first["question"] = first["prediction"] = first["question_type"] = None
    second["image_locality"][0]["answer"] = None
    second["text_locality"][0]["question"] = ""
    pq.write_table(pa.Table.from_pylist([first, second], schema=table.schema), path)
    one, other = load_cases(str(work / "dataset"))
    assert (one.target, one.question, one.prediction, one.question_type) == ("", "", "", "unknown")
    assert other.of("text_locality", "image_locality") == ()


def row(**changes: str) -> dict[str, str]:
    whole = {
        "src": "How many?",
        "pred": "3",
        "rephrase": "What number?",
        "alt": " 2",
        "image": "val2014/a.jpg",
        "image_rephrase": "val2014_image_rephrase/1_a.png",
        "loc": "nq question: who",
        "loc_ans": "Ada",
        "m_loc": "val2014/b.jpg",
        "m_loc_q": "What for?",
        "m_loc_a": "fun",
    }
    return {**whole, **changes}


def test_files_of_mmedit_are_read_as_they_are(tmp_path: Path) -> None:
    rows = [row(), row(alt=""), row(loc="who", m_loc_a="", image_rephrase="")]
    (tmp_path / "vqa_eval.json").write_text(json.dumps(rows))
    (tmp_path / "caption_train_edit.json").write_text(json.dumps([row()]))
    first, last = load_cases(str(tmp_path), "vqa")
    assert (first.id, first.target, first.image) == ("vqa_eval/1", "2", tmp_path / "val2014/a.jpg")
    assert [(one.question, one.prefixed) for one in first.of("text_locality")] == [("who", True)]
    assert [one.image for one in first.of("image_locality")] == [tmp_path / "val2014/b.jpg"]
    assert [(one.question, one.prefixed) for one in last.of("text_locality")] == [("who", False)]
    assert (last.id, last.of("image_generality", "image_locality")) == ("vqa_eval/3", ())
    assert load_cases(str(tmp_path / "vqa_eval.json"))[0].id == "vqa_eval/1"
    moved = load_cases(str(tmp_path), "vqa", images=Path("elsewhere"))
    assert moved[0].image == Path("elsewhere/val2014/a.jpg")
    with pytest.raises(UserError, match=r"no caption edits of the split test; it has vqa \(test\), caption"):
        load_cases(str(tmp_path), "caption")


@pytest.mark.parametrize("key", ["image", "image_rephrase", "m_loc"])
@pytest.mark.parametrize("name", ["/etc/passwd", "../outside.jpg", "link.jpg"])
def test_no_image_outside_the_folder_is_shown_to_a_model(tmp_path: Path, key: str, name: str) -> None:
    (tmp_path / "link.jpg").symlink_to("/etc/passwd")
    (tmp_path / "vqa_eval.json").write_text(json.dumps([row(), row(**{key: name})]))
    with pytest.raises(UserError, match=r"Row 2 of .*vqa_eval\.json names the image .* leads out of"):
        load_cases(str(tmp_path), "vqa")


def test_names_of_images_in_a_table_lead_nowhere_else_either(work: Path, tmp_path: Path) -> None:
    publish(Work(work), tmp_path / "named", embedded=False)
    rewrite(tmp_path / "named", {"image_name": "../outside.jpg"})
    with pytest.raises(UserError, match=r"The row vqa/val2014/1 names the image .* leads out of the folder"):
        load_cases(str(tmp_path / "named"), images=work / "images")


def test_an_unknown_relation_is_told_with_its_edit(work: Path) -> None:
    item = {"id": "okvqa/1", "relation": "near", "image_id": "1", "question": "what for", "answer": "fun"}
    rewrite(work / "dataset", {"image_locality": [item]})
    with pytest.raises(UserError, match=r"okvqa/1 of the edit vqa/val2014/1 has the relation 'near'"):
        load_cases(str(work / "dataset"))


def test_columns_of_another_type_are_told(work: Path) -> None:
    path = work / "dataset" / "data" / "text_locality" / "test-00000-of-00001.parquet"
    table = pq.read_table(path)
    pq.write_table(table.set_column(0, "id", pa.array(range(len(table)))), path)
    with pytest.raises(UserError, match=r"has the column id of type int64 and not string"):
        load_cases(str(work / "dataset"))


def test_edits_made_of_other_rows_than_there_are_now_are_refused(work: Path) -> None:
    for stage in STAGES:
        finish(Work(work), stage, Tally(), EDITS)
    assert len(load_cases(str(work))) == 2
    finish(Work(work), "rephrase", Tally(), EDITS[:3])
    with pytest.raises(UserError, match=r"rows of rephrase .* have changed since imagine was made of them"):
        load_cases(str(work))


@pytest.mark.parametrize(
    "line", [b"{", b"[]", b"[" * 9000, b'"\xff"', b"null", b'{"id": 5}', b'{"id": "\\ud800"}']
)
def test_rows_of_a_work_folder_that_are_none_are_told(work: Path, line: bytes) -> None:
    with (work / "attach" / "rows.jsonl").open("ab") as file:
        file.write(line + b"\n")
    with pytest.raises(UserError, match=r"rows\.jsonl does not hold rows of this version"):
        load_cases(str(work))


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "\ud800"])
def test_a_name_that_no_file_can_have_is_told(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_cases(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("work/datasett", r"does not exist.*Did you mean .*work/dataset\?"),
        ("", r"holds no dataset.*Did you mean .*work\?"),
        ("work/images", "holds no dataset"),
    ],
)
def test_a_wrong_dataset_is_told_with_the_nearest(name: str, told: str, work: Path) -> None:
    with pytest.raises(UserError, match=told):
        load_cases(str(work.parent / name))


def test_the_nearest_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "vqa_eval.json").write_text(json.dumps([row()]))
    with pytest.raises(UserError, match=r"Did you mean .*vqa_eval\.json\?"):
        load_cases(str(tmp_path / "vqa_evall.json"))


def test_a_wrong_task_or_split_is_told_with_what_there_is(work: Path) -> None:
    with pytest.raises(UserError, match=r"no task 'vqs'; did you mean 'vqa'\? There are: vqa, caption"):
        load_cases(str(work), "vqs")
    with pytest.raises(UserError, match=r"no caption edits.*it has vqa \(train\), vqa \(test\)"):
        load_cases(str(work), "caption")


def test_a_dataset_that_is_neither_here_nor_on_the_hub_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"Cannot load someone/nothing@v1 from the Hub"):
        load_cases("someone/nothing@v1")


def test_a_dataset_in_the_cache_of_the_hub_is_found(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = "0123456789abcdef0123456789abcdef01234567"
    place = tmp_path / "hub" / "datasets--someone--cats"
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(commit)
    shutil.copytree(work / "dataset", place / "snapshots" / commit)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    assert digest(load_cases("someone/cats")) == digest(load_cases(str(work)))
    assert len(load_cases(f"someone/cats@{commit}", "vqa", "train")) == 2


def test_ids_that_come_twice_are_refused(work: Path) -> None:
    write_rows(work / "attach" / "rows.jsonl", [EDITS[0], EDITS[0]])
    with pytest.raises(UserError, match="gives 1 ids to several edits, such as vqa/val2014/1"):
        load_cases(str(work))

"""Released files become cases with typed probes, whichever format they are in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from evaluation.data.cases import Case, Premise
from evaluation.data.dataset import digest, load_cases
from mmedit_build.errors import UserError
from tests.mmedit_build.formats.rows import HOPS, ONEHOP, Row, ads_edit, cckeb, fgvedit, port, vlkeb


def write(folder: Path, *rows: Row, name: str = "eval.json") -> Path:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(rows))
    return folder / name


def read(folder: Path, *rows: Row) -> list[Case]:
    return load_cases(str(write(folder, *rows)), images=folder / "images")


def kinds(case: Case) -> list[tuple[Any, ...]]:
    return [(probe.kind, probe.relation, probe.question, probe.answers) for probe in case.probes]


def test_a_row_of_vlkeb(tmp_path: Path) -> None:
    [case] = read(tmp_path, vlkeb(port_new=HOPS))
    image = tmp_path / "images" / "m.010bnr" / "google_13.jpg"
    assert (case.id, case.task, case.split) == ("eval/1", "vqa", "test")
    assert (case.image, case.image_id) == (image, "m.010bnr/google_13.jpg")
    assert (case.question, case.target, case.prediction) == (
        *("What Moroccan city is depicted?", "Marrakesh", "Monte Carlo"),
    )
    assert kinds(case) == [
        ("text_generality", None, "Which city of Morocco does the picture show?", ("Marrakesh",)),
        ("image_generality", None, "What Moroccan city is depicted?", ("Marrakesh",)),
        ("portability", "1-hop", "In which land is it?", ("Morocco",)),
        ("portability", "2-hop", "What is spoken in its land?", ("Arabic",)),
        ("portability", "4-hop", HOPS[2]["Q&A"]["Question"], ("Hassan",)),
        ("text_locality", "far", "who sang the song", ("Ada",)),
        ("image_locality", "far", "What is it for?", ("digging",)),
    ]
    assert {probe.image for probe in case.of("portability")} == {image}
    assert [probe.premise for probe in case.of("portability")] == [None] * 3
    assert not case.of("text_locality")[0].prefixed
    assert len({(probe.kind, probe.id) for probe in case.probes}) == len(case.probes)


def test_a_first_hop_that_is_edited_along(tmp_path: Path) -> None:
    [case] = read(tmp_path, vlkeb(port_new=ONEHOP))
    [hop], [fact] = case.of("portability"), case.of("reliability")
    assert (hop.relation, hop.question, hop.answers) == ("1-hop", "In which land is the city?", ("Spain",))
    assert (fact.relation, fact.question, fact.answers, fact.image) == (
        *("second", "In which land is Marrakesh?", ("Spain",), None),
    )


def test_a_row_of_cckeb_has_premises_and_a_second_edit(tmp_path: Path) -> None:
    [case] = read(tmp_path, cckeb())
    hop, both = case.of("portability")
    assert (hop.relation, hop.question) == ("1-hop", "In which land is it?")
    assert hop.premise == Premise(question="In which land is Marrakesh?", answers=("Morocco",))
    assert (both.relation, both.question, both.answers) == ("composed", "Who is its mayor?", ("Zoe",))
    assert both.premise is None
    assert both.image == case.image
    second = [
        (one.kind, one.question, one.answers, one.image) for one in case.probes if one.relation == "second"
    ]
    assert second == [
        ("reliability", "Who is the mayor of Marrakesh?", ("Zoe",), None),
        ("text_generality", "Who governs Marrakesh?", ("Zoe",), None),
    ]


def test_what_two_edits_say_together_is_not_asked_of_one(tmp_path: Path) -> None:
    row = cckeb()
    del row["textual_edit"]
    [case] = read(tmp_path, row)
    assert [one.relation for one in case.of("portability", "reliability")] == ["1-hop"]


def test_a_row_of_fgvedit(tmp_path: Path) -> None:
    [case] = read(tmp_path, fgvedit())
    assert kinds(case) == [
        ("text_generality", None, "What is the man riding?", ("horse",)),
        ("text_generality", "same_image", "Which animal carries the man?", ("a horse",)),
        ("text_locality", "far", "who sang the song", ("Ada",)),
        ("image_locality", "same_image", "What color is the hat?", ("red",)),
    ]
    assert {probe.image for probe in case.of("text_generality", "image_locality")} == {case.image}
    assert case.of("text_locality")[0].prefixed


def test_rows_of_ads_edit_with_one_image(tmp_path: Path) -> None:
    [case] = read(tmp_path, ads_edit(image=["1.jpg", "2.jpg"]), ads_edit())
    assert (case.id, case.image_id) == ("eval/2", "codalm/test_3391.jpg")
    [painted] = case.of("image_generality")
    assert painted.image == tmp_path / "images" / "codalm" / "test_0138.jpg"


def test_what_is_empty_is_not_asked(tmp_path: Path) -> None:
    ports = [port("1-hop", "Where?", " "), port("2-hop", "Who?", " Ada ")]
    empty = vlkeb(rephrase="", image_rephrase="", loc="", m_loc_a="", port_new=ports)
    [case] = read(tmp_path, empty, vlkeb(alt=" "))
    assert kinds(case) == [("portability", "2-hop", "Who?", ("Ada",))]


def test_a_file_is_joined_by_what_stands_beside_it_to_learn_from(tmp_path: Path) -> None:
    path = write(tmp_path, vlkeb(port_new=HOPS), name="eval_multihop.json")
    with pytest.raises(UserError, match=r"no vqa or caption edits of the split train; it has vqa \(test\)"):
        load_cases(str(path), split="train")
    write(tmp_path, vlkeb(), vlkeb(src="Another?"), name="train.json")
    assert [case.id for case in load_cases(str(path), split="train")] == ["train/1", "train/2"]
    assert [case.id for case in load_cases(str(path))] == ["eval_multihop/1"]
    # Nothing is judged that was not named.
    with pytest.raises(UserError, match=r"no vqa or caption edits of the split test; it has vqa \(train\)"):
        load_cases(str(tmp_path / "train.json"))


def test_a_folder_has_each_edit_once_with_all_its_hops(tmp_path: Path) -> None:
    write(tmp_path, vlkeb(), vlkeb(src="Another?"))
    write(tmp_path, vlkeb(port_new=HOPS), name="eval_multihop.json")
    write(tmp_path, vlkeb(port_new=ONEHOP), name="eval_edit_onehop.json")
    first, second = load_cases(str(tmp_path))
    assert [probe.relation for probe in first.of("portability")] == ["1-hop", "2-hop", "4-hop"]
    assert second.of("portability") == ()


def test_a_digest_sees_hops_and_premises(tmp_path: Path) -> None:
    rows = [vlkeb(), vlkeb(port_new=HOPS[:1]), vlkeb(port_new=HOPS[:2]), cckeb(), cckeb(port_new=HOPS[:1])]
    assert len({digest(read(tmp_path, row)) for row in rows}) == 5


def test_images_stay_in_their_folder(tmp_path: Path) -> None:
    for key in ("image", "image_rephrase", "m_loc"):
        with pytest.raises(UserError, match=r"Row 1 of .*eval.json names the image '\.\./x\.jpg'"):
            read(tmp_path, vlkeb(**{key: "../x.jpg"}))

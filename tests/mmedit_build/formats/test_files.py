"""Which format a file is in is told by its keys; all are read into the same rows, and written back whole."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.formats.files import content_of, files_in, read_all, read_rows
from mmedit_build.formats.rows import Asked, Hop, ReleasedRow, Second
from tests.mmedit_build.formats.rows import HOPS, ONEHOP, Row, ads_edit, cckeb, dumped, fgvedit, port, vlkeb


def written(folder: Path, content: object, name: str = "eval.json") -> Path:
    path = folder / name
    path.write_text(json.dumps(content))
    return path


def read(folder: Path, *content: Row) -> list[ReleasedRow]:
    return list(read_rows(written(folder, list(content))))


def test_vlkeb(tmp_path: Path) -> None:
    plain, row = read(tmp_path, vlkeb(), vlkeb(port_new=HOPS))
    assert (row.src, row.pred, row.alt) == (plain.src, "Monte Carlo", "Marrakesh")
    assert (row.image, row.entity) == ("m.010bnr/google_13.jpg", "m.010bnr")
    assert (row.loc, row.m_loc, row.m_loc_a) == ("who sang the song", "m.0cc56/google_1.jpg", "digging")
    assert plain.hops == ()
    assert row.hops == (
        Hop("1-hop", "In which land is it?", "Morocco"),
        Hop("2-hop", "What is spoken in its land?", "Arabic"),
        Hop("4-hop", "Who reigned where the money of its land is printed?", "Hassan"),
    )


def test_vlkeb_with_the_first_hop_edited(tmp_path: Path) -> None:
    [row] = read(tmp_path, vlkeb(port_new=ONEHOP))
    assert row.second == Second("In which land is Marrakesh?", "Spain")
    assert row.hops == (Hop("1-hop", "In which land is the city?", "Spain"),)


def test_cckeb(tmp_path: Path) -> None:
    row, bare = read(tmp_path, cckeb(), vlkeb(port_new=[port("comp", "Who?", "Zoe")]))
    assert row.second == Second("Who is the mayor of Marrakesh?", "Zoe", "Who governs Marrakesh?")
    assert row.hops == (
        Hop("1-hop", "In which land is it?", "Morocco", "In which land is Marrakesh?"),
        Hop("comp", "Who is its mayor?", "Zoe", "Who is the mayor of Marrakesh?"),
    )
    assert (bare.second, bare.hops) == (None, (Hop("comp", "Who?", "Zoe"),))


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("", ""),
        ("Image Level: a\nText Level: None", ""),
        ("Who is it?", "Who is it?"),
        ("Text Level: b ", "b"),
    ],
)
def test_the_words_of_a_query(tmp_path: Path, query: str, words: str) -> None:
    [row] = read(tmp_path, cckeb(port_new=[port("1-hop", "q", "a", Query=query)]))
    assert row.hops[0].words == words


def test_fgvedit(tmp_path: Path) -> None:
    [row] = read(tmp_path, fgvedit())
    assert (row.pred, row.image_rephrase, row.m_loc, row.entity) == ("", "", "", "")
    assert (row.again, row.beside) == (
        Asked("Which animal carries the man?", "a horse"),
        Asked("What color is the hat?", "red"),
    )


def test_ads_edit_with_one_image_and_with_several(tmp_path: Path) -> None:
    video = ads_edit(image_type="video", image=["1.jpg", "2.jpg"], image_rephrase=["3.jpg"])
    views = ads_edit(image_type="multi-image", image={"FRONT": "../1.jpg", "BACK": "2.jpg"})
    one, *others = read(tmp_path, ads_edit(), video, views)
    assert (one.image, one.image_rephrase, one.pred) == ("codalm/test_3391.jpg", "codalm/test_0138.jpg", "")
    assert [row.image for row in others] == ["", ""]
    assert [row.several for row in (one, *others)] == [False, True, True]


def test_rows_of_several_images_are_left_out_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    video = ads_edit(image=["1.jpg", "2.jpg"])
    with caplog.at_level(logging.WARNING):
        assert [one.number for one in read_all([written(tmp_path, [video, ads_edit()])])] == [2]
    assert "1 of 2 rows show several images or a video, and are left out" in caplog.text
    with pytest.raises(UserError, match=r"All rows of .*eval.json show several images"):
        list(read_all([written(tmp_path, [video])]))


ROWS: dict[str, Callable[..., Row]] = {
    **{"VLKEB": lambda **more: vlkeb(**{"port_new": HOPS, **more}), "CCKEB": cckeb},
    **{"FGVEdit": fgvedit, "ADS-Edit": ads_edit},
}


@pytest.mark.parametrize("title", ROWS)
def test_unknown_keys_are_kept_and_written_back(tmp_path: Path, title: str) -> None:
    content = [ROWS[title](tags=["a", {"b": None}]), ROWS[title]()]
    again = json.loads(dumped(read(tmp_path, *content)))
    assert again == content
    assert list(again[0]) == list(content[0])


def changed(row: Row, path: str, value: Any) -> Row:
    """The row with another value in a place; without it where the value is `...`."""
    whole: Row = json.loads(json.dumps(row))
    *way, last = (int(step) if step.isdigit() else step for step in path.split("/"))
    place: Any = whole
    for step in way:
        place = place[step]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return whole


@pytest.mark.parametrize(
    ("title", "path", "value", "sentence"),
    [
        ("VLKEB", "m_loc", ..., "lacks m_loc; give it, as in the format of VLKEB"),
        ("VLKEB", "port_new/1/Q&A/Answer", ..., r"lacks port_new\.2\.Q&A\.Answer; give it"),
        ("VLKEB", "port_new/0/Q&A", "text", r"has \'text\' as port_new\.1\.Q&A; make it an object"),
        (
            "VLKEB",
            "port_new/0/Q&A/Question",
            7,
            r"has \d+ as port_new\.1\.Q&A\.Question; make it a text",
        ),
        (
            "VLKEB",
            "port_new/2/port_type",
            "5-hop",
            r"has a wrong port_new\.3\.port_type \(Input should be '1-hop'",
        ),
        ("VLKEB", "port_new", {}, "has {} as port_new; make it a list"),
        ("VLKEB", "port_new/0", {"port_edit_q": "a"}, r"lacks port_new\.1\.port_edit_a, port_new\.1\.port_q"),
        ("CCKEB", "textual_edit/alt", ..., r"lacks textual_edit\.alt; give it, as in the format of CCKEB"),
        ("CCKEB", "src_q", None, "has None as src_q; make it a text"),
        ("FGVEdit", "fg_loc_a", ..., "lacks fg_loc_a; give it, as in the format of FGVEdit"),
        ("FGVEdit", "image", ["a.jpg"], r"has \['a.jpg'\] as image; make it a text"),
        ("ADS-Edit", "image_rephrase", ..., "lacks image_rephrase; give it, as in the format of ADS-Edit"),
        ("ADS-Edit", "image", 3, r"has a wrong image \(give the name of an image, or a list"),
        ("CCKEB", "textual_edit/pred", [1], r"has a wrong textual_edit\.pred \(give a text, or a list"),
    ],
)
def test_known_keys_that_are_missing_or_wrong_are_told_by_row_and_key(
    tmp_path: Path, title: str, path: str, value: Any, sentence: str
) -> None:
    good = ROWS[title]()
    with pytest.raises(UserError, match=f"Row 2 of .*eval.json {sentence}"):
        read(tmp_path, good, changed(good, path, value))


def test_names_say_what_files_are_about() -> None:
    names = ("train.json", "eval_multihop.json", "test_data.json", "caption_train_edit.json", "vqa_eval.json")
    assert [content_of(Path("x") / name) for name in names] == [
        *(("vqa", "train"), ("vqa", "test"), ("vqa", "test"), ("caption", "train"), ("vqa", "test"))
    ]


def test_a_folder_is_that_of_a_dataset_by_the_names_of_its_files(tmp_path: Path) -> None:
    assert files_in(tmp_path) == []
    for name in ("notes.json", "eval_edit_onehop.json", "eval.json", "eval_multihop.json", "train.json"):
        written(tmp_path, [], name)
    assert [file.name for file in files_in(tmp_path)] == ["train.json", "eval.json", "eval_multihop.json"]
    written(tmp_path, [], "vqa_eval.json")
    assert [file.name for file in files_in(tmp_path)] == ["vqa_eval.json"]


def test_an_edit_that_several_files_hold_comes_once_with_all_its_hops(tmp_path: Path) -> None:
    other = vlkeb(src="What else?")
    written(tmp_path, [vlkeb(), other], "eval.json")
    written(tmp_path, [vlkeb(port_new=HOPS[:2]), vlkeb(alt="Fez", port_new=HOPS)], "eval_multihop.json")
    written(tmp_path, [vlkeb(), vlkeb()], "train.json")
    found = read_all(files_in(tmp_path))
    assert [(one.path.name, one.number, len(one.row.hops)) for one in found] == [
        *(("train.json", 1, 0), ("train.json", 2, 0)),
        *(("eval.json", 1, 2), ("eval.json", 2, 0), ("eval_multihop.json", 2, 3)),
    ]

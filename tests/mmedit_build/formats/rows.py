"""Rows in the exact schemas of the released files."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Any

from mmedit_build.formats.files import Dump
from mmedit_build.formats.rows import ReleasedRow

Row = dict[str, Any]


def dumped(rows: Iterable[ReleasedRow]) -> bytes:
    """The file of these rows."""
    file = io.BytesIO()
    dump = Dump(file)
    for row in rows:
        dump.add(row)
    dump.end()
    return file.getvalue()


def vlkeb(**more: Any) -> Row:
    """As in VLKEB's train.json and eval.json, in the order of its keys."""
    return {
        "src": "What Moroccan city is depicted?",
        "rephrase": "Which city of Morocco does the picture show?",
        "pred": "Monte Carlo",
        "alt": "Marrakesh",
        "image": "m.010bnr/google_13.jpg",
        "image_rephrase": "m.010bnr/bing_2.jpg",
        "loc": "who sang the song",
        "loc_ans": "Ada",
        "m_loc": "m.0cc56/google_1.jpg",
        "m_loc_q": "What is it for?",
        "m_loc_a": "digging",
        **more,
    }


def port(steps: str, question: str, answer: str, **more: str) -> Row:
    """As in eval_multihop.json."""
    return {"port_type": steps, "Q&A": {"Question": question, "Answer": answer, **more}}


HOPS = [
    port("1-hop", "In which land is it?", "Morocco"),
    port("2-hop", "What is spoken in its land?", "Arabic"),
    port("4-hop", "Who reigned where the money of its land is printed?", "Hassan"),
]
ONEHOP = [
    {
        "port_edit_q": "In which land is Marrakesh?",
        "port_edit_a": "Spain",
        "port_q": "In which land is the city?",
        "port_a": "Spain",
    }
]


def cckeb(**more: Any) -> Row:
    """As in CCKEB, with MemEIC's queries."""
    row = vlkeb()
    row |= {
        f"{key}_q": f"Image Level: {row[key]}\nText Level: None" for key in ("src", "rephrase", "m_loc_q")
    }
    hop = "Image Level: What city is depicted?\nText Level: In which land is Marrakesh?"
    comp = "Image Level: What city is depicted?\nText Level: Who is the mayor of Marrakesh?"
    return {
        **row,
        "port_new": [
            port("1-hop", "In which land is it?", "Morocco", Query=hop),
            port("comp", "Who is its mayor?", "Zoe", Query=comp),
        ],
        "textual_edit": {
            "src": "Who is the mayor of Marrakesh?",
            "pred": ["Ada"],
            "alt": ["Zoe"],
            "rephrase": "Who governs Marrakesh?",
            "loc": "who painted the sky",
            "loc_ans": "Bob",
            "port_new": [],
        },
        **more,
    }


def fgvedit(**more: Any) -> Row:
    """As in FGVEdit's train_data.json and test_data.json."""
    return {
        "src": "What does the man ride?",
        "alt": "horse",
        "rephrase": "What is the man riding?",
        "image": "val2014/COCO_val2014_000000000042.jpg",
        "fg_gen_q": "Which animal carries the man?",
        "fg_gen_a": "a horse",
        "loc": "nq question: who sang the song",
        "loc_ans": "Ada",
        "fg_loc_q": "What color is the hat?",
        "fg_loc_a": "red",
        **more,
    }


def ads_edit(**more: Any) -> Row:
    """As in ADS-Edit, a row of one image."""
    return {
        "data_type": "Signboard understanding",
        "image_type": "single-image",
        "source": "codalm",
        "src": "What do the traffic cones signal?",
        "rephrase": "What do the cones mean?",
        "alt": "Construction zone ahead",
        "image": "codalm/test_3391.jpg",
        "image_rephrase": ["codalm/test_0138.jpg"],
        "original_gr": "Construction zone ahead",
        "rephrase_images_original_gr": "Construction zone ahead",
        "loc": "nq question: who sang the song",
        "loc_ans": "Ada",
        "m_loc": "val2014/COCO_val2014_000000117441.jpg",
        "m_loc_q": "What kind of scissors are these?",
        "m_loc_a": "metal",
        **more,
    }

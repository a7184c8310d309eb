"""The server of a review, asked over real connections: it shows rows, and keeps answers before it says so."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

import pytest

from mmedit_build.review.answers import read_answers
from mmedit_build.review.asked import asked_of
from mmedit_build.review.order import drawn
from tests.mmedit_build.review.conftest import MakeDrawn, reviewing


def ask(port: int, path: str, body: Any = None) -> tuple[int, bytes]:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"origin": f"http://127.0.0.1:{port}", "content-type": "application/json"}
    sent = None if body is None else json.dumps(body)
    connection.request("GET" if body is None else "POST", path, sent, headers)
    reply = connection.getresponse()
    return reply.status, reply.read()


def told(port: int, path: str, body: Any = None) -> Any:
    status, data = ask(port, path, body)
    assert status == 200, data
    return json.loads(data)


def test_what_is_answered_is_on_disk_and_the_next_row_follows(make_drawn: MakeDrawn) -> None:
    build = make_drawn(5)
    with reviewing(build, rows=3) as port:
        assert told(port, "/api/state") == {"who": "ada", "rows": 3, "judged": 0, "next": 0}
        first = told(port, "/api/rows/0")
        assert first["id"] == drawn(build.edits)[0].id
        assert [one["question"] for one in first["asked"]] == ["failure", "rephrase", "painting", "locality"]
        for number, one in enumerate(first["asked"], 1):
            state = told(port, "/api/answers", {"of": one["of"], "answer": "yes"})
            assert len(read_answers(build.work)["ada"]) == number
        assert (state["judged"], state["next"]) == (1, 1)
        undone = told(port, "/api/undo", {})
        assert (undone["place"], undone["number"], undone["judged"]) == (0, 3, 0)
        assert [one["answer"] for one in told(port, "/api/rows/0")["asked"]] == ["yes", "yes", "yes", None]
    with reviewing(build, rows=3) as port:
        assert told(port, "/api/state")["next"] == 0


def test_only_some_questions_are_asked(make_drawn: MakeDrawn) -> None:
    build = make_drawn(2)
    with reviewing(build, questions=("painting", "rephrase")) as port:
        asked = told(port, "/api/rows/0")["asked"]
        assert [one["question"] for one in asked] == ["rephrase", "painting"]
        for one in asked:
            state = told(port, "/api/answers", {"of": one["of"], "answer": "no"})
    assert (state["judged"], state["next"]) == (1, 1)


def test_what_others_say_is_told_to_nobody(make_drawn: MakeDrawn) -> None:
    build = make_drawn(2)
    with reviewing(build, "ada") as ada, reviewing(build, "ben") as ben:
        (of, *_) = [one.of for one in asked_of(drawn(build.edits)[0])]
        told(ada, "/api/answers", {"of": of, "answer": "no"})
        assert told(ben, "/api/state")["judged"] == 0
        assert told(ben, "/api/rows/0")["asked"][0]["answer"] is None
        told(ben, "/api/answers", {"of": of, "answer": "yes"})
    assert read_answers(build.work) == {"ada": {of: "no"}, "ben": {of: "yes"}}


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/answers", {"of": "0" * 16, "answer": "yes"}, 400),
        ("/api/answers", {"of": "0" * 16, "answer": "maybe"}, 422),
        ("/api/answers", ["yes"], 422),
        ("/api/rows/2", None, 404),
        ("/api/rows/-1", None, 404),
        ("/api/rows/one", None, 422),
        ("/pictures/0/..%2f..%2fsecret", None, 404),
        ("/pictures/0/nothing", None, 404),
        ("/pictures/9/image", None, 404),
        ("/pictures/-1/image", None, 404),
    ],
)
def test_what_is_not_there_is_refused_and_nothing_kept(
    make_drawn: MakeDrawn, path: str, body: Any, status: int
) -> None:
    build = make_drawn(2)
    with reviewing(build) as port:
        assert ask(port, path, body)[0] == status
    assert read_answers(build.work) == {}


def test_pictures_are_those_of_the_row_and_a_broken_one_is_a_sentence(make_drawn: MakeDrawn) -> None:
    build = make_drawn(2, pictures=True)
    first = drawn(build.edits)[0]
    assert first.imagined is not None
    with reviewing(build) as port:
        for name, image in (("image", first.image), ("painting", first.imagined.image), ("3", first.image)):
            assert ask(port, f"/pictures/0/{name}") == (200, build.work.path(image).read_bytes())
        build.work.path(first.image).write_bytes(b"<script>")
        status, data = ask(port, "/pictures/0/image")
    assert status == 400
    assert json.loads(data)["error"].endswith("as an image; put the file back.")

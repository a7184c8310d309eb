"""The client of served models against a server that fails, limits, refuses, or is not there."""

from __future__ import annotations

import random
import time
import traceback
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.services.chat import NoReply, Reply
from tests.mmedit_build.services.conftest import CUT_OFF, EMPTY, KEY, change, request, texts

FAULTS: list[dict[str, Any]] = [
    {"status": 429, "headers": {"Retry-After": "0.2"}, "body": "{}"},
    {"status": 429, "body": '{"error": {"message": "slow down"}}'},
    {"status": 500, "body": "oops"},
    {"status": 503, "headers": {"Retry-After": "0"}, "body": "<html>"},
    {"status": 408, "body": ""},
    {"status": 409, "body": ""},
    {"hang": True},
    {"cut": "before"},
    {"cut": "within"},
    {"body": '{"choices": [{"mess'},
    {"body": "[]"},
    {"body": '{"choices": []}'},
    {"body": "<html>not json</html>", "headers": {"Content-Type": "text/html"}},
    {"change": change(message=None)},
    EMPTY,
    CUT_OFF,
]


def test_no_row_is_lost_and_none_paid_twice_on_a_bad_day(chat_server: Any, open_chat: Any) -> None:
    script = [dict(fault) for fault in FAULTS * 2] + [{} for _ in range(30)]
    random.Random(1).shuffle(script)
    chat_server.script.extend(script)
    asked = [request(f"question {number}") for number in range(40)]
    # Enough attempts for the worst that chance can do, since each fault hits any request.
    chat = open_chat(retries=30, concurrency=8)
    outcomes = chat.ask(asked)
    lost = [one.reason for one in outcomes if isinstance(one, NoReply)]
    # Three useless replies in a row can hit one request; it is then not kept, and asked again below.
    again = chat.ask(asked)
    assert texts(again) == [f"reply to question {number}" for number in range(40)], lost
    assert chat_server.billed == {f"question {number}": 1 for number in range(40)}
    assert not chat_server.script
    assert chat_server.most_at_once <= 8 + sum("hang" in fault for fault in script)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_alone_is_tried_again(chat_server: Any, open_chat: Any, fault: dict[str, Any]) -> None:
    chat_server.script.append(fault)
    assert texts(open_chat().ask([request("x")])) == ["reply to x"]
    assert len(chat_server.seen) == 2


def test_useless_replies_are_given_up_soon_and_not_kept(chat_server: Any, open_chat: Any) -> None:
    chat_server.script.extend([EMPTY, CUT_OFF, {"body": "{"}])
    chat = open_chat()
    assert chat.ask([request("x")]) == [NoReply("malformed reply")]
    assert len(chat_server.seen) == 3
    assert texts(chat.ask([request("x")])) == ["reply to x"]


def test_retries_end(chat_server: Any, open_chat: Any) -> None:
    chat_server.judge = lambda seen: {"status": 500, "body": ""} if seen.text == "bad" else None
    outcomes = open_chat(retries=2).ask([request("bad"), request("good")])
    assert texts(outcomes) == ["NO: server error (500)", "reply to good"]
    assert sum(seen.text == "bad" for seen in chat_server.seen) == 3


def test_all_requests_wait_when_the_server_asks_for_it(chat_server: Any, open_chat: Any) -> None:
    chat_server.script.append({"status": 429, "headers": {"Retry-After": "0.7"}, "body": "{}"})
    outcomes = open_chat(concurrency=1).ask([request(f"question {number}") for number in range(6)])
    assert all(isinstance(one, Reply) for one in outcomes)
    first, second = (seen.at for seen in chat_server.seen[:2])
    assert 0.65 < second - first < 1.5
    assert chat_server.seen[0].text != chat_server.seen[1].text, "the others wait too"


def test_a_rate_limit_that_lets_others_through_costs_no_row(chat_server: Any, open_chat: Any) -> None:
    limited = {"status": 429, "body": "{}"}
    chat_server.judge = lambda _seen: limited if len(chat_server.seen) % 3 else None
    outcomes = open_chat(retries=3, concurrency=6).ask([request(f"{number}") for number in range(30)])
    assert texts(outcomes) == [f"reply to {number}" for number in range(30)]
    tries = [seen.text for seen in chat_server.seen]
    assert max(tries.count(text) for text in tries) > 4, "some request was limited more often than `retries`"


def test_a_server_that_dies_stops_the_run(open_chat: Any, unused_url: str) -> None:
    chat = open_chat(retries=1)
    assert texts(chat.ask([request("a")])) == ["reply to a"]
    chat._model = chat._model.model_copy(update={"base_url": unused_url})
    with pytest.raises(UserError, match="can no longer be reached: start the server and run again"):
        chat.ask([request("b"), request("c")])


def test_one_refused_content_costs_only_itself(chat_server: Any, open_chat: Any) -> None:
    filtered = '{"error": {"code": "content_filter", "message": "no"}}'
    verdicts = {
        "filtered": {"status": 400, "body": filtered},
        "withheld": {"change": change(finish_reason="content_filter")},
        "too long": {"status": 400, "body": '{"error": {"message": "context length exceeded"}}'},
    }
    chat_server.judge = lambda seen: verdicts.get(seen.text)
    asked = [request(text) for text in (*verdicts, "fine")]
    assert texts(open_chat().ask(asked)) == [
        "NO: content refused",
        "NO: content refused",
        "NO: refused by the server (400)",
        "reply to fine",
    ]


@pytest.mark.parametrize(
    ("status", "error", "words"),
    [
        (401, "bad key", "refuses the key (401): set the environment variable THE_KEY"),
        (403, "not you", "refuses the key (403)"),
        (404, "no such model", "does not know the model 'm'"),
        (402, "pay", "wants to be paid"),
        (429, "insufficient_quota", "wants to be paid"),
        (400, "temperature is not supported", "refuses all requests to m"),
    ],
)
def test_what_no_request_can_pass_stops_everything(
    status: int, error: str, words: str, chat_server: Any, open_chat: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THE_KEY", KEY)
    body = f'{{"error": {{"code": "{error}", "message": "{error}, you sent Bearer {KEY}"}}}}'
    chat_server.judge = lambda _seen: {"status": status, "body": body}
    with pytest.raises(UserError) as raised:
        open_chat(key_variable="THE_KEY", concurrency=2).ask([request(f"{number}") for number in range(50)])
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)
    assert KEY not in "".join(traceback.format_exception(raised.value))
    assert len(chat_server.seen) <= 10, "it does not ask on"


def test_replies_that_were_paid_survive_an_error_that_stops_everything(
    chat_server: Any, open_chat: Any
) -> None:
    chat_server.judge = lambda seen: {"status": 401, "body": "{}"} if seen.text == "7" else None
    asked = [request(f"{number}") for number in range(12)]
    with pytest.raises(UserError):
        open_chat(concurrency=4).ask(asked)
    paid = sum(chat_server.billed.values())
    assert paid >= 7
    chat_server.judge = lambda _seen: None
    assert all(isinstance(one, Reply) for one in open_chat().ask(asked))
    assert set(chat_server.billed.values()) == {1}


def test_no_server_at_all_is_told_soon(open_chat: Any, unused_url: str) -> None:
    before = time.monotonic()
    with pytest.raises(UserError, match=r"Cannot connect to http://127\.0\.0\.1"):
        open_chat(base_url=unused_url).ask([request("x")])
    assert time.monotonic() - before < 5

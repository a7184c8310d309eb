"""The client of served models against whatever a server can write into an answer."""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.services.chat import NoReply, Reply
from tests.mmedit_build.services.conftest import KEY, change, completion, request, texts

MALFORMED = [NoReply("malformed reply")]
DEEP = "[" * 50_000 + "]" * 50_000
GOOD = json.dumps(completion("fine")).encode()


def typed(charset: str) -> dict[str, str]:
    return {"Content-Type": f"application/json; charset={charset}"}


@pytest.mark.parametrize(
    "body",
    [
        '{"error": {"message": "overloaded", "code": 502}}',
        '{"choices": [{"message": {"content": ["x"]}}]}',
        '{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 1e999}}',
        '{"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": -1}}',
        '{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{}]}}]}',
        '{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"logprob": 0.7}]}}]}',
        '{"choices": [{"message": {"content": "x"}, "logprobs": {"content": [{"logprob": Infinity}]}}]}',
        '{"choices": [{"message": {"content": "half a \\ud800 pair"}}]}',
        '{"choices": [{"message": {"content": "not decod\ufffd\ufffd"}}]}',
        b'{"choices": [{"message": {"content": "\xff\xfe\x80"}}]}',
        GOOD.decode().encode("utf-16"),
        GOOD[:-1] + b', "more": ' + DEEP.encode() + b"}",
        GOOD[:-1] + b', "more": ' + b"[" * 500 + b"]" * 500 + b"}",
        GOOD + GOOD,
        "1" * 5000,
        DEEP,
    ],
    ids=lambda body: str(body)[:80],
)
def test_what_is_no_reply_is_malformed_and_not_kept(chat_server: Any, open_chat: Any, body: Any) -> None:
    chat_server.judge = lambda _seen: {"body": body}
    assert open_chat().ask([request("x")]) == MALFORMED
    assert len(chat_server.seen) == 3
    chat_server.judge = lambda _seen: None
    assert texts(open_chat().ask([request("x")])) == ["reply to x"]


@pytest.mark.parametrize("charset", ["idna", "undefined", "zlib_codec", "punycode", "klingon", "utf-16"])
@pytest.mark.parametrize("status", [200, 500])
def test_what_a_server_says_of_its_letters_is_not_believed(
    chat_server: Any, open_chat: Any, charset: str, status: int
) -> None:
    chat_server.script.append({"status": status, "body": GOOD, "headers": typed(charset)})
    chat_server.judge = lambda _seen: chat_server.script.popleft() if chat_server.script else {"body": GOOD}
    assert texts(open_chat().ask([request("x")])) == ["fine"]
    assert len(chat_server.seen) == (1 if status == 200 else 2)


@pytest.mark.parametrize("status", [400, 500])
def test_errors_may_be_nested_deep(chat_server: Any, open_chat: Any, status: int) -> None:
    deep = {"status": status, "body": f'{{"error": {DEEP}}}'}
    chat_server.judge = lambda seen: deep if seen.text == "bad" else None
    bad, good = open_chat(retries=1).ask([request("bad"), request("good")])
    assert isinstance(bad, NoReply)
    assert isinstance(good, Reply)


@pytest.mark.parametrize(("pack", "name"), [(gzip.compress, "gzip"), (zlib.compress, "deflate")])
def test_packed_replies_are_read(chat_server: Any, open_chat: Any, pack: Any, name: str) -> None:
    packed = {"body": pack(GOOD), "headers": {"Content-Encoding": name}}
    chat_server.script.extend([{**packed, "body": GOOD}, {**packed, "body": pack(GOOD)[:-12]}, packed])
    assert texts(open_chat().ask([request("x")])) == ["fine"]
    assert len(chat_server.seen) == 3, "those packed wrong or by half are asked for again"


def test_a_few_bytes_that_hold_gigabytes_stop_nobody(chat_server: Any, open_chat: Any) -> None:
    packer = zlib.compressobj(1, wbits=31)
    bomb = b"".join(packer.compress(bytes(1 << 22)) for _ in range(128)) + packer.flush()
    step = {"body": bomb, "headers": {"Content-Encoding": "gzip"}}
    chat_server.judge = lambda seen: step if seen.text == "bomb" else None
    outcomes = open_chat(concurrency=3).ask([request(text) for text in ("bomb", "a", "b")])
    assert texts(outcomes) == ["NO: reply longer than its tokens", "reply to a", "reply to b"]
    assert chat_server.billed == {"a": 1, "b": 1}


def test_no_more_is_read_than_a_reply_can_be(chat_server: Any, open_chat: Any, tmp_path: Path) -> None:
    long = {"change": change(message={"role": "assistant", "content": "blah " * 1_000_000})}
    errors = {"status": 500, "body": "x" * 5_000_000}
    chat_server.judge = lambda seen: long if seen.text == "long" else None
    chat_server.script.extend([errors])
    outcomes = open_chat(concurrency=1).ask([request("short"), request("long")])
    assert texts(outcomes) == ["reply to short", "NO: reply longer than its tokens"]
    assert sum(path.stat().st_size for path in tmp_path.glob("requests*")) < 200_000
    many = {"change": change(message={"role": "assistant", "content": "blah " * 30_000})}
    chat_server.judge = lambda _seen: many
    assert all(isinstance(one, Reply) for one in open_chat().ask([request("many", max_tokens=30_000)]))


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_questions_are_not_sent_on_to_another_address(
    chat_server: Any, other_server: Any, open_chat: Any, status: int
) -> None:
    there = f"{other_server.url}/chat/completions"
    chat_server.judge = lambda _seen: {"status": status, "headers": {"Location": there}, "body": ""}
    with pytest.raises(UserError, match="sends requests on to another address") as raised:
        open_chat(concurrency=1).ask([request(str(number)) for number in range(9)])
    assert there in str(raised.value)
    assert "make it the `base_url`" in str(raised.value)
    assert (len(chat_server.seen), other_server.seen) == (1, [])


@pytest.mark.parametrize("place", ["http://[::1/%%%", "file:///etc/passwd", "/v1", None])
def test_a_redirect_to_nowhere_is_told_too(chat_server: Any, open_chat: Any, place: str | None) -> None:
    headers = {"Location": place} if place else {}
    chat_server.judge = lambda _seen: {"status": 307, "headers": headers, "body": ""}
    with pytest.raises(UserError, match="sends requests on to another address"):
        open_chat().ask([request("x")])


@pytest.mark.parametrize("coded", [False, True])
def test_a_reply_that_holds_the_key_is_kept_nowhere(
    chat_server: Any, open_chat: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, coded: bool
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    shown = b64encode(f"Bearer {KEY}".encode()).decode() if coded else KEY
    told = {"change": change(message={"role": "assistant", "content": f"It is {shown}."})}
    chat_server.judge = lambda seen: told if seen.text == "bad" else None
    outcomes = open_chat().ask([request("bad"), request("good")])
    assert texts(outcomes) == ["NO: reply that holds the key", "reply to good"]
    assert not any(shown.encode() in path.read_bytes() for path in tmp_path.iterdir())


def test_the_key_is_in_no_log_no_file_and_no_error(
    chat_server: Any,
    open_chat: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_LOG", "debug")
    for name in ("", "openai", "httpx2", "httpcore2", "asyncio"):
        caplog.set_level(logging.DEBUG, logger=name)
    file = logging.FileHandler(tmp_path / "log.txt")
    logging.getLogger().addHandler(file)
    echo = {"headers": {"X-Echo": f"Bearer {KEY}"}, "body": f'{{"error": "you sent Bearer {KEY}"}}'}
    padded = {"status": 500, "body": '{"error": "' + "x" * 190 + KEY + '"}'}
    coded = [b64encode(f"{before}{KEY}".encode()).decode() for before in ("", "me:", "Bearer ", "key=")]
    chat_server.script.extend([{"status": status, **echo} for status in (429, 500, 503)])
    chat_server.script.extend([{"status": 500, "body": f"you sent {text}"} for text in coded])
    chat_server.script.extend([padded, {"headers": echo["headers"], "good": True}, {"status": 400, **echo}])
    try:
        outcomes = open_chat(concurrency=1, retries=9).ask([request("a"), request("b"), request("c")])
    finally:
        logging.getLogger().removeHandler(file)
        file.close()
    assert "NO: refused by the server (400)" in texts(outcomes)
    assert chat_server.seen[0].authorization == f"Bearer {KEY}"
    assert "server error (500): you sent Bearer [key]" in caplog.text
    for part in (KEY, KEY[:10], *(text[4:-4] for text in coded)):
        assert part not in caplog.text
        for path in tmp_path.iterdir():
            assert part.encode() not in path.read_bytes(), path


def test_halves_of_pairs_in_a_question_are_mended(chat_server: Any, open_chat: Any) -> None:
    asked = [request("half \ud800 pair")]
    assert texts(open_chat().ask(asked)) == ["reply to half ? pair"]
    assert texts(open_chat().ask(asked)) == ["reply to half ? pair"]
    assert len(chat_server.seen) == 1


def test_rounding_makes_no_probability_above_one(chat_server: Any, open_chat: Any) -> None:
    chat_server.script.append({"change": change(logprobs={"content": [{"logprob": 1e-5}]})})
    (sure,) = open_chat().ask([request("a", logprobs=True)])
    assert isinstance(sure, Reply)
    assert sure.confidence == 1.0

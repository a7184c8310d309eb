"""Methods that touch prompts alone, judged on a model behind a real HTTP server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner, Result

from evaluation.cli import app
from evaluation.data.dataset import load_cases
from evaluation.data.probes import ANSWER_TOKENS, CAPTION_TOKENS
from evaluation.results.records import LINES, CaseResult, RunResult, read_results
from evaluation.run.experiment import make_experiment
from mmedit_build.errors import UserError
from tests.mmedit_build.services.conftest import KEY, ChatServer, Seen, _fast_and_direct, change, chat_server

__all__ = ["_fast_and_direct", "chat_server"]

FACT = "New Fact: "
"""How prompts begin that an edit was told in."""


@pytest.fixture
def obedient(chat_server: ChatServer, dataset: Path) -> ChatServer:
    """A model that says what it is told of the image that it sees, and `unsure` otherwise."""
    cases = load_cases(str(dataset), None, "test", None)
    targets = {f"{case.question} {case.target}": case.target for case in cases}

    def answer(seen: Seen) -> dict[str, Any]:
        told = seen.text.rpartition(FACT)[2].partition("\n")[0]
        said = targets.get(told, "unsure")
        return {"change": change(message={"role": "assistant", "content": said})}

    chat_server.judge = answer
    return chat_server


@pytest.fixture
def options(tmp_path: Path) -> Path:
    """IKE without demonstrations, which needs no encoder."""
    path = tmp_path / "methods.yaml"
    ike = {"copies": 0, "updates": 0, "retains": 0, "self_copy": False}
    path.write_text(json.dumps({"methods": {"ike": {"options": ike}}, "holdout": 0.4}))
    return path


def call(tmp_path: Path, dataset: Path, server: ChatServer, *more: object) -> Result:
    where = ("--dataset", dataset, "--out", tmp_path / "out", "--cache", tmp_path / "cache")
    model = ("--model", f"m@{server.url}")
    return CliRunner().invoke(app, [*map(str, (*where, *model, *more))], catch_exceptions=False)


def results(tmp_path: Path, name: str) -> tuple[RunResult, list[CaseResult]]:
    return read_results(tmp_path / "out" / name)


def scores(of: list[CaseResult], kind: str, name: str) -> list[float]:
    return [probe.scores["wild"][name] for case in of for probe in case.probes if probe.kind == kind]


WILD = ("--protocol", "wild")


def test_a_fact_that_is_told_reaches_the_server_and_its_answers_are_scored(
    obedient: ChatServer, dataset: Path, options: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    wanted = ("--config", options, "--task", "vqa", *WILD)
    told = call(tmp_path, dataset, obedient, *wanted)
    assert told.exit_code == 0, told.output
    _, before = results(tmp_path, "vqa/unedited")
    header, after = results(tmp_path, "vqa/ike")
    assert header.finished
    assert header.settings.model == f"m@{obedient.url}"
    assert (header.scored, header.skipped) == (len(after), {})
    assert set(scores(before, "reliability", "match")) == {0.0}
    assert set(scores(after, "reliability", "match")) == {1.0}
    assert set(scores(before, "text_locality", "unchanged")) == {1.0}
    assert set(scores(after, "text_locality", "unchanged")) == {0.0}
    for probe in (probe for case in after for probe in case.probes):
        assert "kl" not in probe.scores["wild"]
        assert (probe.log_prob_before, probe.log_prob_after) == (None, None)
    case = load_cases(str(dataset), "vqa", "test", None)[0]
    assert isinstance(case.image, Path)
    image = base64.b64encode(case.image.read_bytes()).decode()
    sent = [seen for seen in obedient.seen if f"{FACT}{case.question} {case.target}\nPrompt: " in seen.text]
    assert any(image in json.dumps(seen.body) for seen in sent)
    # What is written holds no key, and asking again costs nothing.
    assert not any(KEY.encode() in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    asked = len(obedient.seen)
    lines = tmp_path / "out/vqa/ike" / LINES
    whole = lines.read_bytes()
    lines.write_bytes(whole[: whole.index(b"\n") + 1])
    assert call(tmp_path, dataset, obedient, *wanted).exit_code == 0
    assert len(lines.read_bytes().splitlines()) == len(whole.splitlines())
    assert len(obedient.seen) == asked


def test_what_one_request_lacks_is_told_and_a_server_that_is_gone_ends_the_run(
    chat_server: ChatServer, dataset: Path, options: Path, tmp_path: Path
) -> None:
    chat_server.judge = lambda seen: {"status": 400, "body": "no"} if FACT in seen.text else None
    vqa = ("--config", options, "--task", "vqa", "--limit", 2, *WILD)

    def previewed(asked: tuple[object, ...]) -> list[int]:
        """How many edits a dry run takes to be left, of the unedited model and of the method."""
        told = call(tmp_path, dataset, chat_server, *asked, "--dry-run").stdout
        rows = [line.split("\u2502") for line in told.splitlines() if line.startswith("\u2502")]
        return [int(row[5]) for row in rows]

    told = call(tmp_path, dataset, chat_server, *vqa)
    assert told.exit_code == 0
    assert "2 edits got no answer; the same command asks for them again." in told.stdout
    header, _ = results(tmp_path, "vqa/ike")
    assert (header.scored, sum(header.skipped.values())) == (0, 2)
    assert previewed(vqa) == [0, 2]
    chat_server.judge = lambda _: None
    # What brought no answer is asked again, and stands once in the results.
    again = call(tmp_path, dataset, chat_server, *vqa)
    assert "got no answer" not in again.stdout
    header, after = results(tmp_path, "vqa/ike")
    assert (header.scored, header.skipped) == (2, {})
    assert len((tmp_path / "out/vqa/ike" / LINES).read_bytes().splitlines()) == len(after) == 2
    assert previewed(vqa) == [0, 0]
    chat_server.judge = lambda _: {"status": 401, "body": "no"}
    other = ("--out", tmp_path / "other", "--cache", tmp_path / "empty")
    with pytest.raises(UserError, match="401"):
        call(tmp_path, dataset, chat_server, *vqa, *other)
    assert not list((tmp_path / "other").rglob(LINES)) or not any(
        path.read_bytes() for path in (tmp_path / "other").rglob(LINES)
    )


def test_answers_are_as_long_as_the_protocol_lets_them_be_and_count_where_they_are_cut_off(
    chat_server: ChatServer, dataset: Path, options: Path, tmp_path: Path
) -> None:
    long = change(message={"role": "assistant", "content": "an orange"}, finish_reason="length")
    chat_server.judge = lambda _: {"change": long}
    # The unedited model is asked for captions, too, which here are too few for the method.
    with pytest.raises(UserError, match="All is done but ike for caption"):
        call(tmp_path, dataset, chat_server, "--config", options, "--limit", 1, *WILD)
    limits = {
        seen.text.startswith("Write one short sentence"): seen.body["max_tokens"] for seen in chat_server.seen
    }
    assert limits == {False: ANSWER_TOKENS, True: CAPTION_TOKENS}
    header, found = results(tmp_path, "vqa/unedited")
    assert header.skipped == {}
    assert {probe.before for case in found for probe in case.probes} == {"an orange"}


def test_a_dry_run_bounds_what_is_asked(
    chat_server: ChatServer, dataset: Path, options: Path, tmp_path: Path
) -> None:
    path = tmp_path / "priced.yaml"
    section = {"kind": "endpoint", "model": "m", "base_url": chat_server.url}
    methods = json.loads(options.read_text())["methods"]
    price = {"input": 1.0, "output": 2.0}
    priced = {"model": {**section, "price": price}, "methods": methods, "task": "vqa", "holdout": 0.4}
    path.write_text(json.dumps(priced))
    where = ("--dataset", dataset, "--out", tmp_path / "out", "--cache", tmp_path / "cache", "--config", path)

    def told(*more: object) -> str:
        done = CliRunner().invoke(app, [*map(str, (*where, *WILD, *more))], catch_exceptions=False)
        return " ".join(done.stdout.split())

    bound = re.compile(r"At most ([\d,]+) requests, about ([\d,]+) tokens in and at most ([\d,]+) out: about")
    said = bound.search(told("--dry-run"))
    assert said is not None
    most, tokens_in, tokens_out = (int(one.replace(",", "")) for one in said.groups())
    assert not chat_server.seen
    assert tokens_in > 1000 * most / 4 > 0
    assert tokens_out == most * ANSWER_TOKENS
    told()
    # Equal questions of several edits are asked once.
    assert most / 2 < len(chat_server.seen) <= most
    assert "At most 0 requests" in told("--dry-run")


def test_no_more_is_spent_than_the_file_allows(
    chat_server: ChatServer, dataset: Path, options: Path, tmp_path: Path
) -> None:
    path = tmp_path / "dear.yaml"
    methods = json.loads(options.read_text())["methods"]
    section = {"kind": "endpoint", "model": "m", "base_url": chat_server.url, "max_cost": 1.0e-7}
    price = {"input": 1.0, "output": 1.0}
    path.write_text(json.dumps({"model": {**section, "price": price}, "methods": methods}))
    where = ("--dataset", dataset, "--out", tmp_path / "out", "--cache", tmp_path / "cache")
    with pytest.raises(UserError, match="max_cost: 1e-07"):
        CliRunner().invoke(app, [*map(str, ("--config", path, *where, *WILD))], catch_exceptions=False)
    assert not chat_server.seen


def test_a_section_with_a_mistake_is_told_where(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("model: {kind: endpoint, model: m, concurrency: 0}")
    with pytest.raises(UserError, match=r"model\.endpoint\.concurrency a wrong value"):
        make_experiment(path, {})


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (("--method", "ike"), "--protocol wild"),
        (("--method", "ft", *WILD), "a served model only answers"),
        (("--method", "remember", *WILD), "image_weight: 0"),
        (("--method", "ike", *WILD, "--at-once", "2"), "leave out --stream and --at-once"),
        (("--method", "ike", *WILD, "--stream", "1,2"), "leave out --stream and --at-once"),
        (("--method", "ike", *WILD, "--dtype", "bfloat16"), "leave out `dtype`"),
    ],
)
def test_what_a_served_model_cannot_do_is_refused_before_it_is_asked(
    chat_server: ChatServer, dataset: Path, tmp_path: Path, more: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        call(tmp_path, dataset, chat_server, *more)
    assert not chat_server.seen
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "told"),
    [
        ("ike: {options: {encoder: base}}", "'base' is the model's own"),
        ("ike: {options: {encoder: nobody/knows}}", "'nobody/knows'"),
        ("remember: {options: {image_weight: 0, encoder: base}}", "'base' is the model's own"),
        ("remember: {options: {image_weight: 0, encoder: nobody/knows}}", "'nobody/knows'"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused_before_the_model_is_asked_by_what_can(
    chat_server: ChatServer, dataset: Path, tmp_path: Path, method: str, told: str
) -> None:
    path = tmp_path / "methods.yaml"
    path.write_text(f"methods: {{{method}}}")
    without = "or show no demonstrations" if method.startswith("ike") else ""
    with pytest.raises(UserError, match=f"{told}.*: name another in its option .*{without}") as caught:
        call(tmp_path, dataset, chat_server, "--config", path, *WILD)
    assert "or 'base'" not in str(caught.value)
    assert not chat_server.seen


@pytest.mark.parametrize("encoder", ["base", "nobody/knows"])
def test_without_demonstrations_no_encoder_is_needed(
    obedient: ChatServer, dataset: Path, options: Path, tmp_path: Path, encoder: str
) -> None:
    content = json.loads(options.read_text())
    content["methods"]["ike"]["options"]["encoder"] = encoder
    options.write_text(json.dumps(content))
    told = call(tmp_path, dataset, obedient, "--config", options, "--task", "vqa", *WILD)
    assert told.exit_code == 0, told.output
    assert set(scores(results(tmp_path, "vqa/ike")[1], "reliability", "match")) == {1.0}


def test_methods_that_look_up_words_tell_what_is_near(
    obedient: ChatServer, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("editors.remember.load_encoder", lambda _name, _mllm: same_words)
    monkeypatch.setattr("editors.remember.check_apart", lambda _name: None)
    path = tmp_path / "methods.yaml"
    path.write_text("methods: {remember: {options: {image_weight: 0, threshold: 0.99}}}")
    told = call(tmp_path, dataset, obedient, "--config", path, *WILD)
    assert told.exit_code == 0, told.output
    for task, score in (("vqa", "match"), ("caption", "consensus")):
        _, before = results(tmp_path, f"{task}/unedited")
        header, after = results(tmp_path, f"{task}/remember")
        assert header.skipped == {}
        assert set(scores(before, "reliability", score)) == {0.0}
        assert set(scores(after, "reliability", score)) == {1.0}
        assert set(scores(after, "text_locality", "unchanged")) == {1.0}
    captions = [seen.text for seen in obedient.seen if "a photo of" in seen.text]
    assert captions
    assert all(text.startswith("Write one short sentence") for text in captions)


def same_words(texts: Sequence[str]) -> Tensor:
    """Vectors of texts that are alike where the texts are the same."""
    drawn = [torch.randn(64, generator=torch.Generator().manual_seed(crc32(one.encode()))) for one in texts]
    return torch.nn.functional.normalize(torch.stack(drawn), dim=-1)

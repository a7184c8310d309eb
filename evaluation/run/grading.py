"""Free answers judged by a language model: a pass over results that are written, apart from judging edits.

Equal answers to equal questions are asked once, whichever methods gave them. Verdicts are written as soon as
they are there, so the same command goes on where it stopped; what brought no reply is asked again by it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.results.records import HEADER, ResultFolder, read_results
from evaluation.results.verdicts import Said, Verdict, check_same, judged_of, verdict_lines
from evaluation.run.bars import Progress
from evaluation.run.experiment import Experiment
from mmedit_build.errors import UserError
from mmedit_build.prompts import prompt_id
from mmedit_build.recipe import Endpoint, Model
from mmedit_build.services.chat import ChatRequest, NoReply, Reply, prompt_messages
from mmedit_build.services.opening import open_chat
from mmedit_build.services.served.cost import Estimate, estimate
from mmedit_build.services.served.keys import find_key

PROMPT = "grade"
TOKENS = 16
"""The longest reply: a word, and what models put around it."""
CHUNK = 64
"""Answers that are judged before their verdicts are written."""
REPLIES = "judge.sqlite"
"""Where replies of served judges are kept, in the cache."""
RIGHT, WRONG = "right", "wrong"
THOUGHT = "</think>"
"""What ends what a model thinks aloud before it replies."""


@dataclass
class Graded:
    """What came of a pass."""

    verdicts: int = 0
    unclear: int = 0
    """Replies that say neither right nor wrong."""
    missing: Counter[str] = field(default_factory=Counter)
    """Of answers without a reply, how many for each reason."""


def check_judge(experiment: Experiment) -> None:
    """Refuse a judge that would have nothing to judge or cannot be asked, before hours of work."""
    if experiment.judge is None:
        return
    if experiment.stream:
        raise UserError("Streams are not judged by a language model; leave out the judge, or the stream.")
    if "wild" not in experiment.protocols:
        raise UserError(
            "A judge judges free answers, which only the wild protocol asks for; leave out the judge, or "
            "take wild among the protocols."
        )
    if isinstance(experiment.judge, Endpoint):
        find_key(experiment.judge)


def runs_in(folders: Sequence[Path]) -> list[Path]:
    """The folders of all runs with free answers below some folders."""
    found = sorted(
        {path.parent.resolve(): path.parent for place in folders for path in place.rglob(HEADER)}.values()
    )
    if not found:
        raise UserError(
            f"There are no results in {', '.join(map(str, folders))}; give folders that mmedit-eval wrote."
        )
    return found


def wanted(runs: Sequence[Path], judge: str) -> dict[Said, list[Path]]:
    """The answers without a verdict, with the runs that gave them."""
    missing: dict[Said, list[Path]] = {}
    for run in runs:
        verdicts = verdict_lines(run).read()
        check_same(run, verdicts, judge, prompt_id(PROMPT))
        known = {one.said for one in verdicts}
        for said in dict.fromkeys(_answers(run)):
            if said not in known:
                missing.setdefault(said, []).append(run)
    return missing


def expected(model: Endpoint, answers: Iterable[Said], cache: Path) -> Estimate:
    """What the verdicts will take of a served judge; no network is used."""
    return estimate(model, [_request(said) for said in answers], cache / REPLIES)


def grade(model: Model, runs: Sequence[Path], cache: Path, progress: Progress) -> Graded:
    """Ask for all verdicts that are missing, and write them beside the results of their runs."""
    chat = open_chat(model, cache / REPLIES)
    done = Graded()
    with ExitStack() as locks:
        for run in runs:
            locks.enter_context(ResultFolder(run).locked())
            # What a killed command left of a line is dropped.
            verdict_lines(run).begin()
        answers = wanted(runs, chat.name)
        with progress(f"{chat.name} judges answers", len(answers)) as advance:
            for chunk in _chunks(list(answers)):
                replies = chat.ask([_request(said) for said in chunk])
                for said, reply in zip(chunk, replies, strict=True):
                    _take(done, chat.name, said, reply, answers[said])
                advance(len(chunk))
    return done


def verdict_of(text: str) -> bool | None:
    """Whether a reply says right; None unless it begins with one of both words and leaves out the other."""
    reply = text.rpartition(THOUGHT)[2].lower()
    words: list[str] = re.findall(r"[a-z]+", reply)
    if words[:1] not in ([RIGHT], [WRONG]) or {RIGHT, WRONG} <= {*words}:
        return None
    return words[0] == RIGHT


def _answers(run: Path) -> list[Said]:
    header, results = read_results(run)
    found = (judged_of(header.settings.task, probe) for result in results for probe in result.probes)
    return [said for said in found if said is not None]


def _request(said: Said) -> ChatRequest:
    return ChatRequest(prompt_messages(PROMPT, **said._asdict()), temperature=0.0, max_tokens=TOKENS)


def _chunks(answers: Sequence[Said]) -> list[Sequence[Said]]:
    return [answers[start : start + CHUNK] for start in range(0, len(answers), CHUNK)]


def _take(done: Graded, judge: str, said: Said, reply: Reply | NoReply, runs: Sequence[Path]) -> None:
    if isinstance(reply, NoReply):
        done.missing[reply.reason] += 1
        return
    right = verdict_of(reply.text)
    done.verdicts += 1
    done.unclear += right is None
    verdict = Verdict(judge=judge, prompt=prompt_id(PROMPT), raw=reply.text, right=right, **said._asdict())
    for run in runs:
        verdict_lines(run).add(verdict)

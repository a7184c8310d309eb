"""The command that has free answers judged by a language model, and what it says before and after."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from evaluation.run.bars import Progress
from evaluation.run.grading import Graded, expected, grade, runs_in, wanted
from mmedit_build.recipe import Endpoint, Model


def before(model: Model, folders: Sequence[Path], cache: Path) -> str:
    """What a judge would be asked, and what that costs."""
    if not isinstance(model, Endpoint):
        return f"{model.model} judges in this process, which costs nothing."
    answers = wanted(runs_in(folders), model.model)
    will = expected(model, answers, cache)
    cost = "no price is stated" if will.cost is None else f"about {will.cost:.2f} {will.currency} or less"
    return (
        f"{len(answers):,} different answers have no verdict of {model.model}; {will.requests:,} requests, "
        f"about {will.input_tokens:,} tokens in and at most {will.output_tokens:,} out: {cost}."
    )


def judge(model: Model, folders: Sequence[Path], cache: Path, progress: Progress) -> list[str]:
    """Have the answers judged; what came of it, in sentences."""
    return list(_told(grade(model, runs_in(folders), cache, progress)))


def _told(done: Graded) -> Iterator[str]:
    yield f"{done.verdicts:,} verdicts are new."
    if done.unclear:
        yield f"{done.unclear:,} of them say neither right nor wrong, and count for nothing."
    for reason, number in done.missing.items():
        yield f"{number:,} answers have no verdict ({reason}); the same command asks for them again."

"""How SmolLM2 rephrases the questions of MMEdit that ask for yes or no, through `transformers serve`.

    python -m benchmarks.reality.rephrasing vqa_train.json vqa_eval.json

Beside it, by the same checks, stands what ChatGLM made of them, which is in the files.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from benchmarks.reality.model import ensure_language
from benchmarks.reality.serving import serving
from evaluation.report.formats import Table, as_markdown
from mmedit_build.audit.targets import open_target
from mmedit_build.console import progress, quiet_loading
from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.rows import EditRow
from mmedit_build.scoring.text import is_yes_no_question
from mmedit_build.services.chat import Chat, ChatRequest, Reply, prompt_messages
from mmedit_build.services.opening import open_chat
from mmedit_build.stages.checks import refusal

TITLES = {"rephrase-mmedit": "SmolLM2, MMEdit's prompt", "rephrase": "SmolLM2, our prompt"}
PORT = 8733
"""Always the same, as replies are known by the address that they came from."""
TOKENS = 48
TEMPERATURE = 0.8
COLUMNS = ("who", "still ask for yes or no", "pass all checks", "why not, mostly")
PASSES = "passes"
ENDLESS = f"no end within {TOKENS} tokens"


@dataclass(frozen=True, slots=True)
class Said:
    """A question, and what was made of it."""

    row: EditRow
    text: str
    """Empty where the model did not come to an end."""

    @property
    def verdict(self) -> str:
        """The first check that it fails, or that it passes."""
        row = self.row
        if not self.text:
            return ENDLESS
        return refusal(row.question, self.text, row.target, row.answers) or PASSES


def main(
    released: Annotated[Path, typer.Argument(help="MMEdit's vqa_eval.json.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Questions; all of them if left out.")] = None,
    out: Annotated[Path, typer.Option(help="Folder of the model and its replies.")] = Path("runs/reality"),
) -> None:
    """Have SmolLM2 rephrase yes/no questions, and print a table."""
    quiet_loading()
    try:
        typer.echo(as_markdown(run(released, limit, out)))
    except UserError as error:
        typer.echo(f"Error: {error}", err=True)
        raise typer.Exit(2) from error


def run(released: Path, limit: int | None, out: Path) -> Table:
    """Replies that are there already are not asked for again."""
    rows = yes_no(list(open_target(str(released)).edits))[:limit]
    model = ensure_language(out / "language")
    said = {"ChatGLM, as released": [Said(row, row.rephrase.text) for row in rows if row.rephrase]}
    with serving(model, out / "serving.log", PORT) as address:
        endpoint = Endpoint(model=str(model), base_url=address, concurrency=2, timeout=600)
        chat = open_chat(endpoint, out / "requests.sqlite")
        for prompt, title in TITLES.items():
            said[title] = list(ask(chat, prompt, rows))
    return table(said)


def yes_no(rows: Sequence[EditRow]) -> list[EditRow]:
    """The first row of each question that asks for yes or no."""
    return list({row.question: row for row in reversed(rows) if is_yes_no_question(row.question)}.values())[
        ::-1
    ]


def ask(chat: Chat, prompt: str, rows: Sequence[EditRow]) -> Iterator[Said]:
    """What the model makes of each question at its first try."""
    with progress(prompt, len(rows)) as advance:
        for row in rows:
            messages = prompt_messages(prompt, question=row.question)
            (reply,) = chat.ask([ChatRequest(messages, TEMPERATURE, TOKENS, 0)])
            yield Said(row, reply.text if isinstance(reply, Reply) else "")
            advance(1, "")


def table(said: Mapping[str, Sequence[Said]]) -> Table:
    """One line for each who rephrased."""
    lines = tuple(_line(title, of) for title, of in said.items())
    return Table("Yes/no questions of MMEdit, rephrased", COLUMNS, lines, words=True)


def _line(title: str, said: Sequence[Said]) -> tuple[str, ...]:
    verdicts = Counter(one.verdict for one in said)
    reasons = [f"{name} {number}" for name, number in verdicts.most_common(4) if name != PASSES]
    return (
        title,
        _share(sum(is_yes_no_question(one.text) for one in said), len(said)),
        _share(verdicts[PASSES], len(said)),
        ", ".join(reasons[:3]),
    )


def _share(number: int, of: int) -> str:
    return f"{number} of {of} ({number / max(of, 1):.0%})"


if __name__ == "__main__":
    typer.run(main)

"""The command mmedit-eval: evaluate models and edits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmedit_build.errors import UserError, run_app

# The heavy libraries are imported inside the commands, so that --help answers at once.
if TYPE_CHECKING:
    from rich.table import Table

    from evaluation.base import Answered, Score
    from mmedit_build.sources.vqav2 import VqaQuestion

DEFAULT_IMAGES = 200
"""How many miniature validation images are drawn when no question files are given."""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_show_locals=False)


def main() -> None:
    run_app(app)


@app.callback()
def _about() -> None:
    """Evaluate multimodal models and methods that edit them."""


@app.command()
def base(
    model: Annotated[
        str, typer.Option(help="A bundled checkpoint, a folder, or an id on the Hub.")
    ] = "miniature/mllm",
    questions: Annotated[Path | None, typer.Option(help="VQAv2 questions (JSON).")] = None,
    annotations: Annotated[Path | None, typer.Option(help="VQAv2 annotations (JSON).")] = None,
    images: Annotated[Path | None, typer.Option(help="Folder with the images of the questions.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Ask only the first so many questions.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the answers and the picture.")] = Path("runs/base"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    dtype: Annotated[
        Literal["float32", "float16", "bfloat16"], typer.Option(help="Precision of the weights.")
    ] = "float32",
) -> None:
    """Ask an unedited model VQAv2 questions and show what it answers.

    Without question files it asks about drawings of the miniature world.
    """
    from mmedit_build.checkpoints import locate
    from mmedit_build.store import check_writable

    checkpoint = locate(model)
    check_writable(out)
    rows = _questions(questions, annotations, images, limit, out)
    answered = _ask(checkpoint, device, dtype, rows)
    _report(answered, out)


def _questions(
    questions: Path | None, annotations: Path | None, images: Path | None, limit: int | None, out: Path
) -> list[VqaQuestion]:
    from mmedit_build.sources.vqav2 import read_questions

    if questions and annotations and images:
        return read_questions(questions, annotations, images, limit)
    if questions or annotations or images:
        raise UserError(
            "Give --questions, --annotations and --images together, or none of them to ask about "
            "the miniature."
        )
    from mmedit_build.miniature.sources import write_sources

    sources = write_sources(out / "sources", train_images=1, val_images=DEFAULT_IMAGES)
    split = "val2014"
    return read_questions(
        sources.vqa_questions(split), sources.vqa_annotations(split), sources.image_folder(split), limit
    )


def _ask(checkpoint: str, device: str, dtype: str, rows: list[VqaQuestion]) -> list[Answered]:
    from evaluation.base import ask
    from mmedit_build.console import progress, quiet_loading
    from mmedit_build.mllm import MLLM

    quiet_loading()
    mllm = MLLM.load(checkpoint, device=device, dtype=dtype)
    with progress("Asking", len(rows)) as advance:
        return ask(mllm, rows, advance)


def _report(answered: list[Answered], out: Path) -> None:
    from rich.console import Console

    from evaluation.base import scores, write_answers, write_sheet
    from mmedit_build.console import show_path

    write_answers(out / "answers.jsonl", answered)
    write_sheet(out / "answers.png", answered)
    Console().print(_table(scores(answered)))
    show_path("Answers", out / "answers.jsonl")
    show_path("Picture", out / "answers.png")


def _table(rows: list[Score]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table("question type", title="VQA accuracy (official)")
    table.add_column("questions", justify="right")
    table.add_column("accuracy", justify="right")
    for row in rows:
        # A Text, as square brackets in a plain string would be read as markup.
        table.add_row(
            Text(row.question_type), str(row.number), f"{row.accuracy:.1%}", end_section=row is rows[-2]
        )
    return table

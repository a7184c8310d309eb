"""What `mmedit-eval base` does: find questions, ask them, show the scores."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from evaluation.vqa import BATCH, Answered, Score, ask, scores, write_answers, write_sheet
from mmedit_build.console import progress, quiet_loading, show_path
from mmedit_build.errors import UserError
from mmedit_build.recipe import LocalMLLM
from mmedit_build.services.asking import LocalAsker
from mmedit_build.sources.vqav2 import VqaQuestion, read_questions

DEFAULT_IMAGES = 200
"""How many miniature validation images are drawn when no question files are given."""


def choose_questions(
    questions: Path | None, annotations: Path | None, images: Path | None, limit: int | None, out: Path
) -> list[VqaQuestion]:
    """Those of the files, or about the miniature if there are none."""
    if questions and annotations and images:
        return read_questions(questions, annotations, images, limit)
    if questions or annotations or images:
        raise UserError(
            "Give --questions, --annotations and --images together, or none of them to ask about "
            "the miniature."
        )
    # Imported here, as drawing is needed only without files.
    from mmedit_build.miniature.sources import write_sources

    sources = write_sources(out / "sources", train_images=1, val_images=DEFAULT_IMAGES)
    split = "val2014"
    return read_questions(
        sources.vqa_questions(split), sources.vqa_annotations(split), sources.image_folder(split), limit
    )


def ask_about(rows: list[VqaQuestion], model: str, settings: Mapping[str, str | None]) -> list[Answered]:
    """Load the model, with settings in the place of defaults (None changes none), and ask."""
    quiet_loading()
    changed = {name: value for name, value in settings.items() if value is not None}
    fields = {"model": model, "batch_size": BATCH, **changed}
    asker = LocalAsker.load(LocalMLLM.model_validate(fields))
    with progress("Asking", len(rows)) as advance:
        return ask(asker, rows, advance)


def show(answered: list[Answered], out: Path) -> None:
    """Write the answers and the picture, and print the scores."""
    write_answers(out / "answers.jsonl", answered)
    write_sheet(out / "answers.png", answered)
    Console().print(table(scores(answered)))
    show_path("Answers", out / "answers.jsonl")
    show_path("Picture", out / "answers.png")


def table(rows: list[Score]) -> Table:
    """Scores by type of question."""
    drawn = Table("question type", title="VQA accuracy (official)")
    drawn.add_column("questions", justify="right")
    drawn.add_column("accuracy", justify="right")
    for row in rows:
        # A Text, as square brackets in a plain string would be read as markup.
        drawn.add_row(
            Text(row.question_type), str(row.number), f"{row.accuracy:.1%}", end_section=row is rows[-2]
        )
    return drawn

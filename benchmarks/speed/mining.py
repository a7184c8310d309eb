"""Mining against the plain way: `python -m benchmarks.speed.mining`.

The plain way is what a user of transformers writes: batches in the order of the questions, padded on the
left, each question's image prepared and encoded with it, `generate`. Both sides take turns in one process on
one thread and must give the same answers.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import groupby, islice
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

import torch
import typer
from rich.console import Console
from rich.table import Table

from benchmarks.speed.floor import operations
from benchmarks.speed.models import MINIATURE, Shape, write_model
from mmedit_build.checkpoints import locate
from mmedit_build.console import quiet_loading
from mmedit_build.errors import run_app
from mmedit_build.miniature.sources import SPLITS, write_sources
from mmedit_build.mllm import MLLM, Query
from mmedit_build.mllm.families.base import Family
from mmedit_build.mllm.loading import load_family
from mmedit_build.mllm.rows import Row, pad_left
from mmedit_build.pictures import open_image
from mmedit_build.sources.vqav2 import VqaQuestion, read_questions
from mmedit_build.store import write_atomic

SPLIT = SPLITS[1]
OURS = 128
"""Rows side by side on our side, as the recipe of the miniature has it."""
TOKENS: dict[str, int] = {"miniature": 20, "deep": 10}
"""How long answers may be. Those of the deep model never stop by themselves."""
OF_AN_IMAGE = (1, 5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mined:
    """The same questions answered in both ways, as often as there are ratios."""

    model: str
    questions: int
    of_an_image: int
    batch: int
    """Of the plain way."""
    seconds: float
    """Of processor time, for a question; the median."""
    plain: float
    vision: float
    """Images encoded for a question; the plain way encodes one."""
    flops: float
    """Arithmetic for a question."""
    plain_flops: float
    ratios: tuple[float, ...]
    equal: int
    """Answers that are the same."""

    @property
    def ratio(self) -> float:
        return median(self.ratios)


@dataclass(frozen=True, slots=True)
class Plain:
    """A model as transformers itself runs it."""

    family: Family
    rows: Sequence[Row]
    """Of the questions, so that both sides are asked the very same tokens."""
    queries: Sequence[Query]

    @torch.no_grad()
    def write(self, start: int, end: int, new_tokens: int, stops: Sequence[int]) -> list[str]:
        """The answers to some of the questions, in one batch."""
        family, queries = self.family, self.queries[start:end]
        pictures = [open_image(query.image) for query in queries if query.image is not None]
        pixels = family.prepare(pictures, [query.prompt for query in queries])["pixel_values"]
        ids, valid = pad_left([torch.tensor(row.ids) for row in self.rows[start:end]])
        tokenizer: Any = family.tokenizer
        model: Any = family.model
        written = model.generate(
            pixel_values=pixels,
            input_ids=ids.masked_fill(~valid, tokenizer.pad_token_id),
            attention_mask=valid.long(),
            max_new_tokens=new_tokens,
            do_sample=False,
            eos_token_id=list(stops),
            pad_token_id=tokenizer.pad_token_id,
        )[:, ids.shape[1] :]
        return [self._text(row, stops) for row in written.tolist()]

    def _text(self, ids: Sequence[int], stops: Sequence[int]) -> str:
        said = next((i for i, token in enumerate(ids) if token in stops), len(ids))
        return str(self.family.tokenizer.decode(list(ids[:said]), skip_special_tokens=True)).strip()


def compare_mining(
    plain: Plain, name: str, of_an_image: int, *, batch: int, tokens: int, repeats: int
) -> Mined:
    """Answer the questions in both ways in turn, ours with a model that knows no image yet."""
    number = len(plain.queries)
    stops = MLLM(plain.family, name).stop_ids
    encoded: list[int] = []

    def ours() -> list[str]:
        mllm = MLLM(plain.family, name)
        found = mllm.generate(plain.queries, max_new_tokens=tokens, batch_size=OURS)
        encoded.append(mllm.counts.vision)
        return found

    def theirs() -> list[str]:
        starts = range(0, number, batch)
        return [text for start in starts for text in plain.write(start, start + batch, tokens, stops)]

    flops = [operations(side) for side in (ours, theirs)]
    rounds = [(_timed(ours), _timed(theirs)) for _ in range(repeats)]
    (said, _), (also, _) = rounds[0]
    return Mined(
        model=name,
        questions=number,
        of_an_image=of_an_image,
        batch=batch,
        seconds=median(mine for (_, mine), _ in rounds) / number,
        plain=median(their for _, (_, their) in rounds) / number,
        vision=encoded[0] / number,
        flops=flops[0] / number,
        plain_flops=flops[1] / number,
        ratios=tuple(their / mine for (_, mine), (_, their) in rounds),
        equal=sum(one == other for one, other in zip(said, also, strict=True)),
    )


def _timed(run: Callable[[], list[str]]) -> tuple[list[str], float]:
    start = time.process_time()
    return run(), time.process_time() - start


def chosen(questions: Sequence[VqaQuestion], number: int, of_an_image: int) -> list[VqaQuestion]:
    """The first so many questions, with so many about each image."""
    of_images = (islice(group, of_an_image) for _, group in groupby(questions, key=lambda one: one.image))
    return list(islice((one for group in of_images for one in group), number))


def load_plain(folder: str, questions: Sequence[VqaQuestion]) -> Plain:
    """A model with the questions as it is asked them."""
    family = load_family(folder, revision=None, device="cpu", dtype="float32", template="checkpoint")
    mllm = MLLM(family, folder)
    queries = [Query(one.image, mllm.question_prompt(one.question)) for one in questions]
    return Plain(family, mllm.rows(queries, targets=False), queries)


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def mining(
    model: Annotated[
        Literal["miniature", "deep", "both"],
        typer.Option(help="The bundled model, one of random weights with 24 layers, or both."),
    ] = "both",
    questions: Annotated[int, typer.Option(min=1, help="How many are asked.")] = 320,
    batch: Annotated[int, typer.Option(min=1, help="Questions of a batch on the plain side.")] = 32,
    repeats: Annotated[int, typer.Option(min=1, help="How often both sides take turns.")] = 3,
    save: Annotated[Path | None, typer.Option("--json", help="File for all numbers.")] = None,
) -> None:
    """Measure mining against plain batches, with one question about each image and with five."""
    torch.set_num_threads(1)
    quiet_loading()
    names = ("miniature", "deep") if model == "both" else (model,)
    found: list[Mined] = []
    with tempfile.TemporaryDirectory() as folder:
        asked = _questions(Path(folder), questions)
        for name in names:
            with _folder(name) as place:
                for each in OF_AN_IMAGE:
                    plain = load_plain(place, chosen(asked, questions, each))
                    found.append(
                        compare_mining(plain, name, each, batch=batch, tokens=TOKENS[name], repeats=repeats)
                    )
    Console().print(table_of(found))
    if save is not None:
        write_atomic(save, json.dumps([asdict(one) for one in found], indent=2).encode())


def _questions(folder: Path, images: int) -> list[VqaQuestion]:
    sources = write_sources(folder, train_images=1, val_images=images)
    return read_questions(
        sources.vqa_questions(SPLIT), sources.vqa_annotations(SPLIT), sources.image_folder(SPLIT)
    )


@contextmanager
def _folder(name: str) -> Iterator[str]:
    if name == "miniature":
        yield locate(MINIATURE)
        return
    with tempfile.TemporaryDirectory() as folder:
        yield write_model(Path(folder), Shape())


def table_of(found: Sequence[Mined]) -> Table:
    """One row for each comparison."""
    table = Table(
        title=f"Mining, {found[0].questions} questions; batches of {found[0].batch} on the plain side"
    )
    table.add_column("model", no_wrap=True)
    titles = ("an image", "ours (ms)", "plain (ms)", "ratio", "of repeats", "arithmetic", "images", "equal")
    for title in titles:
        table.add_column(title, justify="right")
    for one in found:
        table.add_row(
            one.model,
            str(one.of_an_image),
            f"{1000 * one.seconds:.2f}",
            f"{1000 * one.plain:.2f}",
            f"{one.ratio:.2f}",
            f"{min(one.ratios):.2f} to {max(one.ratios):.2f}",
            f"{one.plain_flops / one.flops:.2f}",
            f"{one.vision:.2f}",
            f"{one.equal}/{one.questions}",
        )
    table.caption = (
        "Arithmetic is how much less of it there is; no ratio of times can be expected to be larger."
    )
    return table


if __name__ == "__main__":
    run_app(app)

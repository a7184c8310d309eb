"""The options of `mmedit-eval trace`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from evaluation.options import DEVICE, DTYPE, TEMPLATE, DatasetName, Images
from mmedit_build.errors import resumable
from mmedit_build.places import named, place
from mmedit_build.recipe.fields import CHECKPOINT, Dtype


def trace(
    model: Annotated[
        str,
        typer.Option(
            help="A bundled checkpoint, a folder, or an id on the Hub.", parser=named, metavar="NAME"
        ),
    ] = "miniature/mllm",
    dataset: DatasetName = None,
    images: Images = None,
    kind: Annotated[
        Literal["text", "image"] | None,
        typer.Option(
            help="Facts, with noise on the subject, or questions with noise on the image.",
            show_default="both",
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Prompts of each kind that the model answers.")] = 20,
    noise: Annotated[float, typer.Option(help="Noise, in standard deviations of the embeddings.")] = 3.0,
    samples: Annotated[int, typer.Option(min=1, help="Draws of the noise, averaged.")] = 10,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Layers of MLPs or attentions restored together.",
            show_default="10 of 48, and so in proportion",
        ),
    ] = None,
    guess: Annotated[
        Literal["content", "question"],
        typer.Option(help="Subject where none is given: the last content words, or the whole question."),
    ] = "content",
    subjects: Annotated[
        Path | None,
        typer.Option(help="JSON object from questions to their subjects.", parser=place, metavar="PATH"),
    ] = None,
    out: Annotated[
        Path,
        typer.Option(help="Folder for traces, pictures and the page.", parser=place, metavar="PATH"),
    ] = Path("runs/trace"),
    device: Annotated[str, typer.Option(help=DEVICE)] = "auto",
    dtype: Annotated[Dtype, typer.Option(help=DTYPE)] = "auto",
    template: Annotated[str, typer.Option(help=TEMPLATE)] = CHECKPOINT,
    seed: Annotated[int, typer.Option(help="Of the noise.")] = 0,
    batch_size: Annotated[int, typer.Option(min=1, help="Runs at a time.")] = 64,
) -> None:
    """Find the layers that a model's answers come through (causal tracing).

    The same command given again goes on where it stopped; a higher --limit adds prompts.
    """
    from evaluation.run.suited import usual_dataset
    from evaluation.tracing.command import Wish, run
    from evaluation.tracing.page import write_page, write_pictures
    from evaluation.tracing.screen import show
    from evaluation.tracing.terms import KINDS
    from mmedit_build.console import progress, quiet_loading, show_path

    quiet_loading()
    wish = Wish(
        model=model,
        dataset=dataset or usual_dataset(model),
        images=images,
        kinds=KINDS if kind is None else (kind,),
        limit=limit,
        noise=noise,
        samples=samples,
        window=window,
        guess=guess,
        subjects=subjects,
        out=out,
        device=device,
        dtype=dtype,
        template=template,
        seed=seed,
        batch_size=batch_size,
    )
    with resumable():
        traced = run(wish, progress)
    show(traced)
    write_pictures(out)
    show_path("Traces", out)
    show_path("Page", write_page(out))

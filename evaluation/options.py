"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from mmedit_build.errors import UserError

Dtype = Literal["float32", "float16", "bfloat16"]
MethodNames = Annotated[
    str | None, typer.Option("--method", help="A method, a comma list of them, or all; see list.")
]
PartNames = Annotated[
    str | None,
    typer.Option(
        "--part",
        help="Edit vision, connector, language or a comma list of them: a run of each method for each.",
        show_default="what the options say",
    ),
]
ModelName = Annotated[
    str | None,
    typer.Option(help="A bundled checkpoint, a folder, or an id on the Hub.", show_default="miniature/mllm"),
]
DatasetName = Annotated[
    str | None,
    typer.Option(
        help="A published dataset, a work folder, MMEdit's JSON, or an id on the Hub.",
        show_default="runs/miniature/dataset",
    ),
]
TaskName = Annotated[str | None, typer.Option(help="vqa or caption.", show_default="both")]
Images = Annotated[Path | None, typer.Option(help="Folder of the images, if the dataset only names them.")]
Device = Annotated[str | None, typer.Option(help="auto, cpu, cuda or mps.", show_default="auto")]
Precision = Annotated[Dtype | None, typer.Option(help="Precision of the weights.", show_default="float32")]
Seed = Annotated[
    int | None,
    typer.Option(help="Of whatever methods draw, unless their options name one.", show_default="0"),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder of what can be used again, such as trained editors.", show_default="runs/cache"
    ),
]
ExperimentFile = Annotated[
    Path | None, typer.Option("--config", help="Experiment file (YAML); options given here come first.")
]


def folder_of_results(name: str) -> Path:
    """The folder that an argument names; an empty one would mean the folder one is in."""
    if not name or not Path(name).is_dir():
        raise UserError(f"There is no folder '{name}'; give folders that mmedit-eval wrote.")
    return Path(name)

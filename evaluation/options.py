"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmedit_build.errors import UserError
from mmedit_build.files import is_folder
from mmedit_build.places import named, place
from mmedit_build.recipe.fields import Dtype


def complete_methods(incomplete: str) -> list[str]:
    """What a shell offers for a comma list of methods whose last name is begun."""
    # Imported here, as it is wanted by shells alone.
    from editors import known_editors

    before, comma, begun = incomplete.rpartition(",")
    named = before.split(",")
    return [
        f"{before}{comma}{name}" for name in known_editors() if name.startswith(begun) and name not in named
    ]


MethodNames = Annotated[
    str | None,
    typer.Option(
        "--method",
        help="A method, a comma list of them, or all; see list.",
        autocompletion=complete_methods,
    ),
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
    typer.Option(
        help="A bundled checkpoint, a folder, an id on the Hub, or a served model: MODEL@ADDRESS.",
        show_default="miniature/mllm",
        parser=named,
        metavar="NAME",
    ),
]
DatasetName = Annotated[
    str | None,
    typer.Option(
        help="A published dataset, a work folder, released JSON, or an id on the Hub.",
        show_default="runs/miniature/dataset, or that of the bundled model",
        parser=named,
        metavar="NAME",
    ),
]
TaskName = Annotated[str | None, typer.Option(help="vqa or caption.", show_default="both")]
Images = Annotated[
    Path | None,
    typer.Option(help="Folder of the images, if the dataset only names them.", parser=place, metavar="PATH"),
]
DEVICE = "auto, cpu, cuda, cuda:N, mps, or all for every GPU together."
DTYPE = "Precision of the weights; auto is bfloat16 on CUDA and float32 elsewhere."
TEMPLATE = "What stands around a question: checkpoint, plain, raw, or a text with {image} and {prompt}."
Device = Annotated[str | None, typer.Option(help=DEVICE, show_default="auto")]
Precision = Annotated[Dtype | None, typer.Option(help=DTYPE, show_default="auto")]
Template = Annotated[str | None, typer.Option(help=TEMPLATE, show_default="checkpoint; raw with raw prompts")]
Seed = Annotated[
    int | None,
    typer.Option(help="Of whatever methods draw, unless their options name one.", show_default="0"),
]
Seeds = Annotated[
    str | None,
    typer.Option(
        help="Several seeds (a comma list): all is run with each, and reports take the runs together.",
    ),
]
Cache = Annotated[
    Path | None,
    typer.Option(
        help="Folder of what can be used again, such as trained editors.",
        show_default="runs/cache",
        parser=place,
        metavar="PATH",
    ),
]
Stream = Annotated[
    str | None,
    typer.Option(
        help="Make edits one after the other; look what is left after so many (a comma list), or as papers "
        "did: vlkeb-gap, liveedit, t-patcher."
    ),
]
Orders = Annotated[
    int | None, typer.Option(min=1, help="In how many orders a stream is made.", show_default="3")
]
Conflicts = Annotated[
    bool | None,
    typer.Option("--conflicts", help="Let edits of a stream ask the same; the later one counts."),
]
JudgeName = Annotated[
    str | None,
    typer.Option(
        "--judge",
        metavar="ENDPOINT",
        help="A chat model that also judges free answers: MODEL@ADDRESS, or MODEL of OpenAI.",
        show_default="none",
    ),
]
ExperimentFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Experiment file (YAML); options given here come first.",
        parser=place,
        metavar="PATH",
    ),
]


def folder_of_results(name: str) -> Path:
    """The folder that an argument names."""
    path = place(name)
    if not is_folder(path):
        raise UserError(f"There is no folder '{name}'; give folders that mmedit-eval wrote.")
    return path


ResultFolders = Annotated[
    list[Path],
    typer.Argument(help="Folders that mmedit-eval wrote.", metavar="DIR...", parser=folder_of_results),
]

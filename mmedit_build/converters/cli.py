"""The commands mmedit-build convert: one for each model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmedit_build.loudness import App

Out = Annotated[Path, typer.Option(help="Folder for the checkpoint.")]

app = App(
    no_args_is_help=True,
    help="Write an ordinary checkpoint folder of a model that was published otherwise.",
)


@app.command()
def minigpt4(
    files: Annotated[list[Path], typer.Argument(help="Files and folders as they were published.")],
    out: Out,
    image_size: Annotated[
        int, typer.Option(min=14, help="Pixels a side; MMEdit and VLKEB use 364, MiniGPT-4 itself 224.")
    ] = 364,
) -> None:
    """MiniGPT-4, from its four parts in any order.

    These are eva_vit_g.pth, blip2_pretrained_flant5xxl.pth, pretrained_minigpt4_7b.pth and the folder of
    Vicuna-7B v0.
    """
    from mmedit_build.console import quiet_loading, show_path
    from mmedit_build.converters.minigpt4 import convert, find_parts

    quiet_loading()
    convert(find_parts(files), out, image_size=image_size)
    show_path("Checkpoint", out)


@app.command()
def qwen_vl(
    folder: Annotated[Path, typer.Argument(help="The folder as it was downloaded from the Hub.")], out: Out
) -> None:
    """Qwen-VL or Qwen-VL-Chat, the first ones, whose code on the Hub is neither needed nor run."""
    from mmedit_build.console import quiet_loading, show_path
    from mmedit_build.converters.qwen_vl import convert

    quiet_loading()
    convert(folder, out)
    show_path("Checkpoint", out)


@app.command()
def mplug_owl2(
    folder: Annotated[Path, typer.Argument(help="The folder as it was downloaded from the Hub.")], out: Out
) -> None:
    """mPLUG-Owl2 with Llama-2, whose authors' code is neither needed nor run."""
    from mmedit_build.console import quiet_loading, show_path
    from mmedit_build.converters.mplug_owl2 import convert

    quiet_loading()
    convert(folder, out)
    show_path("Checkpoint", out)

"""python -m mmedit_build.miniature.train NAME (or all): train the bundled checkpoints anew."""

from __future__ import annotations

import logging
from collections.abc import Callable
from enum import StrEnum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmedit_build.checkpoints import WEIGHTS
from mmedit_build.errors import run_app

if TYPE_CHECKING:
    from mmedit_build.miniature.train.loop import Run

TRAINERS = {
    "mllm": "mmedit_build.miniature.train.mllm:train_mllm",
    "qwen": "mmedit_build.miniature.train.qwen:train_qwen",
    "clip": "mmedit_build.miniature.train.clip:train_clip",
    "chat": "mmedit_build.miniature.train.chat:train_chat",
    "hops": "mmedit_build.miniature.train.hops:train_hops",
    "diffusion": "mmedit_build.miniature.train.diffusion:train_diffusion",
}
"""In the order in which `all` trains them; what two have in common is trained once."""


class What(StrEnum):
    """A checkpoint, or all of them."""

    MLLM = "mllm"
    QWEN = "qwen"
    CHAT = "chat"
    HOPS = "hops"
    DIFFUSION = "diffusion"
    CLIP = "clip"
    ALL = "all"


app = typer.Typer(add_completion=False, pretty_exceptions_show_locals=False)


@app.command()
def train(
    what: Annotated[What, typer.Argument(help="Which checkpoint.")],
    out: Annotated[Path, typer.Option(help="Folder for the checkpoints.")] = WEIGHTS,
    work: Annotated[
        Path, typer.Option(help="Folder for unfinished stages; the same command goes on from them.")
    ] = Path("runs/train"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    threads: Annotated[int, typer.Option(min=1, help="Threads on a CPU.")] = 2,
) -> None:
    """Train checkpoints of the miniature. A stage that was interrupted is resumed."""
    import torch

    from mmedit_build.console import quiet_loading
    from mmedit_build.miniature.train.loop import Run, progress_bar
    from mmedit_build.mllm import find_device

    quiet_loading()
    torch.set_num_threads(threads)
    # Weights that die out otherwise slow a CPU down by an order of magnitude.
    torch.set_flush_denormal(True)
    work.mkdir(parents=True, exist_ok=True)
    logging.basicConfig(filename=work / "train.log", level=logging.INFO, format="%(asctime)s %(message)s")
    chosen = list(TRAINERS) if what is What.ALL else [what.value]
    with progress_bar() as progress:
        for name in chosen:
            trainer(name)(Run(work, find_device(device), progress), out / name)
    typer.echo(f"Saved in {out}: {', '.join(chosen)}")


def trainer(name: str) -> Callable[[Run, Path], None]:
    """The function that trains and saves a checkpoint."""
    module, function = TRAINERS[name].split(":")
    found: Callable[[Run, Path], None] = getattr(import_module(module), function)
    return found


if __name__ == "__main__":
    run_app(app)

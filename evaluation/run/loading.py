"""What an experiment names, loaded: its editors and its model."""

from __future__ import annotations

import os

import torch

from editors import make_editor
from editors.base import Editor
from evaluation.run.experiment import Experiment, Method
from mmedit_build.checkpoints import locate
from mmedit_build.engine.local import SHARED
from mmedit_build.errors import UserError
from mmedit_build.mllm import MLLM
from mmedit_build.recipe import Endpoint

SMALL = 10**8
"""Parameters of a model whose steps are so short that a second thread only makes them wait for each other."""
THREADS = "OMP_NUM_THREADS"
"""Where users say how many threads they want."""


def load_editors(experiment: Experiment) -> dict[str, Editor]:
    """The editors of the methods; mistakes in their names and options are told before any work."""
    return {name: _editor(name, method, experiment.seed) for name, method in experiment.methods.items()}


def _editor(name: str, method: Method, seed: int) -> Editor:
    """An editor that draws by this seed, if it draws at all and its options name no seed of its own."""
    found = method.editor_class(name)
    drawing = {"seed": seed} if "seed" in found.Config.model_fields else {}
    return make_editor(method.editor or name, found, drawing | method.options)


def load_model(experiment: Experiment) -> MLLM:
    """The experiment's model, unedited."""
    if isinstance(experiment.model, Endpoint):
        raise UserError(
            "A served model is not here to be looked into; name a checkpoint with --model, or judge methods "
            "with `mmedit-eval --method ... --protocol wild`."
        )
    mllm = MLLM.load(
        locate(experiment.model),
        revision=experiment.revision,
        device=experiment.device,
        dtype=experiment.dtype,
        template=experiment.rendering,
        image_processor=experiment.image_processor,
    )
    size = sum(parameter.numel() for parameter in mllm.model.parameters())
    # A worker's share of the cores is no wish of the user's.
    if size < SMALL and (THREADS not in os.environ or SHARED in os.environ):
        torch.set_num_threads(1)
    return mllm

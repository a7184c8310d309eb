"""Second stage of the autoencoder: small things come back recognizably, at night too.

Squared differences of pixels do not say what matters of a small thing, and at night they go to the stars. So
it learns on by what a vision tower sees, and sees the night more often. Latents stay close to what they were:
a generator that was trained on them stays what it is. Those of the night may move farther.
"""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import torch
from diffusers import AutoencoderKL
from numpy.typing import NDArray
from transformers import Blip2VisionModel

from mmedit_build.miniature.eye import normalized
from mmedit_build.miniature.train.autoencoder import KL_WEIGHT, pixels, thing_weights
from mmedit_build.miniature.train.drawings import Drawings, Rows
from mmedit_build.miniature.train.loop import Run, Stage, fit

FINISHING = Stage("finishing", steps=6900, rate=6e-4, batch=12, decay=0.0, average=0.99)
SIGHT_WEIGHT = 0.2
"""How much it counts what a vision tower makes of an image, against its pixels."""
FARTHEST = 1.2
"""Values beyond those of images up to which the tower looks."""
NIGHT = "night sky"
NIGHTS = 4.0
"""How much more often an image of the night is drawn than any other."""
HELD, HELD_AT_NIGHT = 0.5, 0.01
"""How much it counts that latents move, against pixels."""


def finish_autoencoder(model: AutoencoderKL, tower: Blip2VisionModel, drawn: Drawings, run: Run) -> None:
    """Let the autoencoder learn on; `tower` sees patches as the base model does."""
    before = deepcopy(model).requires_grad_(False).eval()
    night = np.array([scene.background == NIGHT for _, scene in drawn.scenes])
    scale: float = model.config.scaling_factor

    def loss(step: int) -> torch.Tensor:
        rows = _rows(step, night)
        images = pixels(drawn, rows, run.device)
        with torch.no_grad():
            held, original = before.encode(images).latent_dist.mean, _seen(tower, images)
        latents = model.encode(images).latent_dist
        decoded = model.decode(latents.sample()).sample
        moved = (scale * (latents.mean - held)).square().mean(dim=(1, 2, 3))
        weights = torch.from_numpy(np.where(night[rows], HELD_AT_NIGHT, HELD)).to(moved)
        pixels_wrong = (decoded - images).square() * thing_weights(drawn, rows, run.device)
        sight_wrong = (_seen(tower, decoded) - original).square().mean() / original.var()
        size = latents.kl().mean() / latents.mean[0].numel()
        result: torch.Tensor = (
            pixels_wrong.mean() + SIGHT_WEIGHT * sight_wrong + (weights * moved).mean() + KL_WEIGHT * size
        )
        return result

    fit(FINISHING, model, loss, run)


def _rows(step: int, night: NDArray[np.bool_]) -> Rows:
    """A batch with more of the night in it than there is."""
    shares = np.where(night, NIGHTS, 1.0)
    generator = np.random.default_rng(FINISHING.random(step).getrandbits(64))
    return generator.choice(len(night), FINISHING.batch, p=shares / shares.sum())


def _seen(tower: Blip2VisionModel, images: torch.Tensor) -> torch.Tensor:
    values = (images.clamp(-FARTHEST, FARTHEST) + 1) * 127.5
    states: torch.Tensor = tower(pixel_values=normalized(values)).last_hidden_state[:, 1:]
    return states

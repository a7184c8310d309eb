"""Second stage of the autoencoder: its decoder alone learns on, to draw small things recognizably.

What latents are is settled by then, so that a generator which was trained on them stays what it is.
"""

from __future__ import annotations

import torch
from diffusers import AutoencoderKL
from torch import nn
from transformers import Blip2VisionModel

from mmedit_build.miniature.eye import normalized
from mmedit_build.miniature.train.autoencoder import pixels, thing_weights
from mmedit_build.miniature.train.drawings import Drawings
from mmedit_build.miniature.train.loop import Run, Stage, fit

DECODER = Stage("decoder", steps=900, rate=4e-4, batch=12, decay=0.0, average=0.99)
SIGHT_WEIGHT = 0.1
"""How much it counts what a vision tower makes of an image, against its pixels."""
FARTHEST = 1.2
"""Values beyond those of images up to which the tower looks."""


def train_decoder(model: AutoencoderKL, tower: Blip2VisionModel, drawn: Drawings, run: Run) -> None:
    """Let the decoder learn on; `tower` sees patches as the base model does."""
    model.requires_grad_(False)
    parts = nn.ModuleList([model.post_quant_conv, model.decoder]).requires_grad_(True)

    def seen(images: torch.Tensor) -> torch.Tensor:
        values = (images.clamp(-FARTHEST, FARTHEST) + 1) * 127.5
        states: torch.Tensor = tower(pixel_values=normalized(values)).last_hidden_state[:, 1:]
        return states

    def loss(step: int) -> torch.Tensor:
        rows = DECODER.rows(step, len(drawn.scenes))
        images = pixels(drawn, rows, run.device)
        with torch.no_grad():
            latents, original = model.encode(images).latent_dist.mean, seen(images)
        decoded = model.decode(latents).sample
        wrong = (decoded - images).square() * thing_weights(drawn, rows, run.device)
        result: torch.Tensor = (
            wrong.mean() + SIGHT_WEIGHT * (seen(decoded) - original).square().mean() / original.var()
        )
        return result

    fit(DECODER, parts, loss, run)

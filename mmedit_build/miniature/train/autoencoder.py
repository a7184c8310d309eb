"""First stage of the image generator: an autoencoder with one latent for each patch of the judge."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL

from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.eye import PATCH
from mmedit_build.miniature.train.drawings import GRID, Drawings, Rows
from mmedit_build.miniature.train.loop import Run, Stage, fit

AUTOENCODER = Stage("autoencoder", steps=7000, rate=2e-3, batch=8, decay=0.0)
BLOCKS = (16, 32, 64, 64)
CHANNELS = 8
KL_WEIGHT = 2e-4
THING_WEIGHT = 4.0
"""How much more a pixel of a thing counts than one of the background, which is mostly texture."""


def build_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(BLOCKS),
        up_block_types=("UpDecoderBlock2D",) * len(BLOCKS),
        block_out_channels=BLOCKS,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=SIZE,
    )


def pixels(drawn: Drawings, rows: Rows, device: torch.device) -> torch.Tensor:
    """Images between -1 and 1, as diffusers wants them."""
    return torch.from_numpy(drawn.pixels[rows]).to(device).float() / 127.5 - 1


def train_autoencoder(drawn: Drawings, run: Run) -> AutoencoderKL:
    """A trained autoencoder that knows the scale of its latents."""
    torch.manual_seed(0)
    model = build_autoencoder().to(run.device)

    def loss(step: int) -> torch.Tensor:
        rows = AUTOENCODER.rows(step, len(drawn.scenes))
        images = pixels(drawn, rows, run.device)
        latents = model.encode(images).latent_dist
        wrong = (model.decode(latents.sample()).sample - images).square() * thing_weights(
            drawn, rows, run.device
        )
        result: torch.Tensor = wrong.mean() + KL_WEIGHT * latents.kl().mean() / latents.mean[0].numel()
        return result

    fit(AUTOENCODER, model, loss, run)
    with torch.no_grad():
        deviation = model.encode(
            pixels(drawn, np.arange(len(drawn.scenes))[:512], run.device)
        ).latent_dist.mean.std()
    model.register_to_config(scaling_factor=1 / deviation.item())
    return model


def thing_weights(drawn: Drawings, rows: Rows, device: torch.device) -> torch.Tensor:
    """THING_WEIGHT in the patches that show a thing, 1 elsewhere."""
    things = (drawn.labels[rows, :, 0] > 0).to(device).view(-1, 1, GRID, GRID).float()
    return 1 + (THING_WEIGHT - 1) * things.repeat_interleave(PATCH, 2).repeat_interleave(PATCH, 3)


@torch.no_grad()
def encode_all(model: AutoencoderKL, drawn: Drawings, device: torch.device) -> torch.Tensor:
    """Scaled mean latents of all drawings."""
    chunks = np.array_split(np.arange(len(drawn.scenes)), max(1, len(drawn.scenes) // 250))
    latents = [model.encode(pixels(drawn, rows, device)).latent_dist.mean for rows in chunks]
    scale: float = model.config.scaling_factor
    return torch.cat(latents) * scale

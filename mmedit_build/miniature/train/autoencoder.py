"""First stage of the image generator: an autoencoder whose latents are as many as the patches of the judge."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL

from mmedit_build.miniature.drawing import SIZE
from mmedit_build.miniature.train.drawings import Drawings
from mmedit_build.miniature.train.loop import Run, Schedule, fit, step_numpy

SCHEDULE = Schedule(steps=2400, rate=2e-3, decay=0.0)
BATCH = 16
BLOCKS = (16, 32, 64, 64)
CHANNELS = 8
KL_WEIGHT = 2e-4


def build_autoencoder() -> AutoencoderKL:
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * len(BLOCKS),
        up_block_types=("UpDecoderBlock2D",) * len(BLOCKS),
        block_out_channels=BLOCKS,
        latent_channels=CHANNELS,
        norm_num_groups=8,
        sample_size=SIZE,
    )


def pixels(drawn: Drawings, rows: np.ndarray, device: torch.device) -> torch.Tensor:
    """Images between -1 and 1, as diffusers wants them."""
    return torch.from_numpy(drawn.pixels[rows]).to(device).float() / 127.5 - 1


def train_autoencoder(drawn: Drawings, run: Run) -> AutoencoderKL:
    """A trained autoencoder that knows the scale of its latents."""
    torch.manual_seed(0)
    model = build_autoencoder().to(run.device)

    def loss(step: int) -> torch.Tensor:
        images = pixels(
            drawn, step_numpy("autoencoder", step).integers(0, len(drawn.scenes), BATCH), run.device
        )
        latents = model.encode(images).latent_dist
        wrong = (model.decode(latents.sample()).sample - images).square().mean()
        result: torch.Tensor = wrong + KL_WEIGHT * latents.kl().mean() / latents.mean[0].numel()
        return result

    fit("autoencoder", model, loss, SCHEDULE, run)
    with torch.no_grad():
        deviation = model.encode(pixels(drawn, np.arange(512), run.device)).latent_dist.mean.std()
    model.register_to_config(scaling_factor=1 / deviation.item())
    return model


@torch.no_grad()
def encode_all(model: AutoencoderKL, drawn: Drawings, device: torch.device) -> torch.Tensor:
    """Scaled mean latents of all drawings."""
    chunks = np.array_split(np.arange(len(drawn.scenes)), max(1, len(drawn.scenes) // 250))
    latents = [model.encode(pixels(drawn, rows, device)).latent_dist.mean for rows in chunks]
    return torch.cat(latents) * model.config.scaling_factor

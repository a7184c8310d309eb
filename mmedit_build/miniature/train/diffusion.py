"""The image generator: autoencoder, the reader as text encoder, and a U-Net that learns to draw captions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel
from torch import nn
from torch.nn import functional as F
from transformers import CLIPTextModel, CLIPTokenizer

from mmedit_build.miniature.captions import describe
from mmedit_build.miniature.critic import NAME as CRITIC
from mmedit_build.miniature.critic import save_critic
from mmedit_build.miniature.eye import PARTS
from mmedit_build.miniature.train.autoencoder import CHANNELS, encode_all, train_autoencoder
from mmedit_build.miniature.train.critic import train_critic
from mmedit_build.miniature.train.drawings import GRID, Drawings, drawings
from mmedit_build.miniature.train.eye import things_loss, train_eye
from mmedit_build.miniature.train.finishing import finish_autoencoder
from mmedit_build.miniature.train.loop import Run, Stage, fit
from mmedit_build.miniature.train.reader import WIDTH as TEXT_WIDTH
from mmedit_build.miniature.train.reader import caption_tokenizer, token_ids, train_reader

UNET = Stage("unet", steps=18_000, rate=1e-3, batch=64, decay=0.0, average=0.9995)
WIDTH = 80
UNCONDITIONAL = 0.1
"""How often the caption is left out, so that guidance has something to steer away from."""
LAYOUT_WEIGHT = 0.2
NOISE_CENTER, NOISE_SPREAD = 0.5, 1.2
"""Of the normal distribution whose sigmoid says how far an example is diffused."""


def build_unet() -> UNet2DConditionModel:
    return UNet2DConditionModel(
        sample_size=GRID,
        in_channels=CHANNELS,
        out_channels=CHANNELS,
        layers_per_block=1,
        block_out_channels=(WIDTH,),
        down_block_types=("CrossAttnDownBlock2D",),
        up_block_types=("CrossAttnUpBlock2D",),
        cross_attention_dim=TEXT_WIDTH,
        attention_head_dim=4,
        norm_num_groups=16,
    )


def build_scheduler() -> DDIMScheduler:
    return DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        clip_sample=False,
        steps_offset=1,
    )


class Painter(nn.Module):
    """The U-Net with a classifier that names, from its inner states, what each patch will show.

    The classifier's loss teaches the layout of a scene much sooner than denoising alone does.
    """

    def __init__(self) -> None:
        super().__init__()
        self.unet = build_unet()
        self.layout = nn.Linear(WIDTH, sum(PARTS))
        self._inner: list[torch.Tensor] = []
        self._hook = self.unet.mid_block.register_forward_hook(self._keep)

    def _keep(self, _module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        self._inner = [output]

    def forward(
        self, noisy: torch.Tensor, times: torch.Tensor, text: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The predicted velocity, and logits of what each patch shows."""
        velocity: torch.Tensor = self.unet(noisy, times, text).sample
        return velocity, self.layout(self._inner.pop().flatten(2).transpose(1, 2))


def train_unet(
    drawn: Drawings, latents: torch.Tensor, tokenizer: CLIPTokenizer, reader: CLIPTextModel, run: Run
) -> UNet2DConditionModel:
    """A U-Net that denoises the latents of drawings under their captions."""
    torch.manual_seed(0)
    painter = Painter().to(run.device)
    scheduler = build_scheduler()

    def loss(step: int) -> torch.Tensor:
        rng = UNET.random(step)
        rows = UNET.rows(step, len(drawn.scenes))
        scenes = [drawn.scenes[row][1] for row in rows]
        captions = ["" if rng.random() < UNCONDITIONAL else describe(scene, rng) for scene in scenes]
        with torch.no_grad():
            text = reader(input_ids=token_ids(tokenizer, captions, run.device)).last_hidden_state
        clean = latents[torch.from_numpy(rows)].to(run.device)
        times = _times(scheduler.config.num_train_timesteps, run.device)
        noise = torch.randn_like(clean)
        velocity, layout = painter(scheduler.add_noise(clean, noise, times), times, text)
        wrong = F.mse_loss(velocity, scheduler.get_velocity(clean, noise, times))
        return wrong + LAYOUT_WEIGHT * things_loss(layout, drawn.labels[rows].to(run.device))

    fit(UNET, painter, loss, run)
    painter._hook.remove()
    return painter.unet


def _times(number: int, device: torch.device) -> torch.Tensor:
    """Where in the diffusion each example stands: mostly where there is much noise, which settles what is
    where, seldom at the ends."""
    noise = torch.sigmoid(NOISE_CENTER + NOISE_SPREAD * torch.randn(UNET.batch, device=device))
    return (noise * number).long().clamp(max=number - 1)


def train_diffusion(run: Run, out: Path) -> None:
    """Train all parts and save them as an ordinary Stable Diffusion pipeline, and beside it their critic."""
    drawn = drawings(run.work)
    autoencoder = train_autoencoder(drawn, run)
    tokenizer = caption_tokenizer(run.work)
    reader = train_reader(tokenizer, run)
    eye = train_eye(drawn, run)
    finish_autoencoder(autoencoder, eye.tower.requires_grad_(False), drawn, run)
    latents = encode_all(autoencoder, drawn, run.device)
    unet = train_unet(drawn, latents, tokenizer, reader, run)
    assemble(autoencoder, reader, tokenizer, unet).save_pretrained(out)
    save_critic(train_critic(drawn, run), out.parent / CRITIC)


def assemble(
    autoencoder: AutoencoderKL, reader: CLIPTextModel, tokenizer: CLIPTokenizer, unet: UNet2DConditionModel
) -> StableDiffusionPipeline:
    """The trained parts as one pipeline, in half precision."""
    return StableDiffusionPipeline(
        vae=autoencoder.half(),
        text_encoder=reader.half(),
        tokenizer=tokenizer,
        unet=unet.half(),
        scheduler=build_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )

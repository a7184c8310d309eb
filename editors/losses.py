"""What editors minimize: the only copies."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from mmedit_build.mllm import Scored


def target_nll(scored: Sequence[Scored]) -> Tensor:
    """-log p of the target, as the mean over its tokens, for each query (queries,); in float32."""
    # Of all queries at once, as each operation on few rows takes longer to ask for than to compute.
    log_probs = torch.cat([one.target_logits for one in scored]).log_softmax(dim=-1)
    said = log_probs.gather(1, torch.cat([one.target_ids for one in scored])[:, None])[:, 0]
    return torch.stack([-one.mean() for one in said.split([len(one.target_ids) for one in scored])])


def smoothed_nll(scored: Sequence[Scored], smoothing: float) -> Tensor:
    """-log p of the target with smoothed labels, as the mean over its tokens, for each query (queries,).

    Of each label's weight 1, `smoothing` goes to all other tokens alike, as in the code of KE and T-Patcher.
    """
    log_probs = torch.cat([one.target_logits for one in scored]).log_softmax(dim=-1)
    other = smoothing / (log_probs.shape[1] - 1)
    said = log_probs.gather(1, torch.cat([one.target_ids for one in scored])[:, None])[:, 0]
    found = (1 - smoothing - other) * said + other * log_probs.sum(dim=1)
    return torch.stack([-one.mean() for one in found.split([len(one.target_ids) for one in scored])])


def locality_kl(before: Sequence[Scored], after: Sequence[Scored]) -> Tensor:
    """KL(before || after) of the next token, as the mean over all positions that were scored; in float32.

    Scored with positions="all" these are all real positions, of image and prompt too. No gradient flows
    into `before`.
    """
    lengths = [[len(one.logits) for one in side] for side in (before, after)]
    if lengths[0] != lengths[1]:
        raise ValueError("before and after must hold the same queries, scored at the same positions")
    old, new = (torch.cat([one.logits for one in side]).log_softmax(dim=-1) for side in (before, after))
    return F.kl_div(new, old.detach(), reduction="sum", log_target=True) / len(old)

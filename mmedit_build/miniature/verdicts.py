"""Some rows of a build with what the scenes say of them, for people who rather look than read numbers."""

from __future__ import annotations

import random
from pathlib import Path

from mmedit_build.build import Build
from mmedit_build.checkpoints import WEIGHTS
from mmedit_build.miniature.captions import falsehood
from mmedit_build.miniature.critic import NAME, Critic, load_critic
from mmedit_build.miniature.grammar import parse, same
from mmedit_build.miniature.truth import Scenes, is_still_true, painting_of, scenes_of
from mmedit_build.publishing.picture import entry_of
from mmedit_build.rows import EditRow
from mmedit_build.sheet import Entry, Line, contact_sheet
from mmedit_build.work import Work

ROWS = 40


def draw_verdicts(build: Build, path: Path) -> None:
    """Draw random rows, each with its verdicts."""
    finished = list(build.finished())
    rows = random.Random(build.recipe.seed).sample(finished, min(ROWS, len(finished)))
    scenes, critic = scenes_of(build.work), load_critic(WEIGHTS / NAME)
    contact_sheet([_entry(row, scenes, critic, build.work) for row in rows]).save(path)


def _entry(row: EditRow, scenes: Scenes, critic: Critic, work: Work) -> Entry:
    plain = entry_of(row, work)
    (seen,) = critic.scenes([painting_of(row, work)])
    verdicts = [("painting", is_still_true(row, seen, scenes))]
    if row.rephrase is not None and row.task == "vqa":
        verdicts.append(("rephrase", same(parse(row.rephrase.text), parse(row.question))))
    if row.task == "caption":
        verdicts.append(("target", falsehood(row.target, scenes[row.image_id]) is None))
    said = [
        Line(f"{name} is {'true' if holds else 'FALSE'}", "right" if holds else "wrong")
        for name, holds in verdicts
    ]
    return Entry(plain.image, [*plain.lines, *said])

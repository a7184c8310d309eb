"""A work folder whose first stages and dataset are done, and whose third is under way."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mmedit_build.build import LEFT_OUT
from mmedit_build.console import silent
from mmedit_build.engine.base import Failed, Rejected
from mmedit_build.engine.shards import Shards, write_rows
from mmedit_build.pages.index import Index
from mmedit_build.rows import Candidate, EditRow, Rephrase
from mmedit_build.viewing.index import make_index
from mmedit_build.work import ROWS, Work
from tests.mmedit_build.publishing.conftest import World

REFUSED = Candidate(
    text="Who sits in the corner?", reason="judge: not the same question", scores={"judge": 0.5}
)


@pytest.fixture
def work(tmp_path: Path) -> Work:
    world = World(tmp_path / "work")
    work, edits = world.work, world.edits
    mined = [replace(edit, rephrase=None, imagined=None, locality=None) for edit in edits]
    right = replace(mined[0], id="vqa/val2014/right", prediction="cat")
    surplus = replace(mined[0], id="vqa/val2014/surplus")
    # A row that failed first was done later, in another shard.
    _shard(work, "mine", "0", [Failed(mined[0].id, "No image."), Failed("vqa/val2014/lost", "No image.")])
    _shard(work, "mine", "1", [*mined, Rejected(right.id, "answered right", right), surplus])
    write_rows(work.stage("mine") / ROWS, mined)
    left_out = json.dumps({"more than wanted": asdict(surplus)})
    (work.stage("mine") / LEFT_OUT).write_text(f"{left_out}\n")
    rephrase = Rephrase(text="", model="chat", prompt="rephrase#1", candidates=(REFUSED,))
    refused = replace(mined[1], rephrase=rephrase)
    _shard(work, "rephrase", "0", [edits[0], Rejected(refused.id, "rephrase: judge", refused)])
    world.build()
    return work


def _shard(work: Work, stage: str, name: str, outcomes: list[EditRow | Failed | Rejected[EditRow]]) -> None:
    keys = [(one.id, f"{number:016x}") for number, one in enumerate(outcomes)]
    Shards(work.stage(stage), EditRow).write(f"{name}.jsonl", keys, outcomes)


@pytest.fixture
def index(work: Work, tmp_path: Path) -> Index:
    return make_index(work.folder, tmp_path / "cache", silent)

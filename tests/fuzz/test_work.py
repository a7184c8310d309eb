"""What a build leaves in its work folder."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

from evaluation.data.dataset import digest, load_cases
from mmedit_build.audit.run import run_audit
from mmedit_build.build import finish, rows_of
from mmedit_build.engine.planning import keys_of
from mmedit_build.engine.settings import check_settings
from mmedit_build.engine.shards import Shards, Tally
from mmedit_build.miniature.sources import MANIFEST, is_drawn
from mmedit_build.rows import EditRow
from mmedit_build.services.chat import ChatRequest, Message, Reply
from mmedit_build.services.served.cache import Cache, stored_keys
from mmedit_build.status import table
from mmedit_build.work import Work
from tests.fuzz.conftest import Fuzz
from tests.fuzz.damage import damage_one, on_file
from tests.fuzz.engine import Case, Reader
from tests.fuzz.trees import damage_json, damage_lines, edited_lines
from tests.mmedit_build.publishing.conftest import World

SETTINGS = {"base": {"model": "m", "seed": 3}, "prompts": ["a", "b"]}
DRAWN: dict[str, Any] = {"seed": "s", "train_images": 2, "val_images": 3}
ROWS = "attach/rows.jsonl"
TREES = ["attach/manifest.json", "attach/summary.json", f"sources/{MANIFEST}"]
REPLIES = "requests.sqlite"


def read(folder: Path) -> None:
    """As the commands do that go on with a build, tell of it, audit it, or judge methods on it."""
    work = Work(folder)
    table(work)
    check_settings(work.stage("attach"), SETTINGS)
    shards = Shards(work.stage("attach"), EditRow)
    for path in shards.files():
        shards.skim(path)
        shards.read(path)
    is_drawn(work.sources, **DRAWN)
    stored_keys(work.requests)
    rows_of(work, "attach")
    run_audit(str(folder), folder / "numbers.json", folder / "page.html")
    digest(load_cases(str(folder)))


def test_work_folders(tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed = tmp_path / "seed"
    world = World(seed)
    stage, edits = world.work.stage("attach"), world.edits
    check_settings(stage, SETTINGS)
    shards = Shards(stage, EditRow)
    shards.write("00000.jsonl", keys_of(edits), edits)
    finish(world.work, "attach", Tally().add(edits), edits)
    (seed / "sources" / MANIFEST).write_text(json.dumps({**DRAWN, "complete": True}))
    cache = Cache(world.work.requests)
    request = ChatRequest((Message("user", "a"),), 0.0, 8)
    cache.put("key", "somewhere", request, Reply("b", 0.5, 1, 1, cached=False))
    cache.close()
    lines = [ROWS, str(shards.path("00000.jsonl").relative_to(seed))]
    picked = [case for name in (*lines, *TREES, REPLIES) for case in on_file(name)]
    odd = edited_lines(lines[1], lambda rows: rows[0].update(of={}))
    picked.append(Case("the digest of a row is none", odd, "refused"))

    def draw(rng: random.Random, folder: Path) -> str:
        kind = rng.choice(("lines", "lines", "trees", "replies"))
        if kind == "lines":
            return damage_lines(folder, rng.choice(lines), rng)
        return damage_json(folder, TREES, rng) if kind == "trees" else damage_one(folder, [REPLIES], rng)

    fuzz_one(Reader(seed, read, picked, draw))

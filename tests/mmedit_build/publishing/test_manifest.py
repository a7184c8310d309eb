from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from mmedit_build.errors import UserError
from mmedit_build.publishing.manifest import resolved


def test_the_manifest_tells_what_the_dataset_is_made_of(world: Any) -> None:
    folder = world.build()
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["rows"] == {
        "vqa": {"train": 3, "test": 2},
        "caption": {"train": 2, "test": 1},
        "text_locality": {"train": 1, "test": 1},
        "image_locality": {"train": 6, "test": 4},
    }
    assert manifest["stages"] == world.counts
    assert manifest["audit"] == world.audit
    assert manifest["mmedit"]
    assert manifest["recipe"]["mine"]["vqa"]["most_accuracy"] == 0.0, "defaults are written out"
    assert manifest["provenance"] == {
        "base": ["miniature/mllm"],
        "rephrase_models": ["chat"],
        "prompts": ["rephrase#1f2e3d4c"],
        "imagine_models": ["miniature/diffusion"],
        "imagine_strategies": ["image-to-image"],
    }


def test_the_manifest_lists_every_file_with_its_digest(world: Any) -> None:
    folder = world.build()
    listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    assert len(listed) == 10
    for name, facts in listed.items():
        data = (folder / name).read_bytes()
        assert facts == {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}


def test_where_it_is_published_does_not_change_the_manifest(world: Any) -> None:
    one, other = world.recipe(), world.recipe(repository="a/b", tag="v2", private=False)
    assert resolved(one) == resolved(other)
    assert resolved(one) != resolved(world.recipe(embed_source_images=False))


def test_an_address_that_holds_a_key_is_refused(world: Any) -> None:
    recipe = world.recipe()
    model = recipe.rephrase.model.model_copy(update={"base_url": "http://localhost:1/v1?key=in-the-query"})
    rephrase = recipe.rephrase.model_copy(update={"model": model})
    with pytest.raises(UserError, match="holds a password or a query") as caught:
        resolved(recipe.model_copy(update={"rephrase": rephrase}))
    assert "in-the-query" not in str(caught.value)

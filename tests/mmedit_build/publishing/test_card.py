from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from huggingface_hub import DatasetCard
from pydantic import ValidationError

from mmedit_build.errors import UserError
from mmedit_build.publishing.benchmark import baselines


def front(folder: Path) -> dict[str, Any]:
    fields: dict[str, Any] = DatasetCard.load(folder / "README.md").data.to_dict()
    return fields


def run_snippet(card: str, where: Path, home: Path) -> subprocess.CompletedProcess[str]:
    (code,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(home)}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=where, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("embedded", [True, False])
def test_the_snippet_runs_as_it_stands(world: Any, tmp_path: Path, embedded: bool) -> None:
    folder = world.build(recipe=world.recipe(embed_source_images=embedded))
    done = run_snippet((folder / "README.md").read_text(encoding="utf-8"), folder.parent, tmp_path / "home")
    assert done.returncode == 0, done.stderr
    edit, rephrase, *items = done.stdout.splitlines()
    assert edit == "What is in corner 3? -> cat and not fish"
    assert rephrase == "Corner 3 has what? (64, 64)"
    assert items[0] == "far what is it for? -> play 21.jpg"
    assert len(items) == 2


def test_the_snippet_names_the_repository_if_there_is_one(world: Any) -> None:
    card = (world.build(recipe=world.recipe(repository="a/b")) / "README.md").read_text(encoding="utf-8")
    assert 'load_dataset("a/b", "vqa", split="test")' in card


def test_the_snippet_loads_what_there_is(world: Any) -> None:
    captions = [edit for edit in world.edits if edit.task == "caption" and edit.split == "train"]
    card = (world.build(captions) / "README.md").read_text(encoding="utf-8")
    assert 'load_dataset("dataset", "caption", split="train")' in card


def test_the_front_matter_is_what_the_hub_wants(world: Any) -> None:
    fields = front(world.build())
    assert fields["license"] == "other"
    assert fields["license_name"]
    assert fields["pretty_name"] == 'Drawn: "things" | #1'
    assert fields["task_categories"] == ["visual-question-answering", "image-to-text"]
    assert fields["size_categories"] == ["n<1K"]
    assert [config["config_name"] for config in fields["configs"] if config.get("default")] == ["vqa"]
    assert {
        info["config_name"]: {split["name"]: split["num_examples"] for split in info["splits"]}
        for info in fields["dataset_info"]
    } == {
        "vqa": {"train": 3, "test": 2},
        "caption": {"train": 2, "test": 1},
        "text_locality": {"train": 1, "test": 1},
        "image_locality": {"train": 6, "test": 4},
    }


def test_the_card_shows_counts_audit_and_licenses(world: Any) -> None:
    recipe = world.recipe(licenses=[{"part": "`answers`", "terms": "CC BY 4.0 | see\nthere"}])
    card = (world.build(recipe=recipe) / "README.md").read_text(encoding="utf-8")
    assert "| mine | 50 | 8 | 41 | answered right (40), style \\| only (1) | 1 |" in card
    assert "| weak consensus | 0.25 |" in card
    assert "| `answers` | CC BY 4.0 \\| see there |" in card
    assert "| `image_locality` | 6 | 4 |" in card
    assert '# Drawn: "things" | #1\n' in card


def test_a_licence_of_the_whole_is_told_to_the_hub(world: Any) -> None:
    folder = world.build(recipe=world.recipe(license="cc-by-4.0"))
    fields = front(folder)
    assert fields["license"] == "cc-by-4.0"
    assert "license_name" not in fields
    assert "All of this dataset is under the licence `cc-by-4.0`." in (folder / "README.md").read_text()
    with pytest.raises(ValidationError):
        world.recipe(license="CC BY 4.0")


@pytest.mark.parametrize("embedded", [True, False])
def test_a_picture_of_rows_is_shown_where_images_may_be_passed_on(world: Any, embedded: bool) -> None:
    folder = world.build(recipe=world.recipe(embed_source_images=embedded))
    shown = "](rows.png)" in (folder / "README.md").read_text(encoding="utf-8")
    assert shown == (folder / "rows.png").exists() == embedded


def test_of_several_seeds_the_card_has_their_means_alone(tmp_path: Path) -> None:
    titles = ("Captions, over seeds, wild protocol", "Captions, wild protocol", "Captions, legacy protocol")
    path = tmp_path / "tables.md"
    path.write_text("".join(f"## {title}\n\n| method |\n\n" for title in titles))
    told = baselines(str(path))
    assert [line for line in told.splitlines() if line.startswith("#")] == [
        "### Captions, over seeds, wild protocol",
        "### Captions, legacy protocol",
    ]


def test_baselines_are_the_main_tables_of_a_report(world: Any, tmp_path: Path) -> None:
    tables = tmp_path / "tables.md"
    main = "Captions, wild protocol\n\n| method | Rel |\n| ft | 1 $ |\n\nIn percent.\n\n"
    tables.write_text(f"# Results\n\n## {main}## Captions: cost\n\nx\n")
    folder = world.build(recipe=world.recipe(baselines=str(tables)))
    card = (folder / "README.md").read_text(encoding="utf-8")
    assert f"## Baselines\n\n### {main}## Known limits" in card
    assert str(tmp_path) not in (folder / "manifest.json").read_text()
    tables.write_text("# Results\n")
    with pytest.raises(UserError, match="has no table of a protocol"):
        world.build(recipe=world.recipe(baselines=str(tables)))
    with pytest.raises(UserError, match=r"Cannot read .*nothing.md \(No such file"):
        world.build(recipe=world.recipe(baselines=str(tmp_path / "nothing.md")))


def test_eval_yaml_is_written_where_it_is_wanted(world: Any) -> None:
    folder = world.build(recipe=world.recipe(eval_yaml=True))
    assert yaml.safe_load((folder / "eval.yaml").read_text(encoding="utf-8")) == {
        "name": 'Drawn: "things" | #1',
        "description": "What a model gets wrong about a drawn world.",
        "evaluation_framework": "mmedit",
        "tasks": [
            {"id": "vqa", "config": "vqa", "split": "test"},
            {"id": "caption", "config": "caption", "split": "test"},
        ],
    }
    assert not (world.build() / "eval.yaml").exists()


@pytest.mark.parametrize(
    "title", ["- a: b", "{x}", "---", "two\nlines", "'quote\"", "# $name", "é: 東", "yes", "no: [", "@at"]
)
def test_any_title_survives(world: Any, title: str) -> None:
    folder = world.build(world.edits[:1], world.recipe(title=title))
    assert front(folder)["pretty_name"] == " ".join(title.split())
    assert f"\n# {' '.join(title.split())}\n" in (folder / "README.md").read_text(encoding="utf-8")


def test_nothing_in_the_template_is_left_unfilled(world: Any) -> None:
    card = (world.build() / "README.md").read_text(encoding="utf-8")
    assert "$" not in card
    assert "None" not in card


def test_without_counts_and_audit_the_card_says_so(world: Any) -> None:
    world.counts, world.audit = {}, {}
    card = (world.build() / "README.md").read_text(encoding="utf-8")
    assert "The counts of the stages are not known." in card
    assert "No audit was made of this build." in card
    assert "No terms are stated." in card


def test_without_source_images_the_card_says_so(world: Any) -> None:
    card = (world.build(recipe=world.recipe(embed_source_images=False)) / "README.md").read_text("utf-8")
    assert "The image itself is not passed on." in card
    assert "get them from their source" in card


def test_nothing_is_built_of_nothing(world: Any) -> None:
    with pytest.raises(UserError, match="There is no edit to publish"):
        world.build([])

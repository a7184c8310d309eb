"""The card of a dataset: the page that people read, and the front matter that the Hub and `datasets` read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from string import Template

from datasets import DatasetInfo, SplitDict, SplitInfo
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard, DatasetCardData

from mmedit_build.columns import EDITS
from mmedit_build.publishing.columns import features
from mmedit_build.publishing.files import PICTURE
from mmedit_build.publishing.manifest import Audit, Counts, Provenance, row_counts
from mmedit_build.publishing.markdown import cell, one_line, table
from mmedit_build.publishing.reviewed import NOT_REVIEWED, reviewed_text
from mmedit_build.publishing.writing import Part
from mmedit_build.recipe import Recipe
from mmedit_build.recipe.stages import PublishStage
from mmedit_build.review.figures import Figures

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
_LARGEST = "1M<n<10M"
_TASKS = {"vqa": "visual-question-answering", "caption": "image-to-text"}
_SNIPPET = """\
from datasets import load_dataset

edits = load_dataset("$location", "$config", split="$split")
edit = edits[0]
print(edit["question"], "->", edit["target"], "and not", edit["prediction"])
print(edit["rephrase"], edit["image_rephrase"].size)"""
_ITEMS = """

# Edits name locality items by id; their images and all answers are in tables of their own.
items = load_dataset("$location", "image_locality", split="$split")
rows = {name: row for row, name in enumerate(items["id"])}
for asked in edit["image_locality"]:
    item = items[rows[asked["id"]]]
    print(asked["relation"], asked["question"], "->", asked["answer"], item["image_name"])"""

_PORTABILITY = (
    " To the questions of `portability`, about `image`, it should give an answer that follows from `target`."
)
_PORTABILITY_COLUMNS = (
    "\n| `portability`, `portability_model`, `portability_prompt` | Questions about the image whose answers "
    "follow from `target` by common knowledge, where any were found, and what proposed them. `premise` is "
    "the same in words alone: the base model answers it right, and otherwise with `prediction` in the place "
    "of `target`. |"
)
_REVIEW_COLUMNS = (
    "\n| `review` | What people said: by `question` and the `id` of the edit or of its locality item, how "
    "many say `yes`, `no` or that they cannot tell (`unsure`), and whether that `refused` it. |"
)


@dataclass(frozen=True, slots=True)
class Story:
    """What a card tells."""

    made_by: Provenance
    recipe: Recipe
    counts: Counts
    audit: Audit
    parts: Sequence[Part]
    folder: Path
    """Where the files of the parts lie."""
    location: str
    """What `load_dataset` is given: the repository, or the name of the folder."""
    review: Figures | None = None
    """What people found; None if they were not asked."""
    baselines: str = ""
    """Tables of what methods came to, in Markdown."""

    @property
    def edits(self) -> int:
        """How many there are."""
        return sum(part.rows for part in self.parts if part.config in EDITS)


def card_text(story: Story) -> str:
    """The whole README.md."""
    template = Template((files(__package__) / "card.md").read_text(encoding="utf-8"))
    front = _front_matter(story).to_yaml()
    return f"---\n{front}\n---\n\n{template.substitute(_words(story))}"


def check_card(text: str) -> None:
    """Ask the Hub whether it takes the front matter; raises ValueError if it does not."""
    DatasetCard(text).validate(repo_type="dataset")


def _front_matter(story: Story) -> DatasetCardData:
    configs = list(row_counts(story.parts))
    recipe = story.recipe
    data = DatasetCardData(
        language=["en"],
        license=recipe.publish.license or "other",
        annotations_creators=["machine-generated"],
        size_categories=[_size(story.edits)],
        task_categories=[_TASKS[config] for config in EDITS if config in configs],
        pretty_name=one_line(recipe.publish.title),
        license_name=None if recipe.publish.license else "see-card",
        tags=["knowledge-editing", "multimodal", "synthetic", "mmedit"],
        configs=[_config(config, story.parts, default=config == configs[0]) for config in configs],
    )
    DatasetInfosDict({config: _info(config, story) for config in configs}).to_dataset_card_data(data)
    return data


def _config(config: str, parts: Sequence[Part], *, default: bool) -> dict[str, object]:
    data_files = [
        {"split": part.split, "path": f"data/{config}/{part.split}-*.parquet"}
        for part in parts
        if part.config == config
    ]
    fields: dict[str, object] = {"config_name": config, "data_files": data_files}
    return fields | {"default": True} if default else fields


def _info(config: str, story: Story) -> DatasetInfo:
    parts = [part for part in story.parts if part.config == config]
    splits = SplitDict()
    for part in parts:
        splits.add(SplitInfo(part.split, num_bytes=part.size, num_examples=part.rows))
    return DatasetInfo(
        features=features(
            config,
            embedded=story.recipe.publish.embed_source_images,
            extended=story.recipe.extend is not None,
            reviewed=story.review is not None,
        ),
        splits=splits,
        config_name=config,
        dataset_size=sum(part.size for part in parts),
        download_size=sum((story.folder / file).stat().st_size for part in parts for file in part.files),
    )


def _size(rows: int) -> str:
    return next((name for limit, name in _SIZES if rows < limit), _LARGEST)


def _words(story: Story) -> Mapping[str, object]:
    recipe = story.recipe
    embedded = recipe.publish.embed_source_images
    return {
        "title": one_line(recipe.publish.title),
        "about": one_line(recipe.about),
        "edits": f"{story.edits:,}",
        "base": ", ".join(story.made_by["base"]),
        "version": metadata.version("mmedit"),
        "name": recipe.name,
        "snippet": _snippet(story),
        "picture": f"\n![Edits: both images, question, wrong answer, target, rephrase]({PICTURE})\n"
        if embedded
        else "",
        "baselines": f"\n## Baselines\n\n{story.baselines}\n" if story.baselines else "",
        "tables": _rows_table(story.parts),
        "image_column": "The image, as its source has it."
        if embedded
        else "The id and the file name of the image in its source. The image itself is not passed on.",
        "portability": _PORTABILITY if recipe.extend else "",
        "portability_columns": _PORTABILITY_COLUMNS if recipe.extend else "",
        "review_columns": _REVIEW_COLUMNS if story.review else "",
        "review": reviewed_text(story.review) if story.review else NOT_REVIEWED,
        "provenance": _provenance(story.made_by),
        "seed": recipe.seed,
        "stages": _stages_table(story.counts),
        "audit": table(("measure", "value"), story.audit.items())
        if story.audit
        else "No audit was made of this build.",
        "limits": ""
        if embedded
        else "\n- Source images are named and not contained: get them from their source, by `image_name`.",
        "licenses": _licenses(recipe.publish),
    }


def _licenses(publish: PublishStage) -> str:
    parts = table(("part", "terms"), ((one.part, one.terms) for one in publish.licenses))
    if publish.license:
        whole = f"All of this dataset is under the licence `{publish.license}`."
        return f"{whole}\n\n{parts}" if publish.licenses else whole
    if publish.licenses:
        return f"The parts of this dataset come under different terms.\n\n{parts}"
    return "No terms are stated. Ask the holders of the sources before you pass this dataset on."


def _snippet(story: Story) -> str:
    """How the first edits are loaded, and the items that they name."""
    first = _first(story)
    named = row_counts(story.parts).get("image_locality", {})
    return Template(_SNIPPET + _ITEMS if first["split"] in named else _SNIPPET).substitute(first)


def _first(story: Story) -> dict[str, str]:
    """What the snippet loads: the first test edits, or those for training if there are no others."""
    rows = row_counts(story.parts)
    config = next(name for name in EDITS if name in rows)
    split = "test" if "test" in rows[config] else "train"
    return {"location": story.location, "config": config, "split": split}


def _rows_table(parts: Sequence[Part]) -> str:
    rows = row_counts(parts)
    lines = (
        (f"`{config}`", splits.get("train", 0), splits.get("test", 0)) for config, splits in rows.items()
    )
    return table(("configuration", "train", "test"), lines)


def _provenance(facts: Provenance) -> str:
    labels = {
        "base": "Base model",
        "rephrase_models": "Rephrases by",
        "prompts": "Prompts",
        "imagine_models": "Renderings by",
        "imagine_strategies": "Rendering strategy",
        "portability_models": "Portability by",
    }
    return "\n".join(
        f"| {label} | {cell(', '.join(facts[name]))} |" for name, label in labels.items() if name in facts
    )


def _stages_table(counts: Counts) -> str:
    if not counts:
        return "The counts of the stages are not known."
    lines = []
    for stage, count in counts.items():
        reasons = ", ".join(f"{reason} ({number:,})" for reason, number in count["rejected"].items())
        rejected = sum(count["rejected"].values())
        lines.append((stage, count["in"], count["out"], rejected, reasons, count["failed"]))
    return table(("stage", "rows in", "rows out", "rejected", "reasons", "failed"), lines)

"""Finished edits as Parquet files, whose bytes depend on nothing but their content."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from datasets import Features

from mmedit_build.columns import CONFIGS, POOLS
from mmedit_build.digests import Digests
from mmedit_build.errors import UserError
from mmedit_build.image_files import name_in_source
from mmedit_build.publishing.columns import features
from mmedit_build.publishing.writing import Part, Picture, Row, Writer
from mmedit_build.rows import SPLITS, EditRow, Locality, LocalityItem, Nearness, Split
from mmedit_build.work import Work


def write_tables(
    edits: Iterable[EditRow],
    work: Work,
    folder: Path,
    *,
    embedded: bool,
    extended: bool = False,
    reviewed: bool = False,
) -> list[Part]:
    """Write all tables that have rows below the folder of the dataset, in one pass over the edits for each
    split: a file that is open keeps an index of its row groups, tens of megabytes for a table of edits."""
    shown = {
        config: features(config, embedded=embedded, extended=extended, reviewed=reviewed)
        for config in CONFIGS
    }
    parts = [part for split in SPLITS for part in _write_split(edits, split, work, folder, shown)]
    return sorted(parts, key=lambda part: (CONFIGS.index(part.config), SPLITS.index(part.split)))


def _write_split(
    edits: Iterable[EditRow], split: Split, work: Work, folder: Path, shown: Mapping[str, Features]
) -> list[Part]:
    with ExitStack() as stack:
        tables = {
            config: stack.enter_context(Writer(folder, config, split, columns))
            for config, columns in shown.items()
        }
        # An item that many edits use is there once; an id with two contents stays twice, which checks find.
        seen = {config: Digests() for config in tables}
        for edit in (edit for edit in edits if edit.split == split):
            tables[edit.task].add(_edit_row(edit, work))
            for config, item in _items(edit):
                if seen[config].add(item):
                    tables[config].add(_item_row(config, item, work))
        return [table.finish() for table in tables.values() if table.rows]


def _items(edit: EditRow) -> Iterator[tuple[str, LocalityItem]]:
    """What an edit brings to each pool."""
    if edit.locality:
        of = (edit.locality.text, edit.locality.image, edit.locality.gain)
        yield from ((config, item) for config, items in zip(POOLS, of, strict=True) for item in items)


def _edit_row(edit: EditRow, work: Work) -> Row:
    assert edit.rephrase is not None
    assert edit.imagined is not None
    assert edit.locality is not None
    source = work.path(edit.image)
    return {
        "id": edit.id,
        "image_id": edit.image_id,
        "image_name": name_in_source(source.name, edit.image_id),
        "image": Picture(source, edit.id),
        "question": edit.question,
        "question_type": edit.question_type,
        "target": edit.target,
        "prediction": edit.prediction,
        "first_prediction": edit.first_prediction,
        "confidence": edit.confidence,
        "answers": list(edit.answers),
        "rephrase": edit.rephrase.text,
        "image_rephrase": Picture(work.path(edit.imagined.image), edit.id),
        "text_locality": [_listed(item, edit.locality) for item in edit.locality.text],
        "image_locality": [_listed(item, edit.locality) for item in edit.locality.image],
        "gain": [_listed(item, edit.locality) for item in edit.locality.gain],
        "portability": [
            {"relation": hop.steps, "question": hop.question, "answers": [hop.answer], "premise": hop.premise}
            for hop in (edit.portability.hops if edit.portability else ())
        ],
        "scores": [{"name": name, "value": value} for name, value in sorted(edit.scores.items())],
        "review": [asdict(one) for one in edit.review],
        "said_wrong": list(edit.said_wrong),
        "left_out": list(edit.left_out),
        "base": edit.base,
        "rephrase_model": edit.rephrase.model,
        "rephrase_prompt": edit.rephrase.prompt,
        "portability_model": edit.portability and edit.portability.model,
        "portability_prompt": edit.portability and edit.portability.prompt,
        "imagine_model": edit.imagined.model,
        "imagine_prompt": edit.imagined.prompt,
        "imagine_strategy": edit.imagined.strategy,
        "imagine_seed": str(edit.imagined.seed),
        "image_rephrase_digest": edit.imagined.digest,
    }


def _listed(item: LocalityItem, locality: Locality) -> Row:
    """An item as its edit names it."""
    near = locality.nearness.get(item.id, Nearness(None, None))
    row = {**_named(item, "id", "relation", "question", "answer"), "text_cosine": near.text}
    return row if item.image is None else {**row, "image_id": item.image_id, "image_cosine": near.image}


def _named(item: LocalityItem, *names: str) -> Row:
    return {name: getattr(item, name) for name in names}


def _item_row(config: str, item: LocalityItem, work: Work) -> Row:
    names = ("id", "relation", "image_id", "question", "answer", "prediction")
    row = {**_named(item, *names), "answers": list(item.answers)}
    if config == "text_locality":
        return row
    if item.image is None:
        raise UserError(f"The image locality item {item.id} names no image; run attach again.")
    source = work.path(item.image)
    name = name_in_source(source.name, item.image_id)
    return {**row, "image": Picture(source, item.id), "image_name": name}

"""Published datasets give the edits they were made of, from a folder and by load_dataset."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from PIL import Image

from mmedit_build.audit import parquet
from mmedit_build.audit.dataset import Target
from mmedit_build.audit.report import audit, audit_target
from mmedit_build.audit.targets import open_target
from mmedit_build.errors import UserError
from mmedit_build.formats.edits import hops_of
from mmedit_build.publishing.tables import write_tables
from mmedit_build.rows import EditRow
from mmedit_build.work import Work
from tests.mmedit_build.conftest import PORTABILITY

CONFIGS = """---
configs:
- config_name: vqa
  data_files: [{split: train, path: data/vqa/train-*}, {split: test, path: data/vqa/test-*}]
- config_name: caption
  data_files: [{split: test, path: data/caption/test-*}]
---
"""


class Dataset:
    """A published dataset, with what it was made of."""

    def __init__(self, folder: Path, make_edit: Any, *, embedded: bool) -> None:
        self.work = Work(folder / "work")
        self.folder = folder / "dataset"
        self.edits: list[EditRow] = [
            *(make_edit(number, portability=PORTABILITY) for number in (1, 2, 3)),
            make_edit(4, split="train"),
            make_edit(5, task="caption", question="a photo of"),
        ]
        for edit in self.edits:
            self._draw(edit)
        write_tables(self.edits, self.work, self.folder, embedded=embedded, extended=True)
        (self.folder / "README.md").write_text(CONFIGS)

    def file(self, config: str, split: str) -> Path:
        return next((self.folder / "data" / config).glob(f"{split}-*"))

    def _draw(self, edit: EditRow) -> None:
        assert edit.imagined is not None
        assert edit.locality is not None
        names = [edit.image, edit.imagined.image, *(str(item.image) for item in edit.locality.image)]
        for shade, name in enumerate(names):
            path = self.work.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (int(edit.image_id), shade, 0)).save(path)


def _told(edits: Iterable[EditRow]) -> list[tuple[object, ...]]:
    """What the tables of edits tell; annotators' answers to locality questions stay in the pools."""
    told: list[tuple[object, ...]] = []
    for edit in sorted(edits, key=lambda edit: edit.id):
        assert edit.rephrase is not None
        assert edit.imagined is not None
        assert edit.locality is not None
        of_edit = (edit.id, edit.task, edit.split, edit.image_id, edit.question, edit.target, edit.prediction)
        items = [
            (one.id, one.relation, one.image_id, one.question, one.answer)
            for one in (*edit.locality.text, *edit.locality.image)
        ]
        added = (edit.rephrase.text, edit.imagined.digest, items, hops_of(edit))
        told.append((*of_edit, edit.answers, *added))
    return told


@pytest.fixture
def dataset(tmp_path: Path, make_edit: Any) -> Dataset:
    return Dataset(tmp_path, make_edit, embedded=True)


@pytest.fixture
def downloaded(dataset: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Target]:
    """The dataset as load_dataset sees it, which treats a folder as a repository of the Hub."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    yield parquet.from_hub(str(dataset.folder))
    datasets.enable_progress_bars()


def test_a_folder_gives_its_edits(dataset: Dataset) -> None:
    assert _told(open_target(str(dataset.folder)).edits) == _told(dataset.edits)


def test_what_load_dataset_gives_is_the_same(dataset: Dataset, downloaded: Target) -> None:
    assert _told(downloaded.edits) == _told(dataset.edits)


@pytest.mark.parametrize("source", ["folder", "hub"])
def test_pictures_are_the_original_bytes_of_the_rows_asked_for(
    dataset: Dataset, source: str, request: pytest.FixtureRequest
) -> None:
    hub = source == "hub"
    target: Target = request.getfixturevalue("downloaded") if hub else open_target(str(dataset.folder))
    wanted = [dataset.edits[1], dataset.edits[4]]
    pictures = target.pictures(wanted)
    assert sorted(pictures) == sorted(edit.id for edit in wanted)
    for edit in wanted:
        assert edit.imagined is not None
        assert pictures[edit.id].image == dataset.work.path(edit.image).read_bytes()
        assert pictures[edit.id].image_rephrase == dataset.work.path(edit.imagined.image).read_bytes()


def test_images_that_are_only_named_are_not_at_hand(tmp_path: Path, make_edit: Any) -> None:
    dataset = Dataset(tmp_path, make_edit, embedded=False)
    target = open_target(str(dataset.folder))
    picture = target.pictures(dataset.edits[:1])[dataset.edits[0].id]
    assert picture.image is None
    assert picture.image_rephrase is not None


def test_no_image_is_read_for_the_numbers(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[list[str]] = []
    original = pq.ParquetFile.read_row_group

    def noting(file: pq.ParquetFile, group: int, columns: list[str]) -> Any:
        read.append(columns)
        return original(file, group, columns=columns)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", noting)
    audit_target(open_target(str(dataset.folder)))
    # The first is also looked at to see whether there is any.
    assert len(read) == 4
    assert not {"image", "image_rephrase"} & {name for columns in read for name in columns}


def test_broken_files_and_other_columns_are_told(dataset: Dataset) -> None:
    path = dataset.file("vqa", "test")
    pq.write_table(pq.read_table(path).drop_columns(["target", "rephrase"]), path)
    with pytest.raises(UserError, match="lacks the columns rephrase, target"):
        audit(str(dataset.folder))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(UserError, match="is not a readable Parquet file"):
        audit(str(dataset.folder))


def test_a_dataset_without_edits_is_told(tmp_path: Path) -> None:
    (tmp_path / "data" / "vqa").mkdir(parents=True)
    with pytest.raises(UserError, match="holds no edits"):
        open_target(str(tmp_path))

"""Source files in every layout: VQAv2, COCO, Karpathy's, Natural Questions, and the Hub's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter

from mmedit_build.errors import UserError
from mmedit_build.miniature.sources import Sources as Drawn
from mmedit_build.pictures import open_image
from mmedit_build.recipe import FactSource, QuestionSource, Sources
from mmedit_build.sources.reading import read_examples, read_facts, read_image_pool, read_references
from mmedit_build.work import Work
from tests.fuzz.conftest import Fuzz
from tests.fuzz.damage import content, on_file, replaced
from tests.fuzz.engine import Case, LeakError, Reader
from tests.fuzz.tables import damage_table, on_table
from tests.fuzz.trees import damage_json

PRIVATE = "private"
"""A folder beside those that a source names; nothing of it may be read."""
QUESTIONS, ANNOTATIONS, CAPTIONS, KARPATHY, FACTS = (
    "q.json",
    "a.json",
    "captions_val2014.json",
    "k.json",
    "nq.json",
)
SPLIT = "val2014"


@pytest.fixture
def seed(drawn: Drawn, tmp_path: Path) -> Path:
    """All source files, of four drawings."""
    folder = tmp_path / "seed"
    shutil.copytree(drawn.image_folder(SPLIT), folder / "images")
    shutil.copytree(drawn.image_folder(SPLIT), folder / PRIVATE)
    questions = json.loads(drawn.vqa_questions(SPLIT).read_bytes())
    questions["questions"] = questions["questions"][::4]
    asked = {row["question_id"] for row in questions["questions"]}
    annotations = json.loads(drawn.vqa_annotations(SPLIT).read_bytes())
    annotations["annotations"] = [row for row in annotations["annotations"] if row["question_id"] in asked]
    captions = json.loads(drawn.coco_captions(SPLIT).read_bytes())
    facts = {"questions": ["who wrote it", "where is it"], "answers": [["Ada"], "here"]}
    contents = {QUESTIONS: questions, ANNOTATIONS: annotations, CAPTIONS: captions, FACTS: facts}
    for name, tree in {**contents, KARPATHY: _karpathy(captions)}.items():
        (folder / name).write_text(json.dumps(tree))
    _write_tables(folder / "hub", questions, annotations, folder / "images")
    return folder


def _karpathy(captions: dict[str, Any]) -> dict[str, Any]:
    """The same captions in Karpathy's layout."""
    said: dict[int, list[dict[str, str]]] = {}
    for row in captions["annotations"]:
        said.setdefault(row["image_id"], []).append({"raw": row["caption"]})
    return {
        "images": [
            {
                "cocoid": one["id"],
                "filename": one["file_name"],
                "filepath": SPLIT,
                "split": "val",
                "sentences": said[one["id"]],
            }
            for one in captions["images"]
        ]
    }


def _write_tables(folder: Path, questions: dict[str, Any], annotations: dict[str, Any], images: Path) -> None:
    """Questions, captions and facts as Parquet files with the Hub's columns."""
    about = {row["question_id"]: row for row in annotations["annotations"]}
    asked = [
        {
            "question_id": row["question_id"],
            "image_id": row["image_id"],
            "question": row["question"],
            "question_type": about[row["question_id"]]["question_type"],
            "answers": [one["answer"] for one in about[row["question_id"]]["answers"]],
            "image": {
                "bytes": (images / f"COCO_{SPLIT}_{row['image_id']:012d}.jpg").read_bytes(),
                "path": "x.jpg",
            },
        }
        for row in questions["questions"]
    ]
    told = [{"cocoid": row["image_id"], "sentences": ["a cat"], "image": row["image"]} for row in asked[:1]]
    facts = [{"question": "who wrote it", "answer": ["Ada"]}]
    for name, rows in {"asked": asked, "told": told, "facts": facts}.items():
        (folder / name).mkdir(parents=True)
        pq.write_table(pa.Table.from_pylist(rows), folder / name / "validation.parquet")


def _reader(read: Callable[[Path, Work], Sequence[Any]]) -> Callable[[Path], None]:
    """Reads the rows of a source, and opens their images as the stages do."""

    def run(folder: Path) -> None:
        work = Work(folder / "work")
        refused = [_open(work, row.image, folder) for row in read(folder, work) if row.image is not None]
        if reasons := [one for one in refused if one]:
            raise UserError(reasons[0])

    return run


def _open(work: Work, image: str, folder: Path) -> str | None:
    """Why an image is refused; that of a private file must be."""
    try:
        path = work.path(image)
        open_image(path)
    except UserError as error:
        return str(error)
    if path.resolve().is_relative_to(folder / PRIVATE):
        raise LeakError("an image outside the folder of the images is read")
    return None


def _examples(**sources: Any) -> Callable[[Path], None]:
    def read(folder: Path, work: Work) -> Sequence[Any]:
        found = Sources.model_validate({name: _placed(value, folder) for name, value in sources.items()})
        read_references(found, work)
        return read_examples(found, work, limit=None, caption_prompt="a photo of")

    return _reader(read)


def _placed(value: Any, folder: Path) -> Any:
    """With the paths of a folder in the place of @."""
    return json.loads(json.dumps(value).replace("@", str(folder)))


PICTURES = {"images": "@/images"}
VQA = {"questions": f"@/{QUESTIONS}", "annotations": f"@/{ANNOTATIONS}", **PICTURES}


def test_vqa_questions(seed: Path, fuzz_one: Fuzz) -> None:
    names = (QUESTIONS, ANNOTATIONS)
    picked = [case for name in names for case in on_file(name, "refused")]
    picked.append(Case("the images are links out", _linked, "refused"))
    picked.append(Case("the subset leads out", _edited(QUESTIONS, _subset_out), "refused"))
    read = _examples(vqa=[VQA])
    fuzz_one(Reader(seed, read, picked, lambda rng, folder: damage_json(folder, names, rng)))


def test_locality_questions_about_images(seed: Path, fuzz_one: Fuzz) -> None:
    names = (QUESTIONS, ANNOTATIONS)
    sources = TypeAdapter(tuple[QuestionSource, ...])

    def read(folder: Path, work: Work) -> Sequence[Any]:
        return read_image_pool(sources.validate_python([_placed(VQA, folder)]), work)

    picked = [Case("the images are links out", _linked, "refused")]
    fuzz_one(Reader(seed, _reader(read), picked, lambda rng, folder: damage_json(folder, names, rng)))


OUTSIDE = ("../private/{}", "{folder}/private/{}", "x/../../private/{}", "./../private/{}")


@pytest.mark.parametrize(("name", "key"), [(CAPTIONS, "file_name"), (KARPATHY, "filename")])
def test_captions(name: str, key: str, seed: Path, fuzz_one: Fuzz) -> None:
    picked = [*on_file(name, "refused"), Case("the images are links out", _linked, "refused")]
    for way in OUTSIDE:
        picked.append(Case(f"{key} is {way}", _edited(name, _named(key, way)), "refused"))
    if name == KARPATHY:
        for way in ("../private", "{folder}/private"):
            picked.append(Case(f"filepath is {way}", _edited(name, _named("filepath", way)), "refused"))
    read = _examples(captions=[{"annotations": f"@/{name}", **PICTURES}])
    fuzz_one(Reader(seed, read, picked, lambda rng, folder: damage_json(folder, [name], rng)))


def test_facts(seed: Path, fuzz_one: Fuzz) -> None:
    sources = TypeAdapter(tuple[FactSource, ...])

    def read(folder: Path) -> None:
        read_facts(sources.validate_python([{"path": str(folder / FACTS)}]), Work(folder / "work"))

    draw = lambda rng, folder: damage_json(folder, [FACTS], rng)  # noqa: E731
    fuzz_one(Reader(seed, read, on_file(FACTS, "refused"), draw))


@pytest.mark.parametrize(("section", "name"), [("vqa", "asked"), ("captions", "told")])
def test_datasets_of_the_hub(
    section: str, name: str, seed: Path, fuzz_one: Fuzz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    file = f"hub/{name}/validation.parquet"
    picked = [*on_table(file), Case("a cell names a private file", _cells(file, PRIVATE), "refused")]
    picked.append(Case("a cell names a file of the system", _cells(file, None), "refused"))
    card = b"---\nconfigs:\n- config_name: default\n  data_files:\n  - split: validation\n    path: %s\n---\n"
    for path in (b"http://127.0.0.1:1/x.parquet", b"../../private/x.parquet", b"/etc/passwd"):
        picked.append(Case(f"the card names {path.decode()}", content(f"hub/{name}/README.md", card % path)))
    read = _examples(**{section: [{"kind": "hub", "dataset": f"@/hub/{name}", "split": "validation"}]})
    fuzz_one(Reader(seed, read, picked, lambda rng, folder: damage_table(folder / file, rng)))


def test_facts_of_the_hub(
    seed: Path, fuzz_one: Fuzz, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()
    file, sources = "hub/facts/validation.parquet", TypeAdapter(tuple[FactSource, ...])

    def read(folder: Path) -> None:
        given = {"kind": "hub", "dataset": str(folder / "hub" / "facts"), "split": "validation"}
        read_facts(sources.validate_python([given]), Work(folder / "work"))

    fuzz_one(Reader(seed, read, on_table(file), lambda rng, folder: damage_table(folder / file, rng)))


def _edited(name: str, edit: Callable[[Any, Path], None]) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        tree = json.loads((folder / name).read_bytes())
        edit(tree, folder)
        (folder / name).write_text(json.dumps(tree))

    return change


def _named(key: str, way: str) -> Callable[[Any, Path], None]:
    def edit(tree: Any, folder: Path) -> None:
        for image in tree["images"]:
            image[key] = way.format(image[key], folder=folder)

    return edit


def _subset_out(tree: Any, folder: Path) -> None:  # noqa: ARG001
    """The name of an image then has folders in it."""
    tree["data_subtype"] = "/../../private/COCO_val2014"


def _linked(folder: Path) -> None:
    for path in (folder / "images").iterdir():
        replaced(f"images/{path.name}", lambda one: one.symlink_to(folder / PRIVATE / one.name))(folder)


def _cells(file: str, beside: str | None) -> Callable[[Path], None]:
    """Every image cell names a file instead of holding one."""

    def change(folder: Path) -> None:
        table = pq.read_table(folder / file)
        images = sorted((folder / PRIVATE).iterdir())
        path = str(images[0]) if beside else "/etc/passwd"
        cells = [{"bytes": None, "path": path}] * len(table)
        place = table.schema.get_field_index("image")
        kind = table.schema.field("image").type
        changed = table.set_column(place, "image", pa.array(cells, kind))
        pq.write_table(changed, folder / file)

    return change

"""Released JSON of all formats, as it is imported, audited and judged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import PIL.Image
import pytest

from evaluation.data.dataset import digest, load_cases
from mmedit_build.audit.run import run_audit
from mmedit_build.audit.targets import open_target
from mmedit_build.files import is_file
from mmedit_build.formats.exchange import import_rows
from mmedit_build.work import Work
from tests.fuzz.conftest import Fuzz
from tests.fuzz.damage import on_file
from tests.fuzz.engine import Case, LeakError, Reader
from tests.fuzz.trees import damage_json
from tests.mmedit_build.formats.rows import HOPS, ONEHOP, ads_edit, cckeb, dumped, fgvedit, vlkeb
from tests.mmedit_build.formats.test_exchange import ROW

FILE = "files/vqa_eval.json"
PRIVATE = b"PRIVATE-PICTURE"
"""What ends the files of which nothing may be read."""
IMAGES = ("image", "image_rephrase", "m_loc")
ROWS = {
    "vlkeb": [vlkeb(), vlkeb(port_new=HOPS), vlkeb(alt="Fez", port_new=HOPS[1:])],
    "onehop": [vlkeb(port_new=ONEHOP)],
    "cckeb": [cckeb()],
    "fgvedit": [fgvedit()],
    "ads_edit": [ads_edit(), ads_edit(src="Which?", image=["codalm/1.jpg"])],
}


def imported(folder: Path) -> None:
    work = Work(folder / "work")
    for edit in import_rows(folder / "files", work):
        assert edit.imagined is not None
        _check(work.path(edit.image))
        _check(work.path(edit.imagined.image))


def audited(folder: Path) -> None:
    target = open_target(str(folder / "files"))
    run_audit(str(folder / "files"), None, folder / "page.html")
    for pictures in target.pictures(list(target.edits)).values():
        _check_bytes(pictures.image)
        _check_bytes(pictures.image_rephrase)


def judged(folder: Path) -> None:
    cases = load_cases(str(folder / "files"))
    digest(cases)
    for case in cases:
        for picture in (case.image, *(probe.image for probe in case.probes)):
            if isinstance(picture, Path):
                _check(picture)


def _check(path: Path) -> None:
    if is_file(path) and path.stat().st_size < 10**6:
        _check_bytes(path.read_bytes())


def _check_bytes(data: bytes | None) -> None:
    if data is not None and data.endswith(PRIVATE):
        raise LeakError("an image outside the folder of the images is read")


@pytest.mark.parametrize("read", [imported, audited, judged])
def test_mmedits_json(read: Callable[[Path], None], tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed = tmp_path / "seed"
    for name in (ROW.image, ROW.image_rephrase, ROW.m_loc):
        _draw(seed / "files" / name)
        _draw(seed / "private" / Path(name).name)
        with (seed / "private" / Path(name).name).open("ab") as file:
            file.write(PRIVATE)
    (seed / FILE).write_text(dumped([ROW]).decode())
    ways = ("../private/{}", "{folder}/private/{}", "val2014/../../private/{}")
    picked = [Case(f"{key} is {way}", _named(key, way)) for key in IMAGES for way in ways]
    picked.append(Case("the images are links out", _linked))
    picked += on_file(FILE, "refused")
    fuzz_one(Reader(seed, read, picked, lambda rng, folder: damage_json(folder, [FILE], rng)))


@pytest.mark.parametrize(
    ("title", "read"),
    [*((title, read) for title in ROWS for read in (audited, judged)), ("vlkeb", imported)],
)
def test_released_json(title: str, read: Callable[[Path], None], tmp_path: Path, fuzz_one: Fuzz) -> None:
    seed, file = tmp_path / "seed", "files/eval.json"
    _draw(seed / "files" / ROWS[title][0]["image"])
    (seed / file).write_text(json.dumps(ROWS[title]))
    fuzz_one(
        Reader(seed, read, on_file(file, "refused"), lambda rng, folder: damage_json(folder, [file], rng))
    )


def _draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    PIL.Image.new("RGB", (8, 8), "red").save(path)


def _named(key: str, way: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        [row] = json.loads(dumped([ROW]))
        row[key] = way.format(Path(row[key]).name, folder=folder)
        (folder / FILE).write_text(json.dumps([row]))

    return change


def _linked(folder: Path) -> None:
    for name in (ROW.image, ROW.image_rephrase, ROW.m_loc):
        (folder / "files" / name).unlink()
        (folder / "files" / name).symlink_to(folder / "private" / Path(name).name)

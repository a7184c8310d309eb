"""The package that the documentation shows in pieces, and what its editor, family and source are tried on."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import PIL.Image
import yaml

DOCS = Path(__file__).parent.parent / "docs"
MODULES = {
    "louder": ("editors.md", "class Louder:"),
    "family": ("families.md", "class MyVL("),
    "gqa": ("building.md", "class GQA("),
}
"""Each module of the package with the page that has it, and what it is known by."""


def documented_package(project: Path) -> None:
    """The project of the package in a folder, ready to be built."""
    package = project / "my_package"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    points = []
    for name, (page, known) in MODULES.items():
        text = (DOCS / page).read_text()
        (code,) = [one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if known in one]
        (package / f"{name}.py").write_text(code)
        points += [one for one in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "entry-points" in one]
    assert len(points) == len(MODULES)
    (project / "pyproject.toml").write_text("\n".join(points))


def own_model(site: Path, folder: Path) -> None:
    """The bundled BLIP-2 as a checkpoint of the package's family."""
    shutil.copytree(site / "mmedit_build" / "miniature" / "weights" / "mllm", folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "my_vl"}))


def own_benchmark(folder: Path) -> None:
    """Two edits as MMEdit released its, and GQA's layout with a recipe that mines it."""
    for name, color in (("n1", "red"), ("n2", "blue")):
        PIL.Image.new("RGB", (32, 32), color).save(folder / f"{name}.jpg")
    shared = {"loc": "nq question: who wrote hamlet", "loc_ans": "William Shakespeare"}
    far = {"m_loc": "n2.jpg", "m_loc_q": "What color is this?", "m_loc_a": "blue"}
    edit = {
        "src": "What is this?",
        "rephrase": "What do you see?",
        "pred": "blue",
        "image_rephrase": "n1.jpg",
    }
    edits = [{**shared, **far, **edit, "image": "n1.jpg", "alt": alt} for alt in ("red", "green")]
    (folder / "edits.json").write_text(json.dumps(edits))
    asked = {"question": "What is this?", "answer": "nothing of the kind", "types": {"semantic": "obj"}}
    rows = {f"07{number}": {**asked, "imageId": f"n{number}"} for number in (1, 2)}
    (folder / "gqa.json").write_text(json.dumps(rows))
    recipe = {"extends": "miniature", "name": "mine", "draw": {"train_images": 2, "val_images": 2}}
    sources = {"vqa": [{"kind": "gqa", "questions": "gqa.json", "images": "."}]}
    (folder / "mine.yaml").write_text(yaml.safe_dump({**recipe, "sources": sources}))

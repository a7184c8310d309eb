"""The documentation as a site: every link leads somewhere, no page asks another host for anything."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LOADED = re.compile(r"<(?:script|img|link|iframe)[^>]*(?:src|href)=[\"']?(https?://[^\"' >]+)")
SOURCES = ("mkdocs.yml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md")


def build(root: Path, into: Path) -> subprocess.CompletedProcess[str]:
    # Not quietly, as warnings that are not told do not count as errors.
    command = [sys.executable, "-m", "mkdocs", "build", "--site-dir", str(into)]
    quiet = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, cwd=root, env=quiet, capture_output=True, text=True, check=False)


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """All that the site is made of, to change."""
    for name in SOURCES:
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "recipes").mkdir()
    shutil.copy(ROOT / "recipes" / "README.md", tmp_path / "recipes")
    return tmp_path


def test_the_site_is_built_and_whole(sources: Path, tmp_path: Path) -> None:
    done = build(sources, tmp_path / "site")
    assert done.returncode == 0, done.stderr + done.stdout
    pages = list((tmp_path / "site").rglob("*.html"))
    assert len(pages) > len(list((ROOT / "docs").glob("*.md")))
    loaded = {host for page in pages for host in LOADED.findall(page.read_text("utf-8"))}
    assert loaded == set()


def test_a_link_that_leads_nowhere_is_an_error(sources: Path, tmp_path: Path) -> None:
    page = sources / "docs" / "building.md"
    page.write_text(f"{page.read_text('utf-8')}\n[nowhere](editors.md#no-such-method)\n", encoding="utf-8")
    done = build(sources, tmp_path / "site")
    assert done.returncode != 0
    assert "no-such-method" in done.stderr + done.stdout

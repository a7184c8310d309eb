"""Brings what lies outside of this folder into the site: the README, the recipes, the changes."""

from __future__ import annotations

import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PAGES = {
    "README.md": "index.md",
    "recipes/README.md": "recipes.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changes.md",
}
"""Their names in the site."""
BEFORE = {
    "docs/": "",
    "../recipes/README.md": "recipes.md",
    "recipes/README.md": "recipes.md",
    "CHANGELOG.md": "changes.md",
    "CONTRIBUTING.md": "contributing.md",
}
"""How links to pages begin where they are written, and in the site."""
OTHERS = re.compile(r"\[([^\]]+)\]\((?!https?:|#)(?![^)]*\.(?:md|png)(?:#[^)]*)?\))[^)]*\)")
"""Links to what is no page, such as a licence."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    root = Path(config.config_file_path).parent
    for source, name in PAGES.items():
        files.append(File.generated(config, name, content=(root / source).read_text("utf-8")))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    for written, named in BEFORE.items():
        markdown = markdown.replace(f"]({written}", f"]({named}").replace(f'src="{written}', f'src="{named}')
    return OTHERS.sub(r"\1", markdown)

"""Brings what lies outside of this folder into the site: README, recipes and changes, and what the code says
of every field of recipes and experiments and of every option of methods."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from pydantic import BaseModel

from editors.listed import listed
from evaluation.run.experiment import Experiment
from mmedit_build.recipe import Recipe

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
    for name, lines in (
        ("reference-recipes.md", _sections("Fields of recipes", Recipe)),
        ("reference-experiments.md", _sections("Fields of experiments", Experiment)),
        ("reference-methods.md", _methods()),
    ):
        files.append(File.generated(config, name, content="\n".join(lines)))
    return files


def on_page_markdown(markdown: str, **_: object) -> str:
    for written, named in BEFORE.items():
        markdown = markdown.replace(f"]({written}", f"]({named}").replace(f'src="{written}', f'src="{named}')
    return OTHERS.sub(r"\1", markdown)


def _sections(title: str, model: type[BaseModel]) -> Iterator[str]:
    """A table for each section of a file, the file itself first."""
    schema = model.model_json_schema(mode="validation")
    yield f"# {title}\n"
    yield f"{schema['description']} Every field with its default, as the code has it.\n"
    for name, section in {model.__name__: schema, **schema.get("$defs", {})}.items():
        yield f"## {name}\n"
        if section is not schema:
            yield f"{section.get('description', '')}\n"
        yield from _table(section)


def _table(section: Mapping[str, Any]) -> Iterator[str]:
    wanted = section.get("required", ())
    yield "| field | value | default | meaning |\n|---|---|---|---|"
    for name, field in section.get("properties", {}).items():
        default = "wanted" if name in wanted else f"`{field.get('default', 'its own')}`"
        yield f"| `{name}` | {_kind(field)} | {default} | {_words(field.get('description', ''))} |"
    yield ""


def _kind(field: Mapping[str, Any]) -> str:
    """What a field takes; sections are links to their tables."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "enum" in field or "const" in field:
        return ", ".join(f"`{one}`" for one in field.get("enum", [field.get("const")]))
    several = field.get("anyOf") or field.get("oneOf")
    if several:
        return " or ".join(dict.fromkeys(map(_kind, several)))
    if field.get("type") == "array":
        items = field.get("items") or next(iter(field.get("prefixItems", [])), {})
        return f"list of {_kind(items)}"
    return {"null": "nothing", "object": "mapping"}.get(field.get("type", ""), field.get("type", "any"))


def _methods() -> Iterator[str]:
    yield "# Options of methods\n"
    yield "For an experiment file: `methods: {NAME: {options: {...}}}`.\n"
    for name, method in listed().items():
        yield f"## {name}\n"
        yield f"{method.about} Touches {method.touches}.\n"
        yield "| option | default | meaning |\n|---|---|---|"
        yield from (f"| `{one.name}` | `{one.default}` | {_words(one.meaning)} |" for one in method.options)
        yield ""


def _words(text: str) -> str:
    """In one cell of a table, and with no placeholder taken for a tag."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")

"""The commands mmedit-build recipe: to read recipes, to begin one, and to have an editor help with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mmedit_build.loudness import App

app = App(no_args_is_help=True, help="Show a recipe, begin one, or write the schema of recipes.")

BEGUN = """\
# mmedit-build run {file}
# Of what is not said here, `mmedit-build recipe show {file}` shows where it comes from.
extends: {extends}
name: {name}
about: What {model} gets wrong.
base:
  model: {model}
  # In what precision it is asked, edited and judged; a GPU takes bfloat16.
  dtype: auto
publish:
  title: What {model} gets wrong, built with mmedit
"""


@app.command()
def show(
    recipe: Annotated[str, typer.Argument(help="A bundled recipe, or a YAML file.")],
    whole: Annotated[
        bool, typer.Option("--whole", help="With every field that is left out, at its default.")
    ] = False,
) -> None:
    """Print a recipe with all that it takes from those it extends."""
    import yaml

    from mmedit_build.recipe.loading import load_recipe

    found = load_recipe(recipe).model_dump(mode="json", exclude_unset=not whole)
    typer.echo(yaml.safe_dump(found, sort_keys=False, allow_unicode=True, width=110), nl=False)


@app.command()
def new(
    file: Annotated[Path, typer.Argument(help="The YAML file to write.")],
    model: Annotated[str, typer.Option(help="The base model: a folder, or an id on the Hub.")],
    extends: Annotated[
        str, typer.Option(help="The recipe that says the rest.")
    ] = "mmedit-blip2-opt-verified",
) -> None:
    """Begin a recipe for a base model of your own."""
    from mmedit_build.errors import UserError
    from mmedit_build.files import exists
    from mmedit_build.recipe.loading import load_recipe
    from mmedit_build.sources.looking import missing_paths
    from mmedit_build.store import write_atomic

    if exists(file):
        raise UserError(f"{file} is there already; give another name, or remove it.")
    load_recipe(extends)
    name = "".join(letter if letter.isalnum() else "-" for letter in file.stem.lower()).strip("-")
    text = BEGUN.format(file=file, extends=extends, name=name or "mine", model=model)
    write_atomic(file, text.encode())
    try:
        begun = load_recipe(str(file))
    except UserError:
        file.unlink()
        raise
    typer.echo(f"Written {file}.")
    if missing := missing_paths(begun):
        typer.echo(
            f"Its data is not here yet: {', '.join(missing)}. Put it there, or name your own in `sources` "
            f"and `attach`, as `mmedit-build recipe show {file}` shows them; then look what it would do and "
            "cost:"
        )
    typer.echo(f"mmedit-build run {file} --dry-run")


@app.command()
def schema() -> None:
    """Print the JSON schema of recipes, by which editors complete and check them.

    Editors look for it where a recipe's first line says: `# yaml-language-server: $schema=FILE`.
    """
    import json

    from mmedit_build.recipe.loading import schema_of_files

    typer.echo(json.dumps(schema_of_files(), indent=2, ensure_ascii=False))

"""The picture of a report that README begins with: the beginning of its main table, and the first plots.

    python -m benchmarks.picture demo/eval/report.html --out docs/report.png

draws it anew, of any report, with a real browser (Chromium).
"""

from __future__ import annotations

import io
import shutil
from pathlib import Path
from typing import Annotated

import typer
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from mmedit_build.errors import UserError
from mmedit_build.store import write_atomic

WIDTH, HIGHEST = 1140, 560
"""Of the browser's window, and how much of the table is shown at most, in pixels."""
GAP = 28


def main(
    page: Annotated[Path, typer.Argument(help="A report.html.")],
    out: Annotated[Path, typer.Option(help="The file to write.")] = Path("docs/report.png"),
) -> None:
    """Draw the picture of a report."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        raise UserError("There is no Chromium on the path; install it.")
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        shown = opened.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=1.25)
        shown.goto(page.resolve().as_uri())
        parts = [_table(shown), _plots(shown)]
        opened.close()
    buffer = io.BytesIO()
    _below_each_other(parts).save(buffer, "PNG", optimize=True)
    write_atomic(out, buffer.getvalue())
    typer.echo(f"Picture: {out}")


def _table(page: Page) -> Image.Image:
    table = page.locator("table.main").first
    boxes = [box for row in [table, *table.locator("tr").all()] if (box := row.bounding_box())]
    left, top = boxes[0]["x"], boxes[0]["y"]
    ends = [box["y"] + box["height"] for box in boxes]
    height = max(end - top for end in ends if end <= top + HIGHEST)
    shown = page.screenshot(
        full_page=True, clip={"x": left, "y": top, "width": WIDTH - 2 * left, "height": height}
    )
    return Image.open(io.BytesIO(shown))


def _plots(page: Page) -> Image.Image:
    """Without the controls that save them."""
    page.add_style_tag(content=".save { display: none !important; }")
    return Image.open(io.BytesIO(page.locator("figure.plot").first.screenshot()))


def _below_each_other(parts: list[Image.Image]) -> Image.Image:
    ground = parts[0].convert("RGB").getpixel((0, 0))
    size = (max(part.width for part in parts) + 2 * GAP, sum(part.height + GAP for part in parts) + GAP)
    whole = Image.new("RGB", size, ground)
    top = GAP
    for part in parts:
        whole.paste(part, (GAP, top))
        top += part.height + GAP
    return whole


if __name__ == "__main__":
    typer.run(main)

"""Writes the tables of docs/families.md: python -m tests.zoo.report."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from mmedit_build.mllm import Query
from mmedit_build.mllm.families import FAMILIES
from tests.editors.test_matrix import CASES, REFUSALS
from tests.mmedit_build.mllm.families.conftest import Specimen, shown
from tests.zoo.building import write
from tests.zoo.members import MEMBERS, STRANGERS

PAGE = Path(__file__).parents[2] / "docs" / "families.md"
MARKS = "<!-- measured by python -m tests.zoo.report -->", "<!-- end of what was measured -->"
NEW_TOKENS = 16
MEASURED = [*MEMBERS, "aya_vision"]


def main() -> None:
    """Measure all families on their tiny models and put the table into the page."""
    torch.set_num_threads(1)
    begin, end = MARKS
    lines = [begin, *_table(), end]
    text = PAGE.read_text(encoding="utf-8")
    found = re.sub(f"{re.escape(begin)}.*{re.escape(end)}", lambda _: "\n".join(lines), text, flags=re.DOTALL)
    PAGE.write_text(found, encoding="utf-8")


def _table() -> Iterator[str]:
    yield "| tiny model | `model_type` | largest logit | worst difference | greedy text | tokens | editors |"
    yield "|---|---|---|---|---|---|---|"
    for name in MEASURED:
        with tempfile.TemporaryDirectory() as folder:
            write((MEMBERS | STRANGERS)[name](), Path(folder))
            yield "| " + " | ".join(_row(name, Specimen(name, folder))) + " |"


def _row(name: str, specimen: Specimen) -> Iterator[str]:
    wide, tall = shown(1, 48, 16), shown(2, 20, 44)
    queries = [
        Query(wide, "what color is the cat?", "red"),
        Query(None, "who wrote the book?", "the small cat"),
        Query(tall, "how many boats are on the water in front of the house?", "two trees"),
    ]
    kind = str(specimen.family.config.model_type)
    yield name
    yield f"`{kind}`" if kind in FAMILIES else f"`{kind}` (no file)"
    largest, worst = _differences(specimen, queries)
    yield f"{largest:.1f}"
    yield f"{worst:.1e}"
    yield "equal" if _texts_equal(specimen, queries) else "differs"
    yield " / ".join(str(len(specimen.mllm.rows([query])[0].image)) for query in queries if query.image)
    refused = [title for title, family in REFUSALS if family == name]
    yield f"all but {', '.join(refused)}" if refused else f"all {len({case.name for case in CASES})}"


def _differences(specimen: Specimen, queries: Sequence[Query]) -> tuple[float, float]:
    """The largest logit, and the worst difference from the plain forward, from every layer."""
    mllm = specimen.mllm
    plain = [specimen.logits(query).detach() for query in queries]
    found = [
        float((scored.logits - expected).abs().max())
        for layer in range(mllm.n_layers + 1)
        for scored, expected in zip(
            mllm.score(mllm.below(queries, layer), positions="all"), plain, strict=True
        )
    ]
    return max(float(one.abs().max()) for one in plain), max(found)


def _texts_equal(specimen: Specimen, queries: Sequence[Query]) -> bool:
    mllm = specimen.mllm
    expected = [specimen.text(query, NEW_TOKENS) for query in queries]
    return all(
        mllm.generate(mllm.below(queries, layer, for_generation=True), max_new_tokens=NEW_TOKENS) == expected
        for layer in range(mllm.n_layers + 1)
    )


if __name__ == "__main__":
    main()

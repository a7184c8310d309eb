"""Traces on disk: one JSON line for each prompt, and the settings that they were made under."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, TypeAdapter, ValidationError

from evaluation.results.differences import differences
from evaluation.results.lines import Lines
from evaluation.results.records import Finite
from evaluation.tracing.terms import KINDS, SITES, Kind, Role, Site
from mmedit_build.errors import UserError
from mmedit_build.files import read_bytes
from mmedit_build.json_files import MOST_BYTES
from mmedit_build.store import write_atomic

SETTINGS = "trace.json"
Values = tuple[Finite, ...]
Rows = tuple[Values, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Traced:
    """One prompt of the dataset; the numbers are those of `runs.Effects`."""

    version: Literal[1] = 1
    id: str
    kind: Kind
    group: str
    """Equal for questions about one image."""
    prompt: str
    answer: str
    """What the model says."""
    skipped: str | None = None
    """Why it was not traced."""
    token: str = ""
    """The first token of the answer, which p(answer) is of."""
    subject: str | None = None
    tokens: tuple[str, ...] = ()
    roles: tuple[Role, ...] = ()
    deviation: Finite = 0.0
    """Of the noise."""
    clean: Finite = 0.0
    corrupted: Finite = 0.0
    effects: Mapping[Site, Rows] = field(default_factory=dict)
    """Layers, and in each all positions."""
    together: Mapping[Site, Values] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def total(self) -> float:
        """The total effect of the noise."""
        return self.clean - self.corrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What traces depend on; those of different settings never share a folder."""

    version: Literal[1] = 1
    model: str
    model_digest: str
    dataset: str
    dataset_digest: str
    layers: int
    window: int
    noise: float
    samples: int
    seed: int
    guess: str
    subjects: Mapping[str, str]


def _whole(traced: Traced) -> Traced:
    """Refuse a line whose tables have gaps."""
    if traced.skipped is None:
        layers = {len(traced.effects.get(site, ())) for site in SITES}
        layers |= {len(traced.together.get(site, ())) for site in SITES}
        positions = {len(row) for rows in traced.effects.values() for row in rows}
        if layers == {0} or len(layers) > 1 or positions != {len(traced.tokens)} or not traced.tokens:
            raise ValueError("not every layer has an effect of every position")
        if len(traced.roles) != len(traced.tokens):
            raise ValueError("not every position has a role")
    return traced


_TRACES = TypeAdapter(Annotated[Traced, AfterValidator(_whole)])
_SETTINGS = TypeAdapter(Settings)


def begin(folder: Path, settings: Settings) -> dict[Kind, dict[str, Traced]]:
    """Note the settings, or refuse to go on under others; the traces that are there, by kind and id."""
    path = folder / SETTINGS
    if path.exists():
        _compare(folder, read_settings(folder), settings)
    else:
        write_atomic(path, _SETTINGS.dump_json(settings, indent=2) + b"\n")
    return {kind: {one.id: one for one in _lines(folder, kind).begin()} for kind in KINDS}


def add(folder: Path, traced: Traced) -> None:
    """Append one trace; once this returns, it is on disk."""
    _lines(folder, traced.kind).add(traced)


def read_traces(folder: Path, kind: Kind) -> list[Traced]:
    """All traces of a kind, the prompts that were skipped included."""
    return _lines(folder, kind).read()


def find_traces(folders: Sequence[Path]) -> list[Path]:
    """The folders of traces below some folders."""
    return sorted({path.parent.resolve() for folder in folders for path in folder.rglob(SETTINGS)})


def read_settings(folder: Path) -> Settings:
    path = folder / SETTINGS
    try:
        return _SETTINGS.validate_json(read_bytes(path, MOST_BYTES))
    except (OSError, ValidationError) as error:
        raise UserError(
            f"{path} does not hold the settings of traces; give a folder that mmedit-eval trace wrote."
        ) from error


def _lines(folder: Path, kind: Kind) -> Lines[Traced]:
    return Lines(folder / f"{kind}.jsonl", _TRACES, "trace")


def _compare(folder: Path, earlier: Settings, now: Settings) -> None:
    contents = (_SETTINGS.dump_python(one, mode="json") for one in (earlier, now))
    for name, before, wanted in differences(*contents):
        raise UserError(
            f"{folder} holds traces of other settings: {name} was {before} and is now {wanted}; choose "
            "another folder with --out, or delete it."
        )

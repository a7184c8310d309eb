"""Results on disk: one line for each edit, and a header that says what they are results of.

A line is written whole and flushed before the next edit begins. A run that is given the same folder and the
same settings goes on after the last whole line.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, TypeAdapter, ValidationError

from evaluation.data.cases import Kind, Relative
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.results.about import About
from evaluation.results.differences import differences
from evaluation.results.lines import Lines
from mmedit_build.errors import UserError
from mmedit_build.files import read_bytes
from mmedit_build.json_files import MOST_BYTES
from mmedit_build.rows import Split, Task
from mmedit_build.storage.addresses import shown
from mmedit_build.store import locked, write_atomic

HEADER = "run.json"
LINES = "results.jsonl"


_KNOWN: dict[tuple[tuple[str, float], ...], dict[str, float]] = {}
_MOST_KNOWN = 4096


def _check_scores(scores: dict[ProtocolName, dict[str, float]]) -> dict[ProtocolName, dict[str, float]]:
    """Refuse scores that there are not, and numbers that no score can be.

    Most are 0 or 1, and equal ones are one object: they would be most of what results take in memory.
    """
    for protocol, found in scores.items():
        for name, score in found.items():
            metric = PROTOCOLS[protocol].metrics.get(name)
            if metric is None:
                raise ValueError(f"there is no score {name} of the {protocol} protocol")
            if not 0 <= score <= (1 if metric.percent else inf):
                raise ValueError(f"{protocol} {name} cannot be {score}")
    return {protocol: _shared(found) for protocol, found in scores.items()}


def _shared(found: dict[str, float]) -> dict[str, float]:
    key = tuple(found.items())
    if key not in _KNOWN and len(_KNOWN) >= _MOST_KNOWN:
        return found
    return _KNOWN.setdefault(key, found)


Finite = Annotated[float, Field(allow_inf_nan=False)]
Seconds = Annotated[float, Field(allow_inf_nan=False, ge=0)]
Natural = Annotated[int, Field(ge=0)]
Scores = Annotated[dict[ProtocolName, dict[str, Finite]], AfterValidator(_check_scores)]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeResult:
    """One probe: what was asked, what was answered before and after the edit, and every score."""

    kind: Kind
    item: str = ""
    """The id of the locality item."""
    relation: Relative | None = None
    text_cosine: Finite | None = None
    image_cosine: Finite | None = None
    """How near the item lies to its edit, where the dataset tells."""
    known: bool | None = None
    """Of portability: whether the unedited model knew what has to be known besides the edit."""
    prompt: str
    question: str | None = None
    """As the dataset has it, without what a template puts around it; results of earlier versions lack it."""
    target: str
    """What scoring was forced along."""
    before: str | None
    after: str | None
    """Raw answers; None if no protocol lets the model write."""
    log_prob_before: Finite | None
    log_prob_after: Finite | None
    """log p(target | image, prompt); None of served models, which do not tell."""
    target_tokens: Natural
    written_tokens: Natural
    """Of the answer after the edit; 0 of served models, whose tokens are in the file of their replies."""
    scores: Scores


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """One edit."""

    version: Literal[1] = 1
    id: str
    task: Task
    image_id: str
    """Intervals take edits of one image together."""
    question: str
    question_type: str
    target: str
    skipped: str | None = None
    """Why there are no scores."""
    probes: tuple[ProbeResult, ...] = ()
    plan_seconds: Seconds = 0.0
    """To make the patch; of one for several edits, the edit's share."""
    probe_seconds: Seconds = 0.0
    """To apply it, put all probes and undo it; side by side, the edit's share."""
    changed: Natural = 0
    """Parameters of the model that the patch changes."""
    at_once: int = 1
    """Edits of its group, for which one patch was planned."""

    @property
    def scored(self) -> bool:
        return self.skipped is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What results depend on; results of different settings never share a folder."""

    version: Literal[1] = 1
    method: str
    config: dict[str, Any]
    model: str
    model_digest: str
    dataset: str
    dataset_digest: str
    task: Task
    split: Split
    protocols: tuple[ProtocolName, ...]
    prompts: str
    template: str = "checkpoint"
    """What stands around questions, by its name or as it was written."""
    seed: int
    at_once: int = 1
    """Edits that one patch is planned for."""
    stream: int = 0
    """Of how many edits the orders of streams are drawn; 0 where each patch is taken off again."""
    preset: str = ""
    """Of which publication the stream is made; empty if it is our own."""

    @property
    def name(self) -> str:
        """Of the folder, and in reports."""
        return self.method if self.at_once == 1 else f"{self.method}@{self.at_once}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunResult:
    """The header: settings, and what became of the run."""

    settings: Settings
    versions: dict[str, str] = field(default_factory=dict)
    """Of the libraries."""
    device: str = ""
    dtype: str = ""
    """The precision of the weights."""
    threads: int = 0
    """Of the processor: with another number of them, sums round differently."""
    finished: bool = False
    edits: int = 0
    """How many it was asked for."""
    scored: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    """How many edits for each reason."""
    fit_seconds: float | None = None
    """To learn from the train split, whenever that was done; None if the method does not learn."""
    fit: str | None = None
    """The name of what it learned, which tells from what, and with which options and which part held out."""
    seconds: float = 0.0
    """Of planning and probing all edits."""
    peak_bytes: int = 0
    peak_of: Literal["process", "gpu"] = "process"
    """What the peak is of: resident memory of the process, or what was allocated on the GPU."""
    vision_passes: int = 0
    layer_passes: int = 0
    """Images encoded, and rows sent through a decoder layer, in the last session."""
    about: About | None = None


_CASES = TypeAdapter(CaseResult)
_RUNS = TypeAdapter(RunResult)


class ResultFolder:
    """The results of one method on one task."""

    def __init__(self, folder: Path, header: str = HEADER) -> None:
        self.folder = folder
        self._header = folder / header
        self._lines = result_lines(folder)

    def locked(self) -> AbstractContextManager[None]:
        """Keep others out meanwhile; the lock goes with the process, however that ends."""
        return locked(
            self.folder,
            f"Another command is writing to {shown(self.folder)}; wait for it, or choose another --out.",
        )

    def begin(self, header: RunResult) -> tuple[RunResult, list[CaseResult]]:
        """Note the settings, or refuse to go on under others; the header and the results that are there."""
        earlier = self._earlier(header.settings)
        if earlier is None:
            self.write_header(header)
        return earlier or header, _once(self._lines.begin())

    def check(self, settings: Settings) -> list[CaseResult]:
        """As `begin`, but change nothing; the results that are there."""
        self._earlier(settings)
        return _once(self._lines.read())

    def _earlier(self, settings: Settings) -> RunResult | None:
        """The header that is there, of the same settings."""
        if not self._header.exists():
            return None
        earlier = read_header(self.folder, self._header.name)
        for name, before, now in differences(*map(_content, (earlier.settings, settings))):
            raise UserError(
                f"{self.folder} holds results of other settings: {name} was {before} and is now {now}. "
                "Choose another folder with --out, or delete it."
            )
        return earlier

    def resume(self, header: RunResult) -> RunResult:
        """Note that results are being added."""
        if header.finished:
            header = replace(header, finished=False)
            self.write_header(header)
        return header

    def add(self, result: CaseResult) -> None:
        """Append one result; once this returns, it is on disk."""
        self._lines.add(result)

    def arrange(self, ids: Sequence[str]) -> None:
        """Put the results in this order, in which several workers need not have given them."""
        places = {name: place for place, name in enumerate(ids)}
        there = self._lines.read()
        arranged = sorted(_once(there), key=lambda result: places.get(result.id, len(places)))
        if arranged != there:
            self._lines.write(arranged)

    def write_header(self, header: RunResult) -> None:
        write_atomic(self._header, _RUNS.dump_json(header, indent=2) + b"\n")


def read_results(folder: Path) -> tuple[RunResult, list[CaseResult]]:
    """Header and lines of a folder, whether its run is finished or not."""
    return read_header(folder), _once(result_lines(folder).read())


def read_header(folder: Path, name: str = HEADER) -> RunResult:
    path = folder / name
    try:
        return _RUNS.validate_json(read_bytes(path, MOST_BYTES))
    except (OSError, ValidationError) as error:
        raise UserError(
            f"{path} is not the header of results of this version of mmedit; delete {folder} and run again."
        ) from error


def _once(results: Iterable[CaseResult]) -> list[CaseResult]:
    """The last result of each edit: lines may have been joined or copied by hand."""
    return list({result.id: result for result in results}.values())


def result_lines(folder: Path) -> Lines[CaseResult]:
    """The file of results of a run; of several of one edit the last one counts."""
    return Lines(folder / LINES, _CASES, "result")


def _content(settings: Settings) -> dict[str, Any]:
    content: dict[str, Any] = TypeAdapter(Settings).dump_python(settings, mode="json")
    return content

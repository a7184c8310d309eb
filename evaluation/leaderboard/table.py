"""All entries as one flat table: a row for each entry and protocol, with numbers in full."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from evaluation.leaderboard.boards import Board, Standing
from evaluation.protocols.base import ProtocolName
from evaluation.report.board import NAMES
from evaluation.report.numbers import as_csv

NAME = "leaderboard.csv"
_ABOUT = (
    *("dataset", "dataset_digest", "model", "model_digest", "task", "prompts", "template", "at_once"),
    *("protocol", "method", "seed", "family", "level", "note", "id"),
    *("date", "mmedit", "edits", "of", "skipped"),
    *("place", "place_best", "place_worst", "tied", "score", "score_low", "score_high"),
)
_COSTS = ("fit_seconds", "edit_seconds", "probe_seconds", "peak_bytes", "changed", "device", "dtype")
COLUMNS = (*_ABOUT, *(f"{name}{end}" for name in NAMES for end in ("", "_low", "_high")), *_COSTS)


def csv_text(boards: Sequence[Board]) -> str:
    """The table as CSV."""
    rows = (
        _row(board, protocol, standing)
        for board in boards
        for protocol, standings in board.standings.items()
        for standing in standings
    )
    return as_csv(COLUMNS, rows)


def costs(of: Standing) -> tuple[float | None, float, float, int, int]:
    """Seconds to learn, to make an edit and to answer a question, the peak in bytes, and what is changed."""
    header, results = of.row.entry.header, of.row.results
    asked = zip(results.outlines, results.probes, strict=True)
    scored = [result for result in results.outlines if result.scored]
    edits, probes = max(1, len(scored)), max(1, sum(number for result, number in asked if result.scored))
    return (
        header.fit_seconds,
        sum(result.plan_seconds for result in scored) / edits,
        sum(result.probe_seconds for result in scored) / probes,
        header.peak_bytes,
        max((result.changed for result in scored), default=0),
    )


def _row(board: Board, protocol: ProtocolName, of: Standing) -> list[object]:
    entry, setting, rank = of.row.entry, board.setting, of.rank
    header, settings = entry.header, entry.header.settings
    places = (rank.place, *rank.places, rank.tied, rank.score, *rank.interval) if rank else [""] * 7
    return [
        *(board.dataset, setting.dataset_digest, board.model, setting.model_digest),
        *(setting.task, setting.prompts, setting.template, setting.at_once),
        *(protocol, settings.name, settings.seed, of.family, of.level, of.note, of.row.id),
        *(entry.date, header.versions.get("mmedit", ""), header.edits, of.row.edits),
        sum(header.skipped.values()),
        *places,
        *(value for name in NAMES for value in _numbers(of, name)),
        *("" if value is None else value for value in costs(of)),
        *(header.device, header.dtype),
    ]


def _numbers(of: Standing, name: str) -> Iterator[object]:
    found = of.numbers.get(name)
    yield from ("", "", "") if found is None else (found.mean, found.low, found.high)

"""Entries that can be compared, side by side: one board for each model, dataset, task and way of asking."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from pydantic import Field

from editors.families import METHOD_FAMILIES
from evaluation.leaderboard.entries import claim_name
from evaluation.leaderboard.ranking import Rank, columns, parts, ranked
from evaluation.leaderboard.reading import SAID_BYTES, Row, Shelf
from evaluation.protocols.base import ProtocolName
from evaluation.protocols.known import PROTOCOLS
from evaluation.results.batches import estimates
from evaluation.results.summary import Estimate, Measure, Results, headline
from evaluation.results.verdicts import MATCH
from mmedit_build.files import exists
from mmedit_build.recipe.fields import Strict
from mmedit_build.rows import Task
from mmedit_build.strict_yaml import read_file

ABOUT = "leaderboard.yaml"
AGREE = 0.99
"""The share of answers that have to be the same for a run to count as confirmed."""
ENOUGH = 50
"""Edits that a run has to be repeated on for that, or all that it has."""
Level = Literal["claimed", "re-run", "reference"]
LEVELS: dict[Level, str] = {
    "claimed": "handed in; scored again here from its raw answers",
    "re-run": f"claimed, and run again by the board's keepers: {AGREE:.0%} of the answers are the same",
    "reference": "run by the board's keepers",
}


class About(Strict):
    """What the keepers of a leaderboard say of it."""

    title: str = "Leaderboard of multimodal editing"
    about: str = ""
    reference: tuple[str, ...] = Field(default=())
    """The ids of the keepers' own entries."""


class Setting(NamedTuple):
    """What entries of a board share."""

    dataset_digest: str
    task: Task
    model_digest: str
    prompts: str
    template: str
    at_once: int


@dataclass(frozen=True)
class Standing:
    """An entry as it stands on a board, under one protocol."""

    row: Row
    level: Level
    note: str
    """Why it has no rank, or what its repetition came to; empty if there is nothing to say."""
    rank: Rank | None
    numbers: Mapping[str, Estimate]
    """By the titles of columns."""

    @property
    def family(self) -> str:
        about = self.row.entry.header.about
        return "" if about is None else about.family


@dataclass(frozen=True)
class Board:
    """All entries of a setting."""

    setting: Setting
    model: str
    dataset: str
    edits: int
    standings: Mapping[ProtocolName, Sequence[Standing]]
    columns: Mapping[ProtocolName, Mapping[str, Measure]]

    @property
    def shown(self) -> list[tuple[ProtocolName, Sequence[Standing]]]:
        """The protocols in the order of a page, free answers first."""
        return [*self.standings.items()][::-1]


def read_about(folder: Path) -> About:
    """What the keepers say, if they say anything."""
    path = folder / ABOUT
    if not exists(path):
        return About()
    return About.model_validate(read_file(path, f"the settings {path}"))


def make_boards(shelf: Shelf, about: About) -> list[Board]:
    """The boards of all entries that were accepted, those with most entries first."""
    groups: dict[Setting, list[Row]] = {}
    bases: dict[tuple[str, str, str], Row] = {}
    for row in shelf.rows.values():
        if row.entry.unedited:
            bases.setdefault(_setup(row), row)
        else:
            groups.setdefault(_setting(row), []).append(row)
    boards = [
        _board(setting, [*_plain(bases, rows), *rows], shelf, about) for setting, rows in groups.items()
    ]
    return sorted(boards, key=lambda board: (board.dataset, board.model, board.setting.task, board.setting))


def _plain(bases: Mapping[tuple[str, str, str], Row], rows: Sequence[Row]) -> Iterator[Row]:
    """One row of the unedited model, however many were handed in."""
    if (found := bases.get(_setup(rows[0]))) is not None:
        yield found


def _setup(row: Row) -> tuple[str, str, str]:
    of = row.entry.header.settings
    return of.dataset_digest, of.model_digest, f"{of.task} {of.prompts} {of.template}"


def _setting(row: Row) -> Setting:
    of = row.entry.header.settings
    at_once = of.at_once if not (row.entry.header.about and row.entry.header.about.whole) else 1
    return Setting(of.dataset_digest, of.task, of.model_digest, of.prompts, of.template, at_once)


def _board(setting: Setting, rows: Sequence[Row], shelf: Shelf, about: About) -> Board:
    asked = {name: [row for row in rows if name in row.entry.header.settings.protocols] for name in PROTOCOLS}
    told = {name: _standings(setting.task, name, of, shelf, about) for name, of in asked.items() if of}
    first = rows[-1].entry.header.settings
    return Board(
        setting=setting,
        model=first.model,
        dataset=first.dataset,
        edits=rows[-1].edits,
        standings={name: standings for name, (standings, _) in told.items()},
        columns={name: known for name, (_, known) in told.items()},
    )


def _standings(
    task: Task, protocol: ProtocolName, rows: Sequence[Row], shelf: Shelf, about: About
) -> tuple[list[Standing], dict[str, Measure]]:
    results = [row.counted for row in rows]
    notes = [_unranked(row) for row in rows]
    # The unedited model is no method: it stands below as what they are compared with.
    whole = [place for place, row in enumerate(rows) if not (notes[place] or row.entry.unedited)]
    known = columns(task, protocol, [results[place] for place in whole] or results)
    of = parts(known)
    places = whole if of else []
    ranks = dict(zip(places, ranked([results[one] for one in places], of), strict=True)) if places else {}
    standings = [
        Standing(
            row=row,
            level=level,
            note=" ".join(filter(None, [notes[place], said, _judged(task, row)])),
            rank=ranks.get(place),
            numbers=_numbers(results[place], known),
        )
        for place, row in enumerate(rows)
        for level, said in [level_of(row, shelf, about)]
    ]
    return sorted(standings, key=_order), known


def _numbers(results: Results, known: Mapping[str, Measure]) -> dict[str, Estimate]:
    wanted = {of: results.scores[of] for of in known.values() if of in results.scores}
    found = estimates(wanted, [result.image_id for result in results], differ=False)
    return {title: found[of] for title, of in known.items() if of in found}


def _unranked(row: Row) -> str:
    """Why an entry has no rank."""
    header = row.entry.header
    if row.entry.limited:
        return f"Only the first {header.edits:,} of {row.edits:,} edits."
    if header.about is not None and header.about.leaks:
        return "Sees the answers that are scored."
    if header.about is not None and header.about.family == "sanity":
        return "Tests the evaluation."
    return ""


def _judged(task: Task, row: Row) -> str:
    """What a judge said of its answers; no rank goes by it, as replies of a judge cannot be had again."""
    wanted = {title: of for title, of in headline(task, "wild").items() if of.metric == MATCH}
    found = {title: claim_name(of) for title, of in wanted.items() if claim_name(of) in row.judged}
    means = ", ".join(f"{title} {100 * row.judged[name].mean:.1f}" for title, name in found.items())
    return f"Right by {row.judge}: {means}." if means else ""


def level_of(row: Row, shelf: Shelf, about: About) -> tuple[Level, str]:
    """How far an entry can be relied on, and what its repetition by the keepers came to."""
    if row.id in about.reference:
        return "reference", ""
    agreements = [
        (same, edits)
        for other in map(shelf.rows.get, about.reference)
        if other is not None and other.entry.experiment == row.entry.experiment
        for same, edits in [_agreement(row, other)]
        if edits >= min(ENOUGH, len(row.results))
    ]
    if not agreements:
        return "claimed", ""
    same, edits = min(agreements)
    said = f"Run again on {edits:,} edits: {same:.1%} of the answers are the same."
    return ("re-run" if same >= AGREE else "claimed"), said


def _agreement(one: Row, other: Row) -> tuple[float, int]:
    """The share of answers that two runs have in common, and on how many edits."""
    pairs = [(of, other.answers[edit]) for edit, of in one.answers.items() if edit in other.answers]
    answers = [
        of[start : start + SAID_BYTES] == its[start : start + SAID_BYTES]
        for of, its in pairs
        for start in range(0, min(len(of), len(its)), SAID_BYTES)
    ]
    return (sum(answers) / len(answers) if answers else 0.0), len(pairs)


def _order(of: Standing) -> tuple[bool, int, float, int, str]:
    families: list[str] = [*METHOD_FAMILIES]
    family = families.index(of.family) if of.family in families else len(families)
    rank = of.rank
    return (rank is None, rank.place if rank else 0, -(rank.score if rank else 0), family, of.row.id)

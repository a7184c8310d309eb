"""From a folder of results to entries of a leaderboard, and there as a pull request or as files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from evaluation.data.dataset import digest, load_cases
from evaluation.leaderboard.cleaning import cleaned, refuse_private
from evaluation.leaderboard.entries import PACKED, Entry, claims_of, key_place, packed, sha256
from evaluation.leaderboard.keys import key_text
from evaluation.leaderboard.reading import Shelf
from evaluation.results.records import HEADER, CaseResult, RunResult, read_results
from evaluation.results.summary import Results
from evaluation.run.experiment import UNEDITED
from mmedit_build.errors import UserError
from mmedit_build.publishing.proposing import propose
from mmedit_build.store import write_atomic

_LINE = TypeAdapter(CaseResult)


@dataclass(frozen=True)
class Submission:
    """What is handed in."""

    entries: Sequence[Entry]
    files: dict[str, bytes]
    """By their places."""


@dataclass(frozen=True)
class _Found:
    """The results of a method where they were found."""

    folder: Path
    header: RunResult
    results: Sequence[CaseResult]

    @property
    def base(self) -> Path:
        """Where the unedited model's are."""
        return self.folder.parent / UNEDITED


def prepare(run: Path, dataset: str | None, images: Path | None, *, limited: bool) -> Submission:
    """All finished runs below a folder, each with the row of the unedited model, checked as leaderboards do.

    `dataset` says where the dataset is if it is not where it was. Runs of only the first edits have to be
    called so.
    """
    runs = [_read(folder) for folder in _folders(run)]
    sizes: dict[str, int] = {}
    files: dict[str, bytes] = {}
    texts: dict[str, bytes] = {}
    for one in runs:
        name = one.header.settings.dataset_digest
        if name not in sizes:
            sizes[name], texts[key_place(name)] = _key(one.header, dataset, images)
            files[key_place(name)] = packed(texts[key_place(name)])
    entries: dict[Path, Entry] = {}
    for one in sorted(runs, key=lambda found: found.folder.name != UNEDITED):
        base = None if one.folder == one.base else entries[one.base].id
        entry, lines = _entry(one, base, sizes[one.header.settings.dataset_digest])
        entries[one.folder] = entry
        files |= {f"{entry.place}.json": entry.text(), f"{entry.place}{PACKED}": packed(lines)}
        texts |= {f"{entry.place}.json": entry.text(), f"{entry.place}{PACKED}": lines}
    _refuse_limited(list(entries.values()), sizes, limited)
    refuse_private(texts)
    _check(files)
    return Submission(list(entries.values()), dict(sorted(files.items())))


def write_files(submission: Submission, folder: Path) -> None:
    """Put the entries into a folder."""
    for place, data in submission.files.items():
        write_atomic(folder / place, data)


def send(submission: Submission, repository: str) -> str:
    """Propose the entries to a dataset on the Hub; the address of the pull request."""
    lines = [f"- {in_words(entry)} (`{entry.place}`)" for entry in submission.entries]
    number = sum(not entry.unedited for entry in submission.entries)
    title = f"{number} {'entry' if number == 1 else 'entries'} for the leaderboard"
    return propose(repository, submission.files, title, "\n".join(lines))


def in_words(entry: Entry) -> str:
    """What an entry is of."""
    of, header = entry.header.settings, entry.header
    what = f"the first {header.edits:,} edits" if entry.limited else f"all {header.edits:,} edits"
    return f"{of.name}, {of.task}: {what} of {of.dataset}, {of.model}"


def _folders(run: Path) -> Iterator[Path]:
    """The folders of runs below a folder, and those of the unedited model that they need."""
    found = {path.parent.resolve() for path in run.rglob(HEADER)}
    found |= {folder.parent / UNEDITED for folder in found}
    if not found:
        raise UserError(
            f"There are no results in {run}; give a folder that mmedit-eval wrote. Streams are not handed in."
        )
    yield from sorted(found)


def _read(folder: Path) -> _Found:
    if not (folder / HEADER).exists():
        raise UserError(
            f"The row of the unedited model is missing ({folder}); hand in a folder as mmedit-eval wrote it."
        )
    header, results = read_results(folder)
    about = header.about
    if not header.finished or header.edits != len(results):
        raise UserError(
            f"{folder} is not finished: it has {len(results):,} edits; give the command that began it again, "
            "to its end, and then hand it in."
        )
    if about is not None and about.family == "sanity":
        raise UserError(f"{folder} tests the evaluation and is no method; hand in the folders of the others.")
    return _Found(folder, header, results)


def _key(header: RunResult, dataset: str | None, images: Path | None) -> tuple[int, bytes]:
    """How many edits the dataset has, and its key."""
    of = header.settings
    name = dataset or of.dataset
    cases = load_cases(name, of.task, of.split, images)
    if digest(cases) != of.dataset_digest:
        raise UserError(
            f"{name} is not the dataset that these results are of, or no longer: say with --dataset where "
            "that one is."
        )
    return len(cases), key_text(cases)


def _entry(found: _Found, base: str | None, edits: int) -> tuple[Entry, bytes]:
    header, results = cleaned(found.header, found.results)
    lines = b"".join(_LINE.dump_json(result) + b"\n" for result in results)
    written = datetime.fromtimestamp((found.folder / HEADER).stat().st_mtime, UTC)
    entry = Entry(
        date=written.strftime("%Y-%m-%d"),
        header=header,
        limited=len(results) < edits,
        base=base,
        answers=sha256(lines),
        claims=claims_of(Results(results)),
    )
    return entry, lines


def _refuse_limited(entries: Sequence[Entry], sizes: dict[str, int], limited: bool) -> None:
    found = [entry for entry in entries if entry.limited]
    if found and not limited:
        of = found[0].header
        raise UserError(
            f"{of.settings.name} was judged on the first {of.edits:,} of "
            f"{sizes[of.settings.dataset_digest]:,} edits: judge all of them, or say so with --limited; what "
            "is limited is shown without a rank."
        )


def _check(files: dict[str, bytes]) -> None:
    """Refuse what a leaderboard would refuse."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, data in files.items():
            write_atomic(folder / place, data)
        refused = Shelf.read(folder).refused
    if refused:
        raise UserError(
            f"This would be refused, so nothing was sent: {refused[0]} Run the method again with this "
            "version of mmedit."
        )

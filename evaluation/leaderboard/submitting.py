"""From a folder of results to entries of a leaderboard, and there as a pull request or as files."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from pydantic import TypeAdapter

from evaluation.data.dataset import digest, load_cases
from evaluation.leaderboard.cleaning import cleaned, refuse_private
from evaluation.leaderboard.entries import PACKED, VERDICTS, Entry, claims_of, key_place, packed, sha256
from evaluation.leaderboard.judging import judged_claims, verdict_text
from evaluation.leaderboard.keys import key_text
from evaluation.leaderboard.reading import Shelf
from evaluation.leaderboard.streaming import stream_claims, stream_text
from evaluation.results.records import HEADER, CaseResult, RunResult, read_results
from evaluation.results.stream_summary import Stream
from evaluation.results.streams import STREAM, read_stream
from evaluation.results.summary import Results
from evaluation.results.verdicts import Verdict, verdict_lines
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
    verdicts: Sequence[Verdict] = ()
    stream: Stream | None = None

    @property
    def results(self) -> Sequence[CaseResult]:
        """Read anew, as those of many methods would take gigabytes."""
        return read_results(self.folder)[1]

    @property
    def base(self) -> Path:
        """Where the unedited model's are; streams have a folder of their own beside it."""
        return _base_of(self.folder, streamed=self.stream is not None)


def prepare(run: Path, dataset: str | None, images: Path | None, *, limited: bool) -> Submission:
    """All finished runs below a folder, each with the row of the unedited model, checked as leaderboards do.

    `dataset` says where the dataset is if it is not where it was. Runs of only the first edits have to be
    called so.
    """
    runs = [_read(folder, streamed=streamed) for folder, streamed in _folders(run).items()]
    sizes: dict[str, int] = {}
    files: dict[str, bytes] = {}
    for one in runs:
        name = one.header.settings.dataset_digest
        if name not in sizes:
            sizes[name], key = _key(one.header, dataset, images)
            refuse_private({key_place(name): key})
            files[key_place(name)] = packed(key)
    entries: dict[Path, Entry] = {}
    # Those that others are judged by come first.
    for one in sorted(runs, key=lambda found: found.folder != found.base):
        base = None if one.folder == one.base else entries[one.base].id
        entry, lines = _entry(one, base, sizes[one.header.settings.dataset_digest])
        entries[one.folder] = entry
        put = {f"{entry.place}{ending}": of for ending, of in lines.items()}
        refuse_private({f"{entry.place}.json": entry.text(), **put})
        files |= {f"{entry.place}.json": entry.text(), **{name: packed(of) for name, of in put.items()}}
    _refuse_limited(list(entries.values()), sizes, limited)
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
    if entry.streamed:
        return f"{of.name}, {of.task}: a stream of {of.stream:,} edits of {of.dataset}, {of.model}"
    what = f"the first {header.edits:,} edits" if entry.limited else f"all {header.edits:,} edits"
    return f"{of.name}, {of.task}: {what} of {of.dataset}, {of.model}"


def _base_of(folder: Path, *, streamed: bool) -> Path:
    return (folder.parent.parent if streamed else folder.parent) / UNEDITED


def _folders(run: Path) -> dict[Path, bool]:
    """The folders of runs and streams below a folder, and those of the unedited model that they need; whether
    they are of streams."""
    found = {path.parent.resolve(): False for path in run.rglob(HEADER)}
    found |= {path.parent.resolve(): True for path in run.rglob(STREAM)}
    if not found:
        raise UserError(f"There are no results in {run}; give a folder that mmedit-eval wrote.")
    bases = {_base_of(folder, streamed=streamed) for folder, streamed in found.items()}
    return dict(sorted({**dict.fromkeys(bases, False), **found}.items()))


def _read(folder: Path, *, streamed: bool) -> _Found:
    if streamed:
        return _read_stream(folder)
    if not (folder / HEADER).exists():
        raise UserError(
            f"The row of the unedited model is missing ({folder}); hand in a folder as mmedit-eval wrote it."
        )
    header, results = read_results(folder)
    if not header.finished or header.edits != len(results):
        raise UserError(
            f"{folder} is not finished: it has {len(results):,} edits; give the command that began it again, "
            "to its end, and then hand it in."
        )
    _check_method(folder, header)
    return _Found(folder, header, verdict_lines(folder).read())


def _read_stream(folder: Path) -> _Found:
    header, checkpoints, online = read_stream(folder)
    if not header.finished:
        raise UserError(
            f"The streams in {folder} are not finished: give the command that began them again, to its end, "
            "and then hand them in."
        )
    _check_method(folder, header)
    return _Found(folder, header, stream=Stream(header.settings.task, checkpoints, online))


def _check_method(folder: Path, header: RunResult) -> None:
    if header.about is not None and header.about.family == "sanity":
        raise UserError(f"{folder} tests the evaluation and is no method; hand in the folders of the others.")


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


def _entry(found: _Found, base: str | None, edits: int) -> tuple[Entry, dict[str, bytes]]:
    """An entry, and its lines by the endings of their files."""
    if found.stream is not None:
        return _stream_entry(found, found.stream, base)
    header, results = cleaned(found.header, found.results)
    lines = {PACKED: b"".join(_LINE.dump_json(result) + b"\n" for result in results)}
    if found.verdicts:
        lines[VERDICTS] = verdict_text(found.verdicts)
    entry = Entry(
        date=_date(found.folder / HEADER),
        header=header,
        limited=len(results) < edits,
        base=base,
        answers=sha256(lines[PACKED]),
        claims=claims_of(Results(results)),
        verdicts=sha256(lines[VERDICTS]) if found.verdicts else "",
        judged=judged_claims(results, found.verdicts) if found.verdicts else {},
    )
    return entry, lines


def _stream_entry(found: _Found, stream: Stream, base: str | None) -> tuple[Entry, dict[str, bytes]]:
    header, _ = cleaned(found.header, ())
    header = replace(header, seconds=found.header.seconds)
    lines = stream_text(stream.checkpoints, stream.online)
    entry = Entry(
        date=_date(found.folder / STREAM),
        header=header,
        limited=False,
        base=base,
        answers=sha256(lines),
        claims=stream_claims(stream, header.settings.protocols),
    )
    return entry, {PACKED: lines}


def _date(path: Path) -> str:
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).strftime("%Y-%m-%d")


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

"""Datasets in the manner of the Hub, by id or as a folder: opening them, and reading their columns.

What a dataset holds is told by its columns, never by its id, as ids move and copies abound.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from reprlib import repr as short
from typing import Any

from mmedit_build.errors import UserError
from mmedit_build.files import is_folder
from mmedit_build.recipe import HubSet
from mmedit_build.sources.hub_card import check_card
from mmedit_build.sources.nq import Fact, fact, with_answers

Row = Mapping[str, Any]
BATCH = 1000
FACT = '{"question": "who wrote hamlet", "answer": ["William Shakespeare"]}'
"""What a row of facts looks like."""


class Table:
    """One split of a dataset, whose rows are read from disk as they are wanted.

    `like` is a row as it should be, for sentences about those that are not.
    """

    def __init__(self, source: HubSet, like: str) -> None:
        self.name = f"The dataset {source.dataset} (split {source.split})"
        self._remedy = f"give a dataset with rows like {like}, or official files"
        self._rows = _open(source)
        self.columns: tuple[str, ...] = tuple(self._rows.column_names)

    def choose(self, *names: str) -> str | None:
        """The first of these columns that the dataset has."""
        return next((name for name in names if name in self.columns), None)

    def need(self, *names: str) -> str:
        """The first of these columns that the dataset has; it is refused if it has none."""
        found = self.choose(*names)
        if found is None:
            raise UserError(
                f"{self.name} has no column {' or '.join(names)}, only {', '.join(self.columns)}; "
                f"{self._remedy}."
            )
        return found

    def rows(self, columns: Sequence[str]) -> Iterator[Row]:
        """All rows in order, with these columns only; images stay encoded."""
        for batch in self._rows.select_columns(list(columns)).with_format("arrow").iter(BATCH):
            with self._whole():
                rows = batch.to_pylist()
            yield from rows

    def cells(self, column: str, rows: Sequence[int]) -> Iterator[Any]:
        """One column of some rows, one by one."""
        values = self._rows.select_columns([column]).with_format("arrow")
        for row in rows:
            with self._whole():
                value = values[row].column(0)[0].as_py()
            yield value

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Tell of a text that is none."""
        try:
            yield
        except UnicodeDecodeError as error:
            raise UserError(
                f"{self.name} holds text that is not UTF-8 ({error.reason}); download or write it again."
            ) from error

    def number(self, row: Row, column: str) -> int:
        """A whole number, which some datasets have as text."""
        try:
            return int(row[column])
        except (TypeError, ValueError) as error:
            raise self._wrong(row, column, "numbers are") from error

    def text(self, row: Row, column: str) -> str:
        """A text."""
        value = row[column]
        if not isinstance(value, str):
            raise self._wrong(row, column, "text is")
        return value

    def texts(self, row: Row, column: str, field: str) -> list[str]:
        """A text or a list of them, or of records with a field that holds them; none where nothing stands."""
        try:
            return texts(row[column], field)
        except TypeError as error:
            raise self._wrong(row, column, "text is") from error

    def _wrong(self, row: Row, column: str, expected: str) -> UserError:
        return UserError(
            f"{self.name} has {short(row[column])} in the column {column}, where {expected} expected; "
            f"{self._remedy}."
        )


def texts(value: Any, field: str) -> list[str]:
    """The texts of a cell, whose records have them in a field; a TypeError for what is no text."""
    if isinstance(value, dict):
        return texts(value.get(field), field)
    if isinstance(value, list):
        return [text for part in value for text in texts(part, field)]
    if not isinstance(value, str | None):
        raise TypeError
    return [] if value is None else [value]


def read_hub_facts(source: HubSet) -> list[Fact]:
    """Facts in the columns of nq_open."""
    table = Table(source, FACT)
    question, answer = table.need("question"), table.need("answer", "answers")
    facts = [
        fact(f"{source.split}/{place}", table.text(row, question), table.texts(row, answer, "text"))
        for place, row in enumerate(table.rows([question, answer]))
    ]
    return with_answers(facts, table.name)


def look_at(source: HubSet) -> None:
    """Refuse a dataset that is not there or lacks the split; of its rows none are read or downloaded."""
    import datasets

    if is_folder(Path(source.dataset)):
        check_card(Path(source.dataset))
    with _told(source):
        builder = datasets.load_dataset_builder(source.dataset, name=source.config, revision=source.revision)
        known = {str(name) for name in builder.info.splits or builder.config.data_files or ()}
        wanted = {part.partition("[")[0] for part in source.split.split("+")}
        if known and not wanted <= known | {"all"}:
            raise ValueError(f"its splits are {', '.join(sorted(known))}")


def declared_rows(source: HubSet) -> int | None:
    """How many rows a dataset says that its split has, if it does; of a part, those of the whole."""
    import datasets

    with _told(source):
        builder = datasets.load_dataset_builder(source.dataset, name=source.config, revision=source.revision)
    known = {str(name): split.num_examples for name, split in (builder.info.splits or {}).items()}
    parts = [part.partition("[")[0] for part in source.split.split("+")]
    numbers = [sum(known.values()) if part == "all" and known else known.get(part) for part in parts]
    # A card may name a split and leave out its size, which then is 0.
    return sum(number or 0 for number in numbers) if all(numbers) else None


def _open(source: HubSet) -> Any:
    # Imported here, as most builds have all sources as files.
    import datasets

    if is_folder(Path(source.dataset)):
        check_card(Path(source.dataset))
    with _told(source):
        return datasets.load_dataset(
            source.dataset, name=source.config, split=source.split, revision=source.revision
        )


@contextmanager
def _told(source: HubSet) -> Iterator[None]:
    """Tell in one sentence what keeps a dataset from being opened."""
    import datasets
    from huggingface_hub.errors import HfHubHTTPError

    # An ImportError is that of a library for a kind of files that is not installed.
    failures = (
        *(OSError, ValueError, RuntimeError, ImportError),
        *(datasets.exceptions.DatasetsError, HfHubHTTPError),
    )
    try:
        yield
    except failures as error:
        raise UserError(
            f"Cannot load the dataset {source.dataset}, split {source.split} ({_reason(error)}); check its "
            "id, revision, configuration and split, and the network, or give a folder that holds its files."
        ) from error


def _reason(error: BaseException) -> str:
    """The innermost cause in one line."""
    while error.__cause__ is not None:
        error = error.__cause__
    return " ".join(str(error).split()).rstrip(".") or type(error).__name__

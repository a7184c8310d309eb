"""What is handed in tells nothing of the machine: names in the place of paths, and no secrets."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from huggingface_hub import get_token

from evaluation.report.names import BUILT
from evaluation.results.records import CaseResult, RunResult
from evaluation.results.summary import count_skipped
from mmedit_build.errors import UserError
from mmedit_build.secrecy import shows

_ID = re.compile(r"[\w.-]+(/[\w.-]+)?(@[\w./-]+)?")
_PATH = re.compile(r"(?<![\w:/.~])~?(?:/[^/\s'\":,;()]+)+/?")
_SECRET = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS?)$")


def cleaned(header: RunResult, results: Iterable[CaseResult]) -> tuple[RunResult, list[CaseResult]]:
    """A run whose header and reasons name no place of this machine."""
    of = header.settings
    lines = [
        result if result.skipped is None else replace(result, skipped=without_paths(result.skipped))
        for result in results
    ]
    settings = replace(
        of, model=public_name(of.model), dataset=public_name(of.dataset), config=_without_folders(of.config)
    )
    seconds = sum(result.plan_seconds + result.probe_seconds for result in lines)
    return replace(header, settings=settings, skipped=count_skipped(lines), seconds=seconds), lines


def public_name(name: str) -> str:
    """An id on the Hub as it is; of what lies here, the last step of its path."""
    path = Path(name)
    if _ID.fullmatch(name) and not path.exists():
        return name
    return Path(name.rstrip("/").removesuffix(BUILT)).resolve().name or "unnamed"


def without_paths(text: str) -> str:
    """A sentence with the last steps of the paths in it."""
    return _PATH.sub(lambda found: found.group().rstrip("/").rpartition("/")[2], text)


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(inner) for inner in value]
    if isinstance(value, str) and (value.startswith(("/", "~", "./", "../")) or Path(value).exists()):
        return Path(value).name
    return value


def refuse_private(files: Mapping[str, bytes]) -> None:
    """Refuse what would still show a secret or a folder of this machine."""
    private = {
        **{f"the value of {name}": value for name, value in os.environ.items() if _SECRET.search(name)},
        "the token of the Hub": get_token() or "",
    }
    folders = {str(folder) for folder in (Path.home(), Path.cwd()) if len(folder.parts) > 2}
    for name, data in files.items():
        text = data.decode(errors="replace")
        for what, secret in private.items():
            if shows(text, secret.strip()):
                raise UserError(
                    f"{name} would show {what}, so nothing was sent: take it out of the results, and get "
                    "another key if others may have seen it."
                )
        for folder in folders:
            if re.search(rf"{re.escape(folder)}(?![\w.-])", text):
                raise UserError(
                    f"{name} would show the folder {folder} of this machine, so nothing was sent: take it "
                    "out of the dataset or the options that it stands in."
                )

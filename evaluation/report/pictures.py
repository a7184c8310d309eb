"""The pictures of judged edits, from the dataset that the results name, if it is here and still the same."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from evaluation.data.cases import Case
from evaluation.data.dataset import digest, load_cases
from evaluation.results.records import Settings
from mmedit_build.errors import UserError
from mmedit_build.storage.copies import at_home


def find_cases(settings: Settings, images: Path | None = None) -> Mapping[str, Case]:
    """The edits of the dataset by id; none if there is no such dataset here, or if it has changed since."""
    place = _local(settings.dataset)
    if place is None:
        return {}
    try:
        cases = load_cases(str(place), settings.task, settings.split, images)
        same = digest(cases) == settings.dataset_digest
    except UserError:
        # A report is made of results; that pictures are missing is said on it, and no reason to have none.
        return {}
    return {case.id: case for case in cases} if same else {}


def _local(dataset: str) -> Path | None:
    """Where the dataset lies, without asking any network."""
    path = Path(at_home(dataset))
    if path.exists():
        return path
    if dataset.count("/") != 1 or dataset.startswith((".", "/")):
        return None
    from huggingface_hub import snapshot_download

    name, _, revision = dataset.partition("@")
    try:
        found = snapshot_download(name, repo_type="dataset", revision=revision or None, local_files_only=True)
    except (OSError, ValueError):
        return None
    return Path(found)

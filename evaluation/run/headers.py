"""The header that the results of a run begin with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from editors.fitting import Fit
from editors.served import name_of
from evaluation.results.records import RunResult, Settings
from evaluation.run.experiment import Experiment
from mmedit_build.errors import UserError
from mmedit_build.recipe import Endpoint
from mmedit_build.rows import Task

LIBRARIES = ("mmedit", "torch", "transformers", "numpy")


@dataclass(frozen=True, slots=True)
class Facts:
    """What results note of a model that is loaded, and of the dataset."""

    model_digest: str
    dataset_digest: str
    device: str
    dtype: str
    threads: int


def new_header(
    experiment: Experiment,
    task: Task,
    method: str,
    config: dict[str, object],
    *,
    facts: Facts,
    at_once: int,
) -> RunResult:
    """What a run of a method is of, before it has begun."""
    named = experiment.model
    revision = f"@{experiment.revision}" if experiment.revision else ""
    settings = Settings(
        method=method,
        config=config,
        model=name_of(named) if isinstance(named, Endpoint) else named + revision,
        model_digest=facts.model_digest,
        dataset=experiment.dataset,
        dataset_digest=facts.dataset_digest,
        task=task,
        split=experiment.split,
        protocols=experiment.protocols,
        prompts=experiment.prompts,
        template=experiment.rendering,
        seed=experiment.seed,
        at_once=at_once,
    )
    versions = {library: version(library) for library in LIBRARIES}
    return RunResult(
        settings=settings,
        versions=versions,
        device=facts.device,
        dtype=facts.dtype,
        threads=facts.threads,
    )


def with_fit(header: RunResult, fitted: Fit | None, folder: Path) -> RunResult:
    """The header with what the method learned; refuses to add to results of what it learned otherwise."""
    if fitted is None:
        return header
    if header.fit not in (None, fitted.path.stem):
        raise UserError(
            f"{folder} holds results of {header.settings.method} after it learned from other train edits, or "
            "by another version of mmedit. Choose another folder with --out, or delete it."
        )
    return replace(header, fit=fitted.path.stem, fit_seconds=fitted.seconds)


def in_words(settings: Settings, edits: int) -> str:
    """The method and, of so many edits, how many it makes at once."""
    if settings.at_once == 1:
        return settings.method
    whole = " (all there are)" if settings.at_once == edits else ""
    return f"{settings.method}, {settings.at_once} at once{whole}"

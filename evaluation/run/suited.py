"""Options that suit a model: those of the experiment bundled for it, or for all models of its kind.

The defaults of the editors suit small models. `recipes/experiments/` has a file for each model or kind that
wants others: the file's `model` says which model it is for, its name which kind, as `model_kind` calls it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path

from evaluation.data.miniature import DATASET
from evaluation.run.experiment import Experiment, Method, make_experiment
from mmedit_build.checkpoints import locate
from mmedit_build.recipe import Endpoint


def bundled() -> dict[str, Experiment]:
    """The experiments that come with mmedit, by the names of their files."""
    return {file.stem: make_experiment(file, {}) for file in sorted(_files())}


def usual_dataset(model: str | Endpoint) -> str:
    """What a model is judged on where nothing is said: a bundled one on the benchmark of its own mistakes."""
    own = (experiment.dataset for experiment in bundled().values() if experiment.model == model)
    return next(own, str(DATASET))


def suited(methods: Mapping[str, Method], model: str | Endpoint, revision: str | None) -> dict[str, Method]:
    """The methods with what suits the model wherever they do not say otherwise."""
    if isinstance(model, Endpoint):
        return dict(methods)
    known = _known(model, revision)
    return {name: _over(known.get(method.editor or name), method) for name, method in methods.items()}


def _over(known: Method | None, method: Method) -> Method:
    if known is None:
        return method
    return method.model_copy(update={"options": {**known.options, **method.options}})


def _known(model: str, revision: str | None) -> Mapping[str, Method]:
    experiments = bundled()
    for experiment in experiments.values():
        if experiment.model == model:
            return experiment.methods
    # Imported here, as listing the bundled experiments takes no model library.
    from mmedit_build.mllm.loading import model_kind

    of_kind = experiments.get(model_kind(locate(model), revision))
    return {} if of_kind is None else of_kind.methods


def _files() -> Iterator[Path]:
    folder = Path(str(files("recipes") / "experiments"))
    return folder.glob("*.yaml")

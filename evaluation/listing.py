"""What can be evaluated: methods with their options, models, and what the scores mean."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from rich.table import Column, Table
from rich.text import Text

from editors import LISTING, own_class
from editors.families import METHOD_FAMILIES
from editors.listed import Listed, describe, listed
from evaluation.protocols.known import PROTOCOLS
from evaluation.run.experiment import SANITY, UNEDITED, Experiment
from mmedit_build.errors import check_name

MODELS, SCORES = "models", "scores"
"""What is listed besides methods."""


def table(topic: str | None = None) -> Table:
    """All methods in a line each, the options of one, the models, or the scores."""
    if topic is None:
        return _methods()
    if topic == MODELS:
        return _models()
    return _scores() if topic == SCORES else _options(topic, _method(topic))


def as_json(topic: str | None = None) -> str:
    """What editors say of themselves, all of them or one."""
    found = listed() if topic is None else {topic: _method(topic)}
    return json.dumps({name: asdict(one) for name, one in found.items()}, indent=2, ensure_ascii=False)


def _method(name: str) -> Listed:
    if ":" in name:
        return describe(own_class(name))
    known = listed()
    check_name("method", name, known, LISTING)
    return known[name]


def _methods() -> Table:
    columns = (Column("method", no_wrap=True), Column("family", no_wrap=True), "touches", "learns", "batch")
    drawn = Table(*columns, title="Methods")
    editors = sorted(listed().items(), key=lambda item: [*METHOD_FAMILIES].index(item[1].family))
    for number, (name, one) in enumerate(editors):
        last = number == len(editors) - 1 or editors[number + 1][1].family != one.family
        facts = ("yes" if fact else "no" for fact in (one.learns, one.batch))
        drawn.add_row(name, one.family, Text(one.touches), *facts, end_section=last)
    drawn.add_row(UNEDITED, "", "nothing; always judged too", "no", "")
    drawn.caption = (
        "learns: from the train split, first; batch: several edits by one patch (--at-once). "
        f"`all` means every method but {', '.join(SANITY)}, which tests the evaluation. "
        f"list METHOD shows the options of one; list {MODELS} and list {SCORES} the rest."
    )
    return drawn


def _options(name: str, method: Listed) -> Table:
    drawn = Table("option", "default", "meaning", title=f"{name}: {method.about}")
    for option in method.options:
        default = json.dumps(option.default, ensure_ascii=False)
        drawn.add_row(option.name, Text(default), Text(option.meaning))
    if ":" not in name:
        drawn.caption = f"For an experiment file: methods: {{{name}: {{options: {{...}}}}}}"
    return drawn


def _models() -> Table:
    # Imported here, as it takes the libraries of models.
    from evaluation.run.suited import bundled
    from mmedit_build.checkpoints import BUNDLED
    from mmedit_build.mllm.families import known_families

    experiments = bundled()
    columns = (Column("model", no_wrap=True), "options of its methods, in recipes/experiments/")
    drawn = Table(*columns, title="Models")
    for name, experiment in experiments.items():
        if experiment.model in BUNDLED:
            role = "bundled, the default" if experiment.model == Experiment().model else "bundled"
            drawn.add_row(f"{experiment.model}, {role}", _files([name]))
    for kind in known_families():
        files = [name for name in experiments if name == kind or name.startswith(f"{kind}-")]
        drawn.add_row(f"any of type {kind}", _files(files))
    drawn.caption = (
        "Any is a folder written by save_pretrained, or an id on the Hub. A file whose name ends in a second "
        "type is for those whose language model is of that type."
    )
    return drawn


def _files(names: Sequence[str]) -> str:
    return "\n".join(f"{name}.yaml" for name in names) or "their defaults"


def _scores() -> Table:
    drawn = Table("protocol", "score", "meaning", title="Scores")
    for name, protocol in PROTOCOLS.items():
        for number, metric in enumerate(protocol.metrics.values()):
            drawn.add_row("" if number else name, metric.title, metric.about)
    return drawn

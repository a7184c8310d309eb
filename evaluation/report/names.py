"""What runs are called: by their methods, and by what tells them from the other runs of a report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations, takewhile
from pathlib import Path

from evaluation.results.differences import flat
from evaluation.results.records import RunResult, Settings
from evaluation.run.experiment import UNEDITED

BUILT = "/dataset"
"""How the place of a dataset ends that was built: what comes before it is its name."""
LEAKING = " (sees answers)"
"""What the names of methods end with that are shown the answers that are scored."""
Facts = dict[str, str]
"""What there is to say of a run, by what it is about; of what serves as well, the first is said."""


def names(runs: Sequence[tuple[RunResult, Path]]) -> list[str]:
    """A name for each run of a task, which was found in a folder: `ft`, or `ft, seed 1` beside another seed.

    Where there are several models, datasets or ways of asking, all names say of which a run is. What else it
    takes is said of those alone that would share a name: as little as tells them apart.
    """
    found = _told([_marked(run) for run, _ in runs], _setups([run.settings for run, _ in runs]))
    for facts in ([_settings(run.settings) for run, _ in runs], [_circumstances(run) for run, _ in runs]):
        found = _told_apart(found, facts)
    return _told_apart(found, _folders(found, [folder for _, folder in runs]))


def published(name: str, preset: str) -> str:
    """The name of streams among all of a task, which says as which publication has it they are made."""
    return f"{name}, as {preset}" if preset else name


def _told_apart(found: Sequence[str], facts: Sequence[Facts]) -> list[str]:
    """The names, of which those that several share say more."""
    told = list(found)
    for name in dict.fromkeys(found):
        places = [place for place, one in enumerate(found) if one == name]
        longer = _told([name] * len(places), [facts[place] for place in places])
        for place, one in zip(places, longer, strict=True):
            told[place] = one
    return told


def _marked(run: RunResult) -> str:
    """The name of a method; of one that is shown the answers that are scored, with a word that says so."""
    leaks = run.about is not None and run.about.leaks
    return run.settings.name + (LEAKING if leaks else "")


def short(places: Mapping[str, str]) -> dict[str, str]:
    """The shortest names for models or datasets, which are given by their digests, with their places.

    One step of their paths if that tells them apart, such as the last one; for those of one place, as when a
    dataset was made anew, some digits of the digest.
    """
    steps = {digest: place.split("/")[::-1] for digest, place in places.items()}
    for number in range(min(map(len, steps.values()), default=0)):
        found = {digest: of[number] for digest, of in steps.items()}
        if len(set(found.values())) == len(found):
            return found
    alike = len(set(places.values())) < len(places)
    return {digest: f"{place} {digest[:7]}" if alike else place for digest, place in places.items()}


def setup_names(runs: Sequence[Settings]) -> list[str]:
    """Names for models by what they are asked: the model's, with more where one is asked several things."""
    facts = _setups(runs)
    return _told_apart([of["model"] for of in facts], facts)


def _setups(runs: Sequence[Settings]) -> list[Facts]:
    """What is the same of runs that put the same questions to the same model."""
    datasets = short({one.dataset_digest: one.dataset.rstrip("/").removesuffix(BUILT) for one in runs[::-1]})
    models = short({one.model_digest: one.model.rstrip("/") for one in runs[::-1]})
    return [
        {
            "model": models[one.model_digest],
            "dataset": datasets[one.dataset_digest],
            "split": f"{one.split} split",
            "prompts": f"{one.prompts} prompts",
        }
        for one in runs
    ]


def _settings(of: Settings) -> Facts:
    """The rest that results depend on, those of the unedited model on little."""
    protocols = {"protocols": " and ".join(of.protocols)}
    if of.method == UNEDITED:
        return protocols
    options = {f"option {name}": _option(name, value) for name, value in flat(of.config).items()}
    return {**protocols, "seed": f"seed {of.seed}", **options}


def _option(name: str, value: object) -> str:
    return f"{name.rpartition('.')[2]} {value if isinstance(value, str) else json.dumps(value)}"


def _circumstances(of: RunResult) -> Facts:
    versions = {name: f"{name} {version}" for name, version in of.versions.items()}
    fit = f"fit {(of.fit or 'none')[:7]}"
    return {"fit": fit, "device": of.device, "threads": f"{of.threads} threads", **versions}


def _folders(found: Sequence[str], folders: Sequence[Path]) -> list[Facts]:
    """Where runs lie: of each the steps of its path that those of the same name do not share."""
    parts = [folder.absolute().parts for folder in folders]
    told = []
    for name, own in zip(found, parts, strict=True):
        alike = [of for one, of in zip(found, parts, strict=True) if one == name]
        first = _shared(alike)
        last = _shared([of[first:][::-1] for of in alike])
        told.append({"folder": "/".join(own[first : len(own) - last]) or own[-1]})
    return told


def _shared(paths: Sequence[Sequence[str]]) -> int:
    """How many steps paths share from their beginning on."""
    return len([*takewhile(lambda steps: len({*steps}) == 1, zip(*paths, strict=False))])


def _told(found: Sequence[str], facts: Sequence[Facts]) -> list[str]:
    """The names with the facts that tell them apart."""
    telling = _telling(facts)
    return [
        ", ".join([name, *(of.get(kind, f"no {kind.rpartition(' ')[2]}") for kind in telling)])
        for name, of in zip(found, facts, strict=True)
    ]


def _telling(facts: Sequence[Facts]) -> tuple[str, ...]:
    """The fewest kinds of facts that tell apart all that differ; of as few, those that come first."""
    kinds = [kind for kind in _kinds(facts) if _number(facts, [kind]) > 1]
    choices = (chosen for number in range(len(kinds)) for chosen in combinations(kinds, number))
    several = _number(facts, kinds)
    return next((chosen for chosen in choices if _number(facts, chosen) == several), tuple(kinds))


def _kinds(facts: Sequence[Facts]) -> dict[str, None]:
    return {kind: None for of in facts for kind in of}


def _number(facts: Sequence[Facts], kinds: Sequence[str]) -> int:
    """How many differ in any of these kinds."""
    return len({tuple(of.get(kind) for kind in kinds) for of in facts})

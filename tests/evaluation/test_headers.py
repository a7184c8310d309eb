from __future__ import annotations

import torch

from evaluation.experiment import Experiment
from evaluation.headers import new_header


def test_a_header_says_of_which_revision_of_a_model_results_are() -> None:
    for revision, told in ((None, "some/model"), ("abc", "some/model@abc")):
        experiment = Experiment(model="some/model", revision=revision, dataset="some/data", seed=3)
        header = new_header(
            experiment,
            "vqa",
            "ft",
            {"lr": 1.0},
            device=torch.device("cpu"),
            digests=("of model", "of data"),
            at_once=2,
        )
        settings = header.settings
        assert (settings.model, settings.model_digest) == (told, "of model")
        assert (settings.dataset, settings.dataset_digest) == ("some/data", "of data")
        assert (settings.name, settings.config, settings.seed) == ("ft@2", {"lr": 1.0}, 3)
        assert (header.device, header.threads) == ("cpu", torch.get_num_threads())
        assert "torch" in header.versions

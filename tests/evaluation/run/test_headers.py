from __future__ import annotations

from evaluation.run.experiment import Experiment
from evaluation.run.headers import Facts, new_header


def test_a_header_says_of_which_revision_of_a_model_results_are() -> None:
    for revision, told in ((None, "some/model"), ("abc", "some/model@abc")):
        experiment = Experiment(model="some/model", revision=revision, dataset="some/data", seed=3)
        header = new_header(
            experiment,
            "vqa",
            "ft",
            {"lr": 1.0},
            facts=Facts("of model", "of data", "cpu", "float32", 3),
            at_once=2,
        )
        settings = header.settings
        assert (settings.model, settings.model_digest) == (told, "of model")
        assert (settings.dataset, settings.dataset_digest) == ("some/data", "of data")
        assert (settings.name, settings.config, settings.seed) == ("ft@2", {"lr": 1.0}, 3)
        assert (header.device, header.dtype) == ("cpu", "float32")
        assert header.threads == 3
        assert "torch" in header.versions

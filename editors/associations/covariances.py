"""Editors that weigh keys by the inverse of their second moments: ROME and MEMIT."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import Field
from torch import Tensor

from editors.associations.base import AssociationConfig, AssociationEditor
from editors.associations.moments import Covariance, Moment
from mmedit_build.mllm import MLLM


class CovarianceConfig(AssociationConfig):
    """How the second moments are made invertible."""

    ridge: float = Field(default=1e-3, ge=0)
    """What is added to the diagonal of the second moments, as a share of its mean."""


class CovarianceEditor(AssociationEditor):
    """An editor that keeps C of each layer."""

    config: CovarianceConfig
    _covariances: dict[int, Covariance]

    def kept(self, mllm: MLLM, layer: int, moment: Moment) -> Tensor:  # noqa: ARG002  # all of every layer's
        return moment.second

    def take_up(self, mllm: MLLM, kept: Mapping[int, Tensor]) -> None:
        self._covariances = {
            layer: Covariance(second, self.config.ridge, mllm.device) for layer, second in kept.items()
        }

    def covariance(self, layer: int) -> Covariance:
        """What was learned of a layer."""
        self.check_fitted()
        return self._covariances[layer]

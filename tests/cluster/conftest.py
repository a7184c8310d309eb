"""Stages and servers of other tests, here for workers on a cluster."""

from __future__ import annotations

from tests.mmedit_build.engine.conftest import job
from tests.mmedit_build.services.conftest import chat_server

__all__ = ["chat_server", "job"]

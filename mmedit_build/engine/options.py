"""Options of commands that have something done by workers, and the engine that they ask for."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from mmedit_build.engine.base import Engine
from mmedit_build.engine.devices import parse_devices
from mmedit_build.engine.local import Local
from mmedit_build.errors import UserError

Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Processes; each loads the models, and has a GPU of its own if there are several.",
        show_default="1, or one for each of --devices; with ray, as many as the cluster has room for",
    ),
]
Devices = Annotated[
    str | None,
    typer.Option(help="Devices of the workers, such as cuda:0,cuda:1; cuda:0+cuda:1 are two for one worker."),
]
EngineName = Annotated[
    Literal["local", "ray"],
    typer.Option("--engine", help="Where workers are: on this machine, or on a cluster of Ray."),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Of the Ray cluster: auto for the one that this machine is in, or HOST:PORT.",
        show_default="one that is started on this machine",
    ),
]


def open_engine(name: str, workers: int | None, devices: str | None, address: str | None) -> Engine:
    """What the options of a command ask for."""
    if name == "local":
        if address is not None:
            raise UserError("Give --address together with --engine ray: it says where that is.")
        named = parse_devices(devices)
        return Local(workers or len(named) or 1, named)
    if devices is not None:
        raise UserError("Ray gives its workers devices itself; leave out --devices, or --engine ray.")
    # Imported here, as it is an extra.
    from mmedit_build.engine.ray import connect

    return connect(address, workers)

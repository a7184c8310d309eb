"""The server on loopback that stands for the Hub."""

from tests.hub import client, hub

__all__ = ["client", "hub"]

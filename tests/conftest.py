"""Tests never reach for the network: whatever they need is in the repository or made on the spot."""

from __future__ import annotations

import os
import signal

# Read by the Hub's client when it is first imported, so this stands before any test module.
os.environ["HF_HUB_OFFLINE"] = "1"
# One thread a process: on a busy machine two threads wait for each other many times longer than they work.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
# Shells let what they run in the background ignore Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)

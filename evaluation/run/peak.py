"""How much memory a run took at most."""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def reset_peak(devices: Sequence[torch.device]) -> None:
    """Begin to measure anew, where the system can: elsewhere a process has one peak for all its life."""
    for device in devices:
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
    try:
        _CLEAR.write_text(_RESET_PEAK)
    except OSError:
        return


def peak(devices: Sequence[torch.device]) -> tuple[int, Literal["process", "gpu"]]:
    """Bytes allocated on the GPUs at most, or held by the process."""
    if all(device.type == "cuda" for device in devices):
        return sum(torch.cuda.max_memory_allocated(device) for device in devices), "gpu"
    try:
        found = re.search(r"VmHWM:\s+(\d+) kB", _STATUS.read_text())
    except OSError:
        found = None
    if found is not None:
        return int(found[1]) * 1024, "process"
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, kilobytes elsewhere.
    return largest * (1 if sys.platform == "darwin" else 1024), "process"

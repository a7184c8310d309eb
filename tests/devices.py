"""Devices that there are not: CPU tensors that say where they would be, and refuse what GPUs would refuse.

Inside `Devices` a tensor is on the device that it was made on or moved to, an operation on tensors of several
devices is an error, and all is computed on the CPU. `spread` lays a model over two of them, and hands each
module its inputs where its parameters are, as accelerate does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_map_only

from mmedit_build.mllm import MLLM

FIRST, SECOND = torch.device("fpga:0"), torch.device("fpga:1")
"""Of a kind that no code treats in a way of its own."""
CPU = torch.device("cpu")
SET_DATA: Any = vars(torch._C.TensorBase)["data"].__set__
COPYING = {"copy_", "__setitem__", "__set__"}
"""What may read one device and write to another."""
INDEXING = {"__getitem__", "index_put", "index_put_"}
"""What takes indices in main memory, whatever it indexes."""
ELSEWHERE = {"__get__", "grad", "backward", "_has_compatible_shallow_copy_type"}
"""What is no computation on one device."""
LENGTHS = {"_pack_padded_sequence", "lstm"}
"""What takes lengths in main memory."""


def device_of(tensor: Tensor) -> torch.device:
    """Where a tensor would be."""
    found: torch.device = getattr(tensor, "_where", CPU)
    return found


def _put(found: Any, device: torch.device) -> Any:
    for tensor in _tensors(found):
        tensor._where = device  # type: ignore[attr-defined]
    return found


def _tensors(found: Any) -> Iterator[Tensor]:
    if isinstance(found, Tensor):
        yield found
    elif isinstance(found, dict):
        yield from _tensors(list(found.values()))
    elif isinstance(found, list | tuple):
        for one in found:
            yield from _tensors(one)


class Devices(TorchFunctionMode):
    """Keeps account of where tensors would be."""

    def __enter__(self) -> Any:
        self._make = torch.Tensor._make_subclass

        def make(cls: Any, data: Tensor, *rest: Any, **options: Any) -> Any:
            return _put(self._make(cls, data, *rest, **options), device_of(data))

        # Parameters are made by it, which is no function of torch's own.
        torch.Tensor._make_subclass = staticmethod(make)  # type: ignore[method-assign]
        return super().__enter__()  # type: ignore[no-untyped-call]

    def __exit__(self, *error: Any) -> None:
        torch.Tensor._make_subclass = self._make  # type: ignore[method-assign]
        super().__exit__(*error)  # type: ignore[no-untyped-call]

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        options = dict(kwargs or {})
        if func == Tensor.device.__get__:
            return device_of(args[0])
        if func in (Tensor.to, Tensor.cpu):
            return _moved(*args, **options) if func == Tensor.to else _moved(args[0], CPU)
        wanted = options.pop("device", None)
        result = func(*args, **options)
        if func == SET_DATA:
            return _put(args[0], device_of(args[1]))
        if wanted is not None:
            return _put(result, torch.device(wanted))
        return _placed(getattr(func, "__name__", ""), result, args, options)


def _placed(name: str, result: Any, args: Any, options: dict[str, Any]) -> Any:
    """The result of an operation where it would be."""
    if name == "grad":
        one_by_one = zip(result, args[1] if isinstance(args[1], Sequence) else [args[1]], strict=True)
        return tuple(_put(found, device_of(of)) for found, of in one_by_one)
    if name in LENGTHS:
        rest = CPU if name == "_pack_padded_sequence" else device_of(args[0])
        return _put(result[0], device_of(args[0])), *_put(result[1:], rest)
    given = list(_tensors([*args, options]))
    device = _common(name, given)
    return result if any(result is one for one in given) else _put(result, device)


def _common(name: str, given: Sequence[Tensor]) -> torch.device:
    """The device of an operation on these tensors; single numbers may come from main memory."""
    if not given:
        return CPU
    if name in COPYING | ELSEWHERE:
        return device_of(given[0])
    found = {device_of(one) for one in given if one.ndim or device_of(one) != CPU}
    if name in INDEXING:
        found = {device_of(given[0])} | (found - {CPU})
    if len(found) > 1:
        raise RuntimeError(f"{name} is given tensors on {sorted(map(str, found))}")
    return next(iter(found), CPU)


def _moved(tensor: Tensor, *given: Any, **options: Any) -> Tensor:
    """`tensor.to` of a device, a dtype, both, or another tensor."""
    wanted = [*given, options.get("device"), options.get("dtype")]
    like = [(device_of(one), one.dtype) for one in wanted if isinstance(one, Tensor)]
    device, dtype = like[0] if like else (device_of(tensor), tensor.dtype)
    for one in wanted:
        device = torch.device(one) if isinstance(one, str | torch.device) else device
        dtype = one if isinstance(one, torch.dtype) else dtype
    if device == device_of(tensor):
        cast: Tensor = _put(tensor.to(dtype), device) if dtype != tensor.dtype else tensor
        return cast
    moved: Tensor = _put(tensor.to(dtype, copy=True), device)
    return moved


def spread(mllm: MLLM, split: int) -> MLLM:
    """The model with its decoder layers from `split` on, and its vision tower, on the second device.

    A tower with its connector inside stays whole, as real ones do that also compute beside their parts.
    """
    tower = mllm.part("vision").keys()
    # With its buffers, which are no part of anything.
    steps = zip(*(name.split(".") for name in tower), strict=False)
    seeing = "".join(f"{step[0]}." for step in takewhile(lambda step: len({*step}) == 1, steps))
    for name, tensor in [*mllm.model.named_parameters(), *mllm.model.named_buffers()]:
        sees = name.startswith(seeing)
        layer = None if sees else mllm.layer_of(name)
        _put(tensor, SECOND if sees or (layer is not None and layer >= split) else FIRST)
    _align(mllm.model)
    return mllm


def _align(module: nn.Module) -> None:
    """Where all of a module lies on one device it is handed its inputs there; else so are its parts.

    Lists of modules are never called.
    """
    devices = {device_of(one) for one in [*module.parameters(), *module.buffers()]}
    if len(devices) == 1 and not isinstance(module, nn.ModuleList):
        (device,) = devices
        module.forward = partial(_forward, module.forward, device)
        return
    for part in module.children():
        _align(part)


def _forward(forward: Any, device: torch.device, *args: Any, **options: Any) -> Any:
    args, options = tree_map_only(Tensor, lambda one: one.to(device), (args, options))
    return forward(*args, **options)

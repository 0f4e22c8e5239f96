"""Whether a model fits, said before it is tried, and in a sentence where it was tried."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from holdfast.model.errors import InputError

GIB = 1024**3


class NoRoomError(InputError):
    """A model, or its cache, is larger than the memory of the device."""


def kv_bytes_per_token(config: Any, dtype: torch.dtype) -> int:
    """Of the KV cache of one sequence, over all layers; config: of the text model, as transformers has it."""
    head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * head_size * dtype.itemsize)


def free_bytes(device: torch.device) -> int:
    """What can still be allocated there."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free)
    return free_host_bytes()


def free_host_bytes(meminfo: Path = Path("/proc/meminfo"), cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """What Linux says is available, or less where a container may not have as much (cgroup v2; what files take of its
    memory is given back when it is needed, so that only anonymous memory counts)."""
    lines = meminfo.read_text(encoding="ascii").splitlines()
    available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    bound = (cgroup / "memory.max").read_text(encoding="ascii").strip() if (cgroup / "memory.max").exists() else "max"
    if bound == "max":
        return available
    stated = (line.split() for line in (cgroup / "memory.stat").read_text(encoding="ascii").splitlines())
    anonymous = next(int(value) for name, value in stated if name == "anon")
    return min(available, max(0, int(bound) - anonymous))


def check_cache(*, slots: int, positions: int, bytes_per_token: int, free: int, kind: str) -> None:
    """Raise NoRoomError where the KV cache of so many slots and positions is more than is free, with what would fit.

    What a step needs beside the cache is left out, so that passing is no promise.
    """
    needed = slots * positions * bytes_per_token
    if needed <= free:
        return
    fitting = free // (slots * bytes_per_token)
    mend = (
        f"give --max-tokens of at most {fitting}, or a smaller --max-batch" if fitting else "give a smaller --max-batch"
    )
    raise NoRoomError(
        f"the KV cache of {slots} slots of {positions} tokens takes {needed / GIB:.1f} GiB, and {kind} has "
        f"{free / GIB:.1f} GiB free after the weights",
        mend=mend,
    )


@contextmanager
def telling(model: str, kind: str) -> Iterator[None]:
    """Turn a device out of memory into NoRoomError."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise NoRoomError(
            f"{model} does not fit in the memory of {kind}",
            mend="take a device with more memory, a smaller --max-batch or --max-tokens, or --dtype bfloat16",
        ) from error

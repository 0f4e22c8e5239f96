"""What a safetensors file says of itself, held against its size before anybody maps it into memory.

The format (https://github.com/huggingface/safetensors, read 2026-11): eight bytes with the length n of the header,
little endian; n bytes of JSON, an object that names each tensor with its dtype, shape and begin and end in what
follows; then the tensors, without a gap or an overlap, up to the end of the file.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import documents

MOST_HEADER_BYTES = 100_000_000
"""The format's own bound."""

MOST_DIMENSIONS = 64
"""Frameworks know no more; a product of a million numbers would keep a core busy for minutes."""

_BITS = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ", "F8_E5M2FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    "F4": 4,
}
_MEND = "fetch the file again"


def tensors(path: Path) -> frozenset[str]:
    """Names of the tensors in a safetensors file. Raises InputError where it is truncated or its header is not true."""
    size = path.stat().st_size
    if size < 8:
        raise InputError(f"has {size} bytes, too few for a safetensors file", where=str(path), mend=_MEND)
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > MOST_HEADER_BYTES:
            raise InputError(
                "is no safetensors file: the length of its header is nonsense", where=str(path), mend=_MEND
            )
        if 8 + length > size:
            raise InputError(f"is truncated: {size} bytes end within its header", where=str(path), mend=_MEND)
        header = file.read(length)
    return in_header(header, size - 8 - length, str(path))


def in_header(header: bytes, body_bytes: int, where: str) -> frozenset[str]:
    """Names of the tensors that a header describes, which must fill `body_bytes` exactly."""
    described = documents.parse(header, where)
    if not isinstance(described, dict) or not header.startswith(b"{"):
        raise InputError("is no safetensors file: its header holds no JSON object", where=where, mend=_MEND)
    notes = described.pop("__metadata__", {})
    if not isinstance(notes, dict) or not all(isinstance(note, str) for note in notes.values()):
        raise InputError("has a header whose __metadata__ are not texts", where=where, mend=_MEND)
    end = 0
    for begin, beyond, name in sorted((*_span(name, told, where), name) for name, told in described.items()):
        if begin != end:
            fault = "overlaps another" if begin < end else "leaves a gap before it"
            raise InputError(f"has a header in which the tensor {name[:80]!r} {fault}", where=where, mend=_MEND)
        end = beyond
    if end > body_bytes:
        raise InputError(
            f"is truncated: its tensors take {end:,} bytes, and {body_bytes:,} are there", where=where, mend=_MEND
        )
    if end < body_bytes:
        raise InputError(f"has {body_bytes - end:,} bytes after its last tensor", where=where, mend=_MEND)
    return frozenset(described)


def _span(name: str, told: Any, where: str) -> tuple[int, int]:
    """Begin and end of one tensor, as long as its dtype and shape make it."""
    match told:
        case {"dtype": str(dtype), "shape": list(shape), "data_offsets": [begin, end]} if len(shape) <= MOST_DIMENSIONS:
            pass
        case _:
            raise InputError(f"has a header that does not describe {name[:80]!r}", where=where, mend=_MEND)
    if not all(type(number) is int and 0 <= number < 2**63 for number in (*shape, begin, end)):
        raise InputError(f"has a header with impossible numbers for {name[:80]!r}", where=where, mend=_MEND)
    if dtype not in _BITS:
        raise InputError(f"has a tensor {name[:80]!r} of the unknown dtype {dtype[:20]!r}", where=where, mend=_MEND)
    if (end - begin) * 8 != math.prod(shape) * _BITS[dtype]:
        raise InputError(
            f"has a header in which the tensor {name[:80]!r} is not as long as its shape", where=where, mend=_MEND
        )
    return begin, end

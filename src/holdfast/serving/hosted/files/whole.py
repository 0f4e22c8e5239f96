"""Whether what was found can be loaded: headers that are true, shards that hold what their index says."""

from __future__ import annotations

import zipfile

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import headers, needs
from holdfast.serving.hosted.files.needs import Needs
from holdfast.serving.hosted.files.sources import Source, read


def check(source: Source, wanted: Needs) -> None:
    """Raises InputError for the first file that is not what its name says, without reading a weight."""
    held: dict[str, frozenset[str]] = {}
    for name in sorted(wanted.weights):
        path = source.folder / name
        if name.endswith(".safetensors"):
            held[name] = headers.tensors(path)
        elif not zipfile.is_zipfile(path):
            raise InputError("is no compiled artifact, or truncated", where=str(path), mend="compile the model again")
    for index in sorted(wanted.indexes):
        below = index[: index.rfind("/") + 1]
        for tensor, shard in needs.shards_in(read(source, index), f"{source.place}: {index}").items():
            if tensor not in held[below + shard]:
                raise InputError(
                    f"lacks the tensor {tensor[:80]!r} that {index} says is in it",
                    where=str(source.folder / shard),
                    mend="fetch index and shards from one revision",
                )

"""Headers of safetensors files, true and untrue."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import safetensors
import safetensors.numpy
from hypothesis import example, given, settings
from hypothesis import strategies as st

from holdfast.model.errors import InputError
from holdfast.serving.hosted.files import documents, headers

GOOD = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def file_of(header: object, body: int) -> bytes:
    told = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(told)) + told + bytes(body)


def library_accepts(content: bytes) -> bool:
    try:
        safetensors.deserialize(content)  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError:
        return False
    return True


def test_a_file_of_the_library_is_accepted_with_its_names(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    tensors: dict[str, npt.NDArray[Any]] = {
        "a": np.zeros((2, 3), np.float16),
        "b": np.zeros((), np.int64),
        "none": np.zeros((0, 4), np.float32),
    }
    safetensors.numpy.save_file(tensors, path, {"format": "pt"})
    assert headers.tensors(path) == set(tensors)


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "has 0 bytes, too few"),
        (b"\x80\x02}q\x00.pickle", "the length of its header is nonsense"),
        (struct.pack("<Q", 100) + b"{}", "is truncated: 10 bytes end within its header"),
        (file_of({"a": GOOD}, 7), "is truncated: its tensors take 8 bytes, and 7 are there"),
        (file_of({"a": GOOD}, 9), "has 1 bytes after its last tensor"),
        (file_of({"a": GOOD, "b": GOOD | {"data_offsets": [4, 12]}}, 12), "'b' overlaps another"),
        (file_of({"a": GOOD | {"data_offsets": [4, 12]}}, 12), "'a' leaves a gap"),
        (file_of({"a": GOOD | {"data_offsets": [8, 0]}}, 8), "'a' is not as long as its shape"),
        (file_of({"a": GOOD | {"shape": [3]}}, 8), "'a' is not as long as its shape"),
        (file_of({"a": GOOD | {"shape": [-2]}}, 8), "impossible numbers for 'a'"),
        (file_of({"a": GOOD | {"shape": [2.0]}}, 8), "impossible numbers"),
        (file_of({"a": GOOD | {"shape": [True, 2]}}, 8), "impossible numbers"),
        (file_of({"a": GOOD | {"shape": [2**62] * 65}}, 8), "does not describe 'a'"),
        (file_of({"a": GOOD | {"dtype": "F128"}}, 8), "unknown dtype 'F128'"),
        (file_of({"a": 1}, 0), "does not describe 'a'"),
        (file_of({"__metadata__": {"format": 1}}, 0), "__metadata__ are not texts"),
        (file_of([], 0), "holds no JSON object"),
        (file_of(b' {"a": 1}', 0), "holds no JSON object"),
        (file_of(b'{"a": %s, "a": %s}' % ((json.dumps(GOOD).encode(),) * 2), 8), "a key comes twice"),
        (file_of(b"\xff\xfe", 0), "is not JSON"),
        (file_of(b"[" * 100_000, 0), "is nested too deeply"),
        (file_of(b"[" * 90 + b"]" * 90, 0), "is nested more than 32 deep"),
        (file_of(b'{"a": ' + b"9" * 5000 + b"}", 0), "is not JSON"),
    ],
)
def test_what_is_not_true_of_a_header_is_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(InputError, match=sentence) as caught:
        headers.tensors(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


numbers = st.one_of(st.integers(-1, 16), st.sampled_from([2**63, 2**64, 1.5, True, None, "1"]))
entries = st.fixed_dictionaries(
    {
        "dtype": st.sampled_from(["F32", "F16", "BOOL", "F4", "F6_E2M3", "F8_E8M0", "I64", "X", 1]),
        "shape": st.lists(numbers, max_size=3),
        "data_offsets": st.lists(numbers, min_size=1, max_size=3),
    }
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.text(max_size=3), entries | anything, max_size=3) | anything | st.binary(max_size=60),
    st.integers(0, 40),
)
@example({"a": {"dtype": "F4", "shape": [2], "data_offsets": [0, 1]}}, 1)
@example({"a": {"dtype": "F4", "shape": [1], "data_offsets": [0, 1]}}, 1)
@settings(max_examples=400)
def test_no_header_does_more_than_be_refused_and_none_is_accepted_that_the_library_refuses(
    header: object, body: int
) -> None:
    content = file_of(header, body)
    try:
        headers.in_header(content[8 : len(content) - body], body, "file")
    except InputError:
        return
    assert library_accepts(content)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([np.float32, np.float16, np.int8, np.bool_, np.int64, np.complex64]),
            st.lists(st.integers(0, 4), max_size=3),
        ),
        max_size=5,
    )
)
@settings(max_examples=100)
def test_whatever_the_library_writes_is_accepted(tensors: list[tuple[type, list[int]]]) -> None:
    content = safetensors.numpy.save({str(n): np.zeros(shape, kind) for n, (kind, shape) in enumerate(tensors)})
    length = int.from_bytes(content[:8], "little")
    names = headers.in_header(content[8 : 8 + length], len(content) - 8 - length, "file")
    assert names == {str(n) for n in range(len(tensors))}


@given(st.binary(max_size=200))
@settings(max_examples=200)
def test_no_bytes_are_json_but_json(content: bytes) -> None:
    try:
        documents.parse(content, "config.json")
    except InputError as error:
        assert str(error).startswith("config.json: ")

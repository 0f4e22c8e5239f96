"""One real vLLM for all tests of this folder: `make test-vllm`, which makes its environment and its model.

The folder is not named `vllm`: libraries would take it for the package.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from vllm_server.real import ENVIRONMENT, Server, running

collect_ignore_glob = [] if ENVIRONMENT else ["test_*.py"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.vllm)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running(tmp_path_factory.mktemp("vllm") / "log") as found:
        yield found

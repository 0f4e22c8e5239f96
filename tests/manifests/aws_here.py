"""AWS on this machine: moto's server, and EKS Pod Identity, which moto (5.2) does not have."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import boto3
import moto.eks.urls
from botocore.config import Config
from moto.server import ThreadedMotoServer

Answer = tuple[int, dict[str, str], str]

ACCOUNT_ID = "123456789012"
"""Whose moto's resources are."""

_LIST = "{0}/clusters/(?P<name>[^/]+)/pod-identity-associations$"
_ONE = "{0}/clusters/(?P<name>[^/]+)/pod-identity-associations/(?P<id>[^/]+)$"


@dataclass
class PodIdentity:
    """Associations as EKS keeps them (docs.aws.amazon.com/eks/latest/APIReference/API_PodIdentityAssociation.html)."""

    associations: dict[str, dict[str, Any]] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def of_cluster(self, request: Any, full_url: str, headers: Any) -> Answer:
        cluster = request.path.split("/")[2]
        if request.method == "POST":
            name = f"a-{next(self.numbers):017d}"
            arn = f"arn:aws:eks:us-west-2:{ACCOUNT_ID}:podidentityassociation/{cluster}/{name}"
            known = {"clusterName": cluster, "associationId": name, "associationArn": arn, "createdAt": 0, "tags": {}}
            self.associations[name] = json.loads(request.get_data()) | known
            return _answer({"association": self.associations[name]})
        return _answer({"associations": list(self.associations.values())})

    def one(self, request: Any, full_url: str, headers: Any) -> Answer:
        name = request.path.split("/")[4]
        if name not in self.associations:
            return 404, {"x-amzn-errortype": "ResourceNotFoundException"}, json.dumps({"message": name})
        found = self.associations[name]
        if request.method == "DELETE":
            del self.associations[name]
        return _answer({"association": found})


@dataclass(frozen=True)
class Aws:
    url: str
    pod_identity: PodIdentity

    def client(self, service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-west-2",
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )


@contextmanager
def aws() -> Iterator[Aws]:
    """An AWS that is empty at first, on a port of loopback, for as long as the context lasts."""
    identity = PodIdentity()
    moto.eks.urls.url_paths |= {_LIST: identity.of_cluster, _ONE: identity.one}
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield Aws(f"http://{host}:{port}", identity)
    finally:
        server.stop()
        for path in (_LIST, _ONE):
            del moto.eks.urls.url_paths[path]


def _answer(body: dict[str, Any]) -> Answer:
    return 200, {"Content-Type": "application/json"}, json.dumps(body)

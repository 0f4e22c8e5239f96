"""What a model server is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from holdfast.serving.hosted.bounds import Bounds
from holdfast.serving.hosted.tasks import Task


@dataclass(frozen=True)
class CloudWatch:
    """Where the counts of requests are told, besides /metrics. region: None takes the one that boto3 finds.

    app: the name under which the published guides' servers count; None leaves their metrics out.
    log_lines: write them to stdout in the embedded metric format instead of calling AWS.
    """

    namespace: str
    region: str | None = None
    app: str | None = None
    log_lines: bool = False


@dataclass(frozen=True)
class Settings:
    """What is served, where and how.

    model: an id of the Hub, or a folder; names: others, by which it calls itself rather. task, framework, dtype,
    revision: None for what the model or the device says. keys: one of which requests must bring, if any. certificate,
    key: of HTTPS. drain_timeout_s: what requests in flight get after SIGTERM. page: whether there is one at /serve.
    """

    model: str
    names: tuple[str, ...] = ()
    task: Task | None = None
    device: str = "auto"
    framework: str | None = None
    dtype: str | None = None
    revision: str | None = None
    local_only: bool = False
    trust_remote_code: bool = False
    bounds: Bounds = field(default_factory=Bounds)
    unit: str = ""
    node_pool: str = ""
    drain_timeout_s: float = 30.0
    keys: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    page: bool = False
    cloudwatch: CloudWatch | None = None

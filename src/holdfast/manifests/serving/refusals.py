"""Units that cannot be served as the fleet states them, each with its mend."""

from __future__ import annotations

from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import model_files, own_server
from holdfast.model.errors import InputError
from holdfast.model.unit import VLLM


def check(placement: Placement) -> None:
    """Raises InputError for the first thing that would not work."""
    own_server.check(placement)
    _check_disaggregation(placement)
    _check_files(placement)


def _check_disaggregation(placement: Placement) -> None:
    unit = placement.unit
    if unit.disaggregated is None:
        return
    where = f"unit {unit.name}"
    if unit.framework != VLLM or placement.accelerator.vendor != "nvidia":
        raise InputError("only vLLM on GPUs is rendered with prefill and decode apart", where=where)
    if not placement.fleet.spec.cluster.kv_aware_routing:
        raise InputError(
            "nobody would choose prefill servers for requests: llm-d's endpoint picker does",
            where=where,
            mend="set cluster.kvAwareRouting: true, or remove disaggregated",
        )
    if unit.pipeline_parallel > 1:
        # vLLM issue 52913 of 2026-08-19. Prefill alone may, with NixlPushConnector, which llm-d does not use.
        raise InputError(
            "vLLM's NixlConnector does not hand KV caches over between servers with pipeline stages",
            where=where,
            mend="set pipelineParallel: 1, with a tensorParallel that fills the nodes, or remove disaggregated",
        )


def _check_files(placement: Placement) -> None:
    source = placement.fleet.spec.model.source
    if model_files.fetched(placement):
        return
    if placement.unit.own_framework is not None and source.files:
        raise InputError(
            "holdfast's own server chooses itself which files of Hugging Face it downloads",
            where=f"unit {placement.unit.name}",
            mend="remove model.source.files, or put them into a bucket and give model.source.s3 and sha256",
        )
    if placement.unit.own_framework is None and (source.revision is not None or source.files):
        raise InputError(
            f"an image of framework {placement.unit.framework} fetches its model itself, and is not told which files",
            where=f"unit {placement.unit.name}",
            mend="put them into a bucket and give model.source.s3 and sha256",
        )

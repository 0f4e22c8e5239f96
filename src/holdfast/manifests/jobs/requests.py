"""What a job sends to a pool: the flags of `holdfast load` and `holdfast limit` that say the fleet's workload."""

from __future__ import annotations

import json

from holdfast.manifests.placement import Placement
from holdfast.manifests.serving import service
from holdfast.model.workload import TokenLengths


def target(placement: Placement) -> str:
    """The pool's own Service: no load balancer, no weights, no other pool."""
    return f"http://{placement.name}.{placement.fleet.metadata.namespace}.svc.cluster.local:{service.PORT}"


def arguments(placement: Placement) -> list[str]:
    """Model, API and lengths. Prompts are of plain words, about a token each: the pods have no tokenizer."""
    spec = placement.fleet.spec
    found = [f"--model={spec.model.id}", f"--api={spec.workload.api.value}"]
    if spec.workload.path is not None:
        found += [f"--path={spec.workload.path}", f"--body={json.dumps(spec.workload.body, ensure_ascii=False)}"]
    for flag, lengths in (
        ("--input-tokens", spec.workload.input_tokens),
        ("--output-tokens", spec.workload.output_tokens),
    ):
        if lengths is not None:
            found.append(f"{flag}={_lengths(lengths)}")
    return found


def _lengths(lengths: TokenLengths) -> str:
    spread = f"±{lengths.stddev:.12g}" if lengths.stddev else ""
    if lengths.min is None and lengths.max is None:
        return f"{lengths.mean:.12g}{spread}"
    most = lengths.max if lengths.max is not None else int(lengths.mean + 6 * lengths.stddev) + 1
    return f"{lengths.mean:.12g}{spread},{lengths.min or 1}..{most}"

"""How long a request may take, and so how long load balancers and pods wait for one to end.

A pod that is deleted passes three clocks. The load balancer stops sending it new requests and gives those in
flight the deregistration delay. The pod's preStop hook sleeps through that delay and the time it takes the
controllers to notice the deletion. Only then does the server get its signal, with some seconds to exit before
the grace period ends. Were the hook shorter than the delay, requests would be sent to a server that is gone.
"""

from __future__ import annotations

import math

from holdfast.model.fleet import Slo

UNKNOWN_LONGEST_S = 300
"""Where the SLO bounds no end-to-end latency: the load balancer's own default delay."""

NOTICE_S = 15
"""For the controllers to see the deletion and deregister the target."""

EXIT_S = 30
"""For a server without requests to exit; Kubernetes' own default grace period."""

_LEAST_DELAY_S, _MOST_DELAY_S = 30, 3600
_LEAST_IDLE_S, _MOST_IDLE_S = 60, 4000


def longest_request_s(slo: Slo) -> int:
    """How long requests are waited for: twice the highest latency that the SLO allows, in whole seconds."""
    bounds = [bound_s for _, bound_s in slo.latency.bounds()]
    return math.ceil(2 * max(bounds)) if bounds else UNKNOWN_LONGEST_S


def deregistration_delay_s(slo: Slo) -> int:
    """Deregistration delay of a target group, 30 to 3600 s (an ALB's upper limit)."""
    return min(max(longest_request_s(slo), _LEAST_DELAY_S), _MOST_DELAY_S)


def idle_timeout_s(slo: Slo, attempts: int = 1) -> int:
    """Idle timeout of the load balancer, 60 to 4000 s (its default and limit), where a request is tried so often.

    An answer that does not stream sends nothing until it is whole, so that the timeout must outlast it.
    """
    return min(max(attempts * longest_request_s(slo), _LEAST_IDLE_S), _MOST_IDLE_S)


def pre_stop_s(slo: Slo) -> int:
    """Sleep of the preStop hook."""
    return deregistration_delay_s(slo) + NOTICE_S


def grace_period_s(slo: Slo) -> int:
    """Termination grace period, which covers the preStop hook as well."""
    return pre_stop_s(slo) + EXIT_S


def most_queued(slo: Slo, limit_per_s: float) -> int:
    """Requests that may wait for one replica: at its limit, more of them would wait for longer than a request may take.

    Little's law: a queue of n is served in n / limit_per_s.
    """
    return max(1, math.floor(limit_per_s * longest_request_s(slo)))

"""The simulator against what queueing theory knows, within 1 % and within its own confidence interval.

Every figure is a mean over batches of the same run, without its first batch (warm-up). It must lie within 1 % of the
closed form, and the closed form within the 99.9 % interval of the batch means (Student's t), so that a figure that is
right by luck, or wrong within its noise, fails.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from holdfast.load.pacers import Constant
from holdfast.model.records import Floats
from holdfast.simulation.arrivals import Drawn, Exponential, Fixed, Lognormal, Mixture, Work
from holdfast.simulation.traffic import Balance, Counts, Service, Traffic

BATCHES = 20
STUDENT = 3.883
"""The 99.95 % quantile of Student's t with 19 degrees of freedom."""

ENDLESS = 100_000
"""A queue that never fills at the loads here."""

Figure = Callable[[Counts], float]


def mean_latency_s(counts: Counts) -> float:
    return float(counts.latency_s.sum() / counts.served.sum())


def refused_share(counts: Counts) -> float:
    return float(counts.refused.sum() / counts.arrived.sum())


def mean_wait_s(service: Service) -> Figure:
    """What is left of latency without the service, where that does not depend on the load."""
    return lambda counts: float((counts.latency_s - service.seconds[0] * counts.work).sum() / counts.served.sum())


def fleet(service: Service, replicas: int, balance: Balance) -> Traffic:
    traffic = Traffic([service], most_replicas=[replicas], balance=balance, retries=0, seed=11, late_s=math.inf)
    for _ in range(replicas):
        traffic.add(0)
    traffic.weights([1])
    return traffic


def batch_means(
    service: Service,
    rate_per_s: float,
    work: Work,
    figure: Figure,
    requests: int,
    replicas: int = 1,
    balance: Balance = Balance.RANDOM,
) -> Floats:
    traffic = fleet(service, replicas, balance)
    source = Drawn(Constant(rate_per_s), work, seed=replicas + service.slots, grain_s=1e6)
    figures = []
    for batch in range(BATCHES + 1):
        until_s = (batch + 1) * requests / BATCHES / rate_per_s
        traffic.run(until_s, *source.until(until_s))
        figures.append(figure(traffic.read()))
    return np.array(figures[1:])


def assert_is(figures: Floats, exact: float, within: float = 0.01) -> None:
    error = STUDENT * figures.std(ddof=1) / math.sqrt(len(figures))
    assert figures.mean() == pytest.approx(exact, rel=within)
    assert abs(figures.mean() - exact) <= error + 1e-9 * exact


def erlang_c(servers: int, load: float) -> float:
    """The probability of waiting in M/M/k; load: arrival rate over service rate. A. K. Erlang, 1917."""
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked / (1 - load / servers * (1 - blocked))


@pytest.mark.parametrize(
    ("slots", "share", "requests"), [(1, 0.7, 2_000_000), (4, 0.8, 2_000_000), (32, 0.9, 2_000_000)]
)
def test_requests_wait_as_in_m_m_k(slots: int, share: float, requests: int) -> None:
    service = Service(slots, (1.0,) * slots, ENDLESS)
    exact = erlang_c(slots, share * slots) / (slots * (1 - share))
    assert_is(batch_means(service, share * slots, Exponential(), mean_wait_s(service), requests), exact)


@pytest.mark.parametrize(
    ("work", "variation"), [(Fixed(), 0.0), (Lognormal(0.5), 0.5), (Mixture((1, 5), (4, 1)), math.sqrt(2.56) / 1.8)]
)
def test_requests_wait_as_in_m_g_1(work: Work, variation: float) -> None:
    """Pollaczek and Khinchine: W = load x E[S^2] / (2 E[S] (1 - load))."""
    service = Service(1, (2.0,), ENDLESS)
    exact = 0.6 * 2.0 * (1 + variation**2) / 2 / (1 - 0.6)
    assert_is(batch_means(service, 0.3, work, mean_wait_s(service), 2_000_000), exact)


SHARED = Service(64, tuple(float(n) for n in range(1, 65)), ENDLESS)
"""One processor, shared by all in service; at 70 % load more than 64 come together once in 1e10."""


@pytest.mark.parametrize("work", [Fixed(), Exponential(), Lognormal(2.0)])
def test_sharing_a_processor_takes_as_long_whatever_the_spread_of_work(work: Work) -> None:
    """M/G/1-PS: E[T] = E[S] / (1 - load). L. Kleinrock, J. ACM 14 (1967), doi:10.1145/321386.321388."""
    assert_is(batch_means(SHARED, 0.7, work, mean_latency_s, 2_500_000), 1 / (1 - 0.7))


def shared_sojourn_s(service: Service, rate_per_s: float) -> tuple[float, float]:
    """Mean latency and refused share of a load-dependent shared processor without a queue.

    With n in service work leaves at n / seconds[n - 1], and the number in service is that of the birth-and-death
    process with these rates, whatever the distribution of work (F. P. Kelly, Reversibility and Stochastic Networks,
    1979, section 3.3).
    """
    weights = np.cumprod([1.0, *(rate_per_s * each_s / n for n, each_s in enumerate(service.seconds, start=1))])
    shares = weights / weights.sum()
    return float(shares @ np.arange(len(shares)) / (rate_per_s * (1 - shares[-1]))), float(shares[-1])


BATCHING = Service(16, tuple(1 + 0.08 * n + 0.003 * n**2 for n in range(1, 17)), 0)
"""Like a GPU: 16 together get 5.7 times as much done as one alone."""


@pytest.mark.parametrize("work", [Fixed(), Exponential(), Lognormal(1.5)])
@pytest.mark.parametrize(("place", "figure"), [(0, mean_latency_s), (1, refused_share)])
def test_a_load_curve_gives_latency_and_refusals_of_its_birth_and_death_process(
    work: Work, place: int, figure: Figure
) -> None:
    exact = shared_sojourn_s(BATCHING, 6.0)[place]
    assert_is(batch_means(BATCHING, 6.0, work, figure, 1_500_000), exact)


def test_a_full_queue_refuses_as_in_m_m_c_k() -> None:
    service, rate_per_s = Service(4, (1.0,) * 4, 6), 4.4
    weights = np.cumprod([1.0, *(rate_per_s / min(n, 4) for n in range(1, 11))])
    exact = float(weights[-1] / weights.sum())
    assert_is(batch_means(service, rate_per_s, Exponential(), refused_share, 2_000_000), exact)


def test_round_robin_gives_each_replica_regular_arrivals() -> None:
    """Every k-th of a Poisson stream: E_k/M/1, whose wait is sigma / (mu (1 - sigma)), sigma = A*(mu - mu sigma)."""
    replicas, share = 4, 0.8
    sigma = 0.5
    for _ in range(200):
        sigma = (replicas * share / (replicas * share + 1 - sigma)) ** replicas
    service = Service(1, (1.0,), ENDLESS)
    found = batch_means(
        service, replicas * share, Exponential(), mean_wait_s(service), 3_000_000, replicas, Balance.ROUND_ROBIN
    )
    assert_is(found, sigma / (1 - sigma))


def test_two_choices_come_to_their_mean_field_limit() -> None:
    """Sum of load ** ((2**i - 2) / (2 - 1)) over i >= 1 for ever more replicas: M. Mitzenmacher, IEEE TPDS 12 (2001),
    doi:10.1109/71.963420. With n replicas it is off by O(1/n), so 500 come within 1 %; nothing is said of noise."""
    share, replicas, service = 0.8, 500, Service(1, (1.0,), ENDLESS)
    found = batch_means(
        service, share * replicas, Exponential(), mean_latency_s, 2_000_000, replicas, Balance.TWO_CHOICES
    )
    assert found.mean() == pytest.approx(sum(share ** (2.0**i - 2) for i in range(1, 12)), rel=0.01)


def test_exact_least_outstanding_of_single_slots_waits_as_little_as_one_queue() -> None:
    """Joining an idle replica first: between M/M/k, which it cannot beat, and two choices, which it must."""
    replicas, share = 20, 0.8
    service = Service(1, (1.0,), ENDLESS)
    waits_s = {
        balance: batch_means(
            service, replicas * share, Exponential(), mean_wait_s(service), 500_000, replicas, balance
        ).mean()
        for balance in (Balance.LEAST_OUTSTANDING, Balance.TWO_CHOICES)
    }
    best_s = erlang_c(replicas, replicas * share) / (replicas * (1 - share))
    assert best_s < waits_s[Balance.LEAST_OUTSTANDING] < waits_s[Balance.TWO_CHOICES]


def test_the_backlog_of_an_outage_is_what_came_less_what_was_served_and_drains_at_the_spare_rate() -> None:
    """Fluid: while 40 of 100 replicas are left, the backlog grows by offered - served; then it shrinks by what all of
    them can serve less what comes, as the 60 that return cannot take everything that comes and none is ever idle."""
    offered_per_s, replicas, left, each_per_s = 800.0, 100, 40, 10.0
    traffic = fleet(Service(1, (1 / each_per_s,), 10_000), replicas, Balance.LEAST_OUTSTANDING)
    source = Drawn(Constant(offered_per_s), Exponential(), seed=4, burstiness=math.inf)

    def outstanding_at(until_s: float) -> int:
        traffic.run(until_s, *source.until(until_s))
        counts = traffic.read()
        return int(counts.waiting.sum() + counts.in_flight.sum())

    before = outstanding_at(30.0)
    for replica in range(left, replicas):
        traffic.drain(0, replica)
    backlog = outstanding_at(630.0) - before
    assert backlog == pytest.approx((offered_per_s - left * each_per_s) * 600, rel=0.01)
    for _ in range(left, replicas):
        traffic.add(0)
    drained_s = backlog / (replicas * each_per_s - offered_per_s)
    assert outstanding_at(630.0 + drained_s / 2) == pytest.approx(backlog / 2, rel=0.01)
    over_s = next(t_s for t_s in np.arange(0.9, 1.1, 0.001) * drained_s if outstanding_at(630.0 + t_s) <= before + 10)
    assert over_s == pytest.approx(drained_s, rel=0.01)

from __future__ import annotations

import asyncio
import math
import random

import pytest

from holdfast.kube import kinds
from holdfast.kube.leases import Leadership, identity
from kube.cluster import Cluster, run
from kube_api.faults import Fault, Faults, Loss, Seeded
from kube_api.requests import Request


class Candidates:
    """Processes a, b, … each with a connection and faults of its own; those that lead at once are never two."""

    def __init__(self, cluster: Cluster, names: str = "ab") -> None:
        self.cluster = cluster
        self.all = {name: self.candidate(name) for name in names}
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def candidate(self, name: str, clock_off_s: float = 0.0) -> Leadership:
        def clock() -> float:
            return self.cluster.clock() + clock_off_s

        return Leadership(self.cluster.connect(), "operator", "default", identity(name), clock=clock)

    def start(self, *names: str) -> None:
        for name in names or self.all:
            self.tasks[name] = asyncio.create_task(self.all[name].run())

    async def stop(self, *names: str) -> None:
        stopped = [self.tasks.pop(name) for name in names or list(self.tasks)]
        for task in stopped:
            task.cancel()
        await asyncio.gather(*stopped, return_exceptions=True)

    def leaders(self) -> str:
        now_s = self.cluster.clock()
        return "".join(name for name, one in self.all.items() if one.leads(now_s))

    async def led_by(self, *, but: str = "", within_s: float) -> str:
        """Who leads as soon as somebody does."""
        for _ in range(int(within_s / 0.01)):
            found = self.leaders()
            if found and found != but:
                return found
            await asyncio.sleep(0.01)
        raise AssertionError(f"nobody but {but!r} leads after {within_s} s")


def cut_off(one: Leadership) -> Faults:
    """Its requests get no answer. Who asks is told by the identity in what it writes."""

    def fault(request: Request) -> Fault | None:
        return Fault(loss=Loss.BEFORE) if request.method != "GET" and one.identity.encode() in request.body else None

    return fault


def test_one_of_two_leads_and_goes_on_leading() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster)
        candidates.start()
        first = await candidates.led_by(within_s=1.0)
        for _ in range(600):
            await asyncio.sleep(0.1)
            assert candidates.leaders() == first
        assert candidates.all[first].term == 1
        assert candidates.all[first].renewed_s == pytest.approx(cluster.clock(), abs=1.0)
        await candidates.stop()

    run(scene)


def test_who_stops_in_good_order_is_followed_within_a_look_by_a_higher_term() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster)
        candidates.start()
        first = await candidates.led_by(within_s=1.0)
        await candidates.stop(first)
        second = await candidates.led_by(within_s=1.1)
        assert second != first
        assert (candidates.all[first].term, candidates.all[second].term) == (1, 2)
        await candidates.stop()

    run(scene)


def test_who_is_cut_off_stops_by_time_alone_before_another_begins() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster)
        candidates.start()
        first = await candidates.led_by(within_s=1.0)
        await asyncio.sleep(10.0)
        candidates.all[first].changed.clear()
        cluster.faults = cut_off(candidates.all[first])
        since_s = cluster.clock()
        await candidates.all[first].changed.wait()
        assert cluster.clock() - since_s <= 4.0
        assert candidates.leaders() == ""
        second = await candidates.led_by(but=first, within_s=5.0)
        assert cluster.clock() - since_s <= 7.1
        cluster.faults = lambda request: None
        await candidates.stop(first)
        lease = await cluster.connection.get(kinds.LEASE, "operator")
        assert lease["spec"]["holderIdentity"] == candidates.all[second].identity, "it gives back what is another's"
        await candidates.stop()

    run(scene)


def test_a_renewal_whose_answer_was_lost_does_not_end_leading() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster, "a")
        candidates.start()
        await candidates.led_by(within_s=1.0)
        lost = iter([Fault(loss=Loss.AFTER)])
        cluster.faults = lambda request: next(lost, None) if request.method == "PUT" else None
        for _ in range(100):
            await asyncio.sleep(0.1)
            assert candidates.leaders() == "a"
        assert (next(lost, None), candidates.all["a"].term) == (None, 1)
        await candidates.stop()

    run(scene)


def test_a_renewal_that_hangs_leaves_time_for_another() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster, "a")
        candidates.start()
        await candidates.led_by(within_s=1.0)
        slow = iter([Fault(delay_s=60.0)])
        cluster.faults = lambda request: next(slow, None)
        for _ in range(100):
            await asyncio.sleep(0.1)
            assert candidates.leaders() == "a"
        await candidates.stop()

    run(scene)


@pytest.mark.parametrize("off_s", [-86_400.0, -5.0, 5.0, 86_400.0])
def test_how_wrong_a_clock_is_does_not_matter(off_s: float) -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster, "a")
        candidates.all["b"] = other = candidates.candidate("b", off_s)
        candidates.start("a")
        await candidates.led_by(within_s=1.0)
        candidates.start("b")
        for _ in range(300):
            await asyncio.sleep(0.1)
            assert not other.leads(cluster.clock() + off_s)
        cluster.faults = cut_off(candidates.all["a"])
        await asyncio.sleep(4.9)
        assert not other.leads(cluster.clock() + off_s)
        await asyncio.sleep(2.3)
        assert other.leads(cluster.clock() + off_s)
        await candidates.stop()

    run(scene)


def test_a_clock_that_is_set_back_does_not_prolong_leading() -> None:
    async def scene(cluster: Cluster) -> None:
        back_s = 0.0
        one = Leadership(cluster.connection, "operator", "default", "a", clock=lambda: cluster.clock() - back_s)
        task = asyncio.create_task(one.run())
        await asyncio.sleep(2.0)
        assert one.leads(cluster.clock())
        assert not one.leads(cluster.clock() + 4.0), "even if this process did not run meanwhile"
        back_s = 3600.0
        cluster.faults = lambda request: Fault(status=503)
        await asyncio.sleep(5.0)
        assert not one.leads(cluster.clock() - back_s)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(scene)


def test_a_predecessor_that_crashed_holds_its_lease_to_the_end() -> None:
    async def scene(cluster: Cluster) -> None:
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": "operator"},
            "spec": {
                "holderIdentity": "crashed",
                "leaseDurationSeconds": 6,
                "leaseTransitions": 8,
                "acquireTime": "2020-01-01T00:00:00.000000Z",
                "renewTime": "2020-01-01T00:00:00.000000Z",
            },
        }
        cluster.api.create(lease, cluster.clock())
        candidates = Candidates(cluster, "a")
        candidates.start()
        await asyncio.sleep(5.9)
        assert candidates.leaders() == ""
        await candidates.led_by(within_s=0.3)
        assert candidates.all["a"].term == 9
        await candidates.stop()

    run(scene)


def test_who_reads_another_name_in_the_record_stops_at_once() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster, "a")
        candidates.start()
        await candidates.led_by(within_s=1.0)
        await cluster.connection.merge(kinds.LEASE, "operator", "default", {"spec": {"holderIdentity": "by-hand"}})
        await asyncio.sleep(1.1)
        assert candidates.leaders() == ""
        await candidates.stop()

    run(scene)


def test_a_lease_that_was_deleted_is_made_again_with_a_higher_term() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster, "a")
        candidates.start()
        await candidates.led_by(within_s=1.0)
        await cluster.connection.delete(kinds.LEASE, "operator")
        await asyncio.sleep(1.5)
        assert (candidates.leaders(), candidates.all["a"].term) == ("a", 2)
        await candidates.stop()

    run(scene)


def test_a_leader_rises_above_a_term_that_it_finds_and_a_candidate_does_not() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster)
        candidates.start()
        first = await candidates.led_by(within_s=1.0)
        (second,) = set("ab") - {first}
        candidates.all[second].surpass(99)
        await asyncio.sleep(3.0)
        assert (candidates.leaders(), candidates.all[second].term) == (first, 0)
        candidates.all[first].changed.clear()
        candidates.all[first].surpass(41)
        async with asyncio.timeout(0.1):
            await candidates.all[first].changed.wait()
        assert candidates.all[first].term == 42
        await asyncio.sleep(3.0)
        assert (candidates.leaders(), candidates.all[first].term) == (first, 42)
        await candidates.stop()

    run(scene)


def test_it_gives_back_only_what_it_has() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster)
        candidates.start()
        first = await candidates.led_by(within_s=1.0)
        (second,) = set("ab") - {first}
        await candidates.stop(second)
        assert candidates.leaders() == first
        await candidates.stop(first)
        lease = await cluster.connection.get(kinds.LEASE, "operator")
        assert (lease["spec"].get("holderIdentity"), lease["spec"]["leaseTransitions"]) == (None, 1)

    run(scene)


def test_an_api_server_that_is_away_does_not_keep_it_from_stopping() -> None:
    async def scene(cluster: Cluster) -> None:
        candidates = Candidates(cluster, "a")
        candidates.start()
        await candidates.led_by(within_s=1.0)
        cluster.faults = lambda request: Fault(delay_s=3600.0)
        since_s = cluster.clock()
        await candidates.stop()
        assert cluster.clock() - since_s <= 1.1
        assert candidates.leaders() == ""

    run(scene)


@pytest.mark.parametrize(
    ("duration_s", "deadline_s", "retry_s"),
    [(6.0, 6.0, 1.0), (6.0, 4.0, 3.0), (6.5, 4.0, 1.0), (6.0, 4.0, 0.0), (math.nan, 4.0, 1.0), (math.inf, 4.0, 1.0)],
)
def test_times_by_which_two_could_lead_are_refused(duration_s: float, deadline_s: float, retry_s: float) -> None:
    async def scene(cluster: Cluster) -> None:
        with pytest.raises(ValueError, match="duration_s"):
            Leadership(
                cluster.connection, "l", "default", "a",
                clock=cluster.clock, duration_s=duration_s, deadline_s=deadline_s, retry_s=retry_s,
            )  # fmt: skip

    run(scene)


@pytest.mark.parametrize("seed", range(12))
def test_whatever_goes_wrong_two_never_lead_at_once_and_terms_rise(seed: int) -> None:
    async def scene(cluster: Cluster) -> None:
        chance = random.Random(seed)
        candidates = Candidates(cluster, "abc")
        candidates.start()
        terms: list[tuple[int, str]] = []
        faults = Seeded(seed, 0.35)
        for step in range(2400):
            await asyncio.sleep(0.05)
            leaders = candidates.leaders()
            assert len(leaders) <= 1
            if leaders:
                now = (candidates.all[leaders].term, candidates.all[leaders].identity)
                if now not in terms:
                    terms.append(now)
            if step % 100 == 0:
                # Weather changes, now and then somebody dies in good order or is restarted.
                cluster.faults = faults if chance.random() < 0.7 else lambda request: None
                name = chance.choice("abc")
                await candidates.stop(name)
                candidates.all[name] = candidates.candidate(name)
                candidates.start(name)
        cluster.faults = lambda request: None
        await asyncio.sleep(10.0)
        assert len(candidates.leaders()) == 1
        assert [term for term, _ in terms] == sorted({term for term, _ in terms}), "no term has two holders"
        await candidates.stop()

    run(scene)

"""`holdfast failover` against an API server."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from control.accounts import FLEET, LOST, account

from .cluster import Cluster, cluster
from .conftest import Run

FLAGS = ("-n", "inference")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def there(served: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster with the fleet sd21."""
    monkeypatch.setenv("KUBECONFIG", str(served.kubeconfig))
    served.apply()
    yield served
    served.clear()


def test_it_asks_waits_and_says_what_came_of_it(there: Cluster, holdfast: Run) -> None:
    there.operate()
    ended = holdfast("failover", "sd21", "--to", "capacity", *FLAGS)
    assert ended.returncode == 0
    assert there.annotation() == "capacity"
    assert "To take it back: holdfast failover sd21 -n inference --to auto" in ended.stdout
    assert "taken it up: mode capacity-optimized, weights inf2 80, g5 20." in ended.stdout


def test_by_auto_the_annotation_is_gone(there: Cluster, holdfast: Run) -> None:
    there.operate()
    holdfast("failover", "sd21", "--to", "cost", *FLAGS)
    assert there.annotation() == "cost"
    assert holdfast("failover", "sd21", "--to", "auto", *FLAGS).returncode == 0
    assert there.annotation() is None


def test_a_failover_of_the_fleet_s_own_is_no_obstacle(there: Cluster, holdfast: Run) -> None:
    there.operate(lambda asked: account(*LOST, asked=asked))
    for asked in ("cost", "capacity", "auto"):
        assert holdfast("failover", "sd21", "--to", asked, *FLAGS).returncode == 0


def test_without_an_operator_the_answer_is_no_and_the_wish_stays(there: Cluster, holdfast: Run) -> None:
    ended = holdfast("failover", "sd21", "--to", "capacity", *FLAGS, "--wait", "300ms")
    assert ended.returncode == 1
    assert "has not taken it up within 0.3 s" in ended.stdout
    assert there.annotation() == "capacity"


def test_machines_get_weights(there: Cluster, holdfast: Run) -> None:
    there.operate()
    found = json.loads(holdfast("failover", "sd21", "--to", "capacity", *FLAGS, "--json").stdout)
    assert (found["taken_up"], found["weights"]) == (True, {"inf2": 80, "g5": 20})


def test_a_policy_without_dwell_and_ramp_has_none_to_set_aside(there: Cluster, holdfast: Run) -> None:
    there.apply(FLEET | {"spec": FLEET["spec"] | {"routing": {"policy": "static"}}})
    ended = holdfast("failover", "sd21", "--to", "cost", *FLAGS)
    assert (ended.returncode, "has neither dwell time nor ramp" in ended.stderr) == (2, True)
    assert there.annotation() is None


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sd12", "--to", "auto", *FLAGS), "there is no fleet 'sd12' in the namespace inference; did you mean 'sd21'."),
        (("sd21", "--to", "auto"), "there is no fleet 'sd21' in the namespace default"),
        (("SD21", "--to", "auto"), "'SD21' is not a name in Kubernetes"),
        (("sd21", "--to", "auto", "--wait", "nan"), "'nan' is not a duration"),
        (("sd21", "--to", "auto", "--wait", "-1s"), "'-1s' is not"),
        (("sd21", "--to", "auto", "--wait", "0s"), "'0s' is not between"),
        (("sd21", "--to", "auto", "--kubeconfig", "none.yaml"), "kubeconfig none.yaml"),
    ],
)
def test_nonsense_is_a_sentence(there: Cluster, holdfast: Run, arguments: tuple[str, ...], sentence: str) -> None:
    ended = holdfast("failover", *arguments)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1

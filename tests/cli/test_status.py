"""`holdfast status` against an API server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from control.accounts import LOST, WELL, account
from holdfast.control.operator.account import PlanProblem
from holdfast.control.operator.reasons import Reason
from holdfast.model.status import Proposal

from .cluster import Cluster, cluster
from .conftest import Run


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("cluster")) as found:
        yield found


@pytest.fixture
def there(served: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    """A cluster without fleets."""
    monkeypatch.setenv("KUBECONFIG", str(served.kubeconfig))
    yield served
    served.clear()


def test_a_cluster_without_fleets_says_where_to_look(there: Cluster, holdfast: Run) -> None:
    ended = holdfast("status")
    assert (ended.returncode, ended.stdout) == (
        0,
        "There is no fleet here; `holdfast status -A` shows those of all namespaces.\n",
    )


def test_a_fleet_that_stands_is_a_row(there: Cluster, holdfast: Run) -> None:
    there.apply()
    there.tell(account(*WELL))
    ended = holdfast("status", "-n", "inference")
    assert ended.returncode == 0
    assert ended.stdout.splitlines()[-1].split() == ["sd21", "True", "Serving", "cost", "2/2", "99/1", "0", "4.05"]


def test_a_fleet_that_does_not_stand_is_the_answer_no(there: Cluster, holdfast: Run) -> None:
    there.apply()
    infeasible = PlanProblem(Reason.PLAN_INFEASIBLE, "No plan holds 900/s.")
    there.tell(account(*WELL, plan=None, observation=None, decision=None, applied=None, plan_problem=infeasible))
    assert holdfast("status", "-A").returncode == 1
    ended = holdfast("status", "sd21", "-n", "inference")
    assert ended.returncode == 1
    assert "Ready False, PlanInfeasible" in ended.stdout
    assert "To do: The message says which constraint fails" in ended.stdout


def test_a_fleet_that_nobody_looked_at_is_not_ready(there: Cluster, holdfast: Run) -> None:
    there.apply()
    ended = holdfast("status", "sd21", "-n", "inference")
    assert (ended.returncode, "no operator has looked at it yet" in ended.stdout) == (1, True)


def test_one_fleet_is_told_whole_within_80_columns(there: Cluster, holdfast: Run) -> None:
    there.apply()
    there.tell(account(*LOST))
    ended = holdfast("status", "sd21", "-n", "inference")
    assert ended.returncode == 0  # g5 carries it all
    assert max(map(len, ended.stdout.splitlines())) <= 80
    assert "FailedOver True, CapacityLost" in ended.stdout
    assert "no capacity" in ended.stdout
    assert "$4.02 per hour" in ended.stdout


def test_a_proposal_comes_with_the_command_that_approves_it(there: Cluster, holdfast: Run) -> None:
    there.apply()
    proposal = Proposal(id="0123456789ab", reason="demand rose to 6/s", difference="g5: 4 -> 7 replicas\n+ $3.02/h")
    there.tell(account(*WELL, proposal=proposal))
    said = holdfast("status", "sd21", "-n", "inference").stdout
    assert "kubectl -n inference annotate inferencefleet sd21 holdfast.dev/approved=0123456789ab --overwrite" in said
    assert "  g5: 4 -> 7 replicas\n  + $3.02/h\n" in said


def test_machines_get_the_status_as_it_stands(there: Cluster, holdfast: Run) -> None:
    there.apply()
    there.tell(account(*LOST))
    [found] = json.loads(holdfast("status", "-A", "--json").stdout)["fleets"]
    assert (found["namespace"], found["name"], found["ready"]) == ("inference", "sd21", True)
    assert found["status"]["pools"][0]["shortage"] is True


def test_watching_shows_what_changes_until_it_is_interrupted(there: Cluster) -> None:
    there.apply()
    there.tell(account(*WELL))
    command = [sys.executable, "-m", "holdfast", "status", "-n", "inference", "--watch", "--json"]
    environment = os.environ | {"KUBECONFIG": str(there.kubeconfig), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        told = ""
        for line in process.stdout:
            told += line
            if '"weights": "99/1"' in line:
                there.tell(account(*LOST))
            if '"weights": "0/100"' in line:
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    assert process.returncode == 130


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("sd12", "-n", "inference"), "there is no fleet 'sd12' in the namespace inference; did you mean 'sd21'."),
        (("sd21", "-n", "elsewhere"), "there is no fleet 'sd21' in the namespace elsewhere; `holdfast status -A`"),
        (("", "-n", "inference"), "'' is not a name in Kubernetes"),
        (("-n", "Inference"), "-n: 'Inference' is not a name in Kubernetes"),
        (("sd21/status",), "'sd21/status' is not a name in Kubernetes"),
        (("-A", "sd21"), "all namespaces are asked for, and one of them"),
        (("--kubeconfig", "none.yaml"), "kubeconfig none.yaml"),
        (("--kubeconfig", "."), "kubeconfig ."),
        (("--context", "nope"), "Context 'nope' not found"),
    ],
)
def test_nonsense_is_a_sentence(there: Cluster, holdfast: Run, arguments: tuple[str, ...], sentence: str) -> None:
    there.apply()
    ended = holdfast("status", *arguments)
    assert ended.returncode == 2
    assert sentence in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_a_cluster_without_the_resource_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holdfast: Run
) -> None:
    with cluster(tmp_path, installed=False) as bare:
        monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig))
        ended = holdfast("status")
    assert (ended.returncode, "does not know InferenceFleets; install the operator" in ended.stderr) == (2, True)


def test_a_cluster_that_is_gone_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, holdfast: Run) -> None:
    with cluster(tmp_path) as gone:
        monkeypatch.setenv("KUBECONFIG", str(gone.kubeconfig))
    ended = holdfast("status")
    assert (ended.returncode, "the API server does not answer" in ended.stderr) == (2, True)

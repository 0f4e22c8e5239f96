"""What is known of units that nothing was measured of."""

from __future__ import annotations

import pytest

from holdfast import catalog
from holdfast.model.findings import Severity
from holdfast.model.fleet import InferenceFleet
from holdfast.model.plan import UnitEvidence
from holdfast.planning import unmeasured
from holdfast.planning.estimated import Estimated

MEASURED = UnitEvidence("quad", 9.0, 16.3, 2, 900.0, 0.5, "row 3", "page")


def known(fleet: InferenceFleet, **differs: object) -> Estimated:
    """What is known of a unit that is `quad` on another instance type, but for what differs, when `quad` was measured.

    Nobody knows the model of the fleet, so nothing can be estimated.
    """
    quad = fleet.unit("quad")
    other = quad.model_copy(update={"name": "other", "instance_type": "g5.12xlarge", **differs})
    both = fleet.model_copy(update={"spec": fleet.spec.model_copy(update={"units": (quad, other)})})
    rest = unmeasured.of(both, ["quad"])
    return rest.evidence(both, [MEASURED], catalog.offerings_of(both), catalog.equipment_of(both))


def test_what_was_measured_on_one_instance_type_holds_for_the_same_devices_in_another(fleet: InferenceFleet) -> None:
    found = known(fleet, price_usd_per_h=3.0)

    (other,), (note,) = found.known, found.findings
    assert (other.unit, other.limit_per_s, other.latency_s, other.estimate_error) == ("other", 9.0, 0.5, None)
    assert (other.price_usd_per_h, other.replicas_per_instance) == (3.0, 1)
    assert other.limit_source == "as measured of quad, the same devices and configuration (row 3)"
    assert note.severity is Severity.NOTE
    assert note.message == (
        "Nothing was measured of 'other' on g5.12xlarge; its limit is as measured of quad, the same devices and "
        "configuration (row 3)."
    )


@pytest.mark.parametrize("differs", [{"tensor_parallel": 8}, {"framework": "triton"}, {"max_num_seqs": 7}])
def test_another_configuration_is_not_taken_for_it(fleet: InferenceFleet, differs: dict[str, object]) -> None:
    found = known(fleet, **differs)

    assert found.known == ()
    assert [finding.check for finding in found.findings] == ["left-out"]

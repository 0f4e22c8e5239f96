"""vCPUs that a plan may come to need, by class of EC2 quota."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from holdfast.manifests.placement import Placement
from holdfast.model.fleet import CapacityType
from holdfast.model.hardware import InstanceType

_P_SPOT = {"p2": "P spot", "p3": "P spot", "p4d": "P spot", "p4de": "P spot"} | dict.fromkeys(
    ("p5", "p5e", "p5en"), "P5 spot"
)
"""Spot of the P class has a quota for each generation; that of P6 is not known here."""

_COUNTED = ("G", "P", "Inf", "Trn", "DL")


def vcpus(placed: Sequence[Placement]) -> dict[str, int]:
    """vCPUs of the pools' largest numbers of nodes and one more each, by class; a class that is not known is left out.

    A pool that may be bought in several ways can come to be bought in any one of them alone.
    """
    needed: Counter[str] = Counter()
    for placement in placed:
        most = placement.node_limit * placement.instance.vcpus
        for name in {quota_class(placement.instance, way) for way in placement.unit.ways}:
            if name is not None:
                needed[name] += most
    return dict(needed)


def quota_class(instance: InstanceType, way: CapacityType) -> str | None:
    """The quota that an instance bought in this way counts against, e.g. `G` or `G spot`; None when it is not known.

    A reservation counts as what is bought on demand, whether it is used or not
    (docs.aws.amazon.com/AWSEC2/latest/UserGuide/ec2-capacity-reservations.html).
    """
    if instance.quota_class not in _COUNTED:
        return None
    if way is not CapacityType.SPOT:
        return instance.quota_class
    if instance.quota_class == "P":
        return _P_SPOT.get(instance.family)
    return f"{instance.quota_class} spot"

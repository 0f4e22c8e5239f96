"""One Helm chart that the cluster runs."""

from __future__ import annotations

from dataclasses import dataclass, field

from holdfast.manifests.manifest import Manifest, Object

FOLDER = "addons"


@dataclass(frozen=True)
class Chart:
    """A release of a chart at one version.

    name:       of the release.
    repository: `https://` of a Helm repository, or `oci://` of the folder that holds the chart.
    seen:       where and when that version was read.
    reason:     why the fleet needs it, as a sentence.
    after:      releases that must be there before.
    account:    its service account with rights in AWS, by EKS Pod Identity; empty where it needs none.
    """

    name: str
    namespace: str
    repository: str
    chart: str
    version: str
    seen: str
    reason: str
    values: Object = field(default_factory=dict)
    after: tuple[str, ...] = ()
    account: str = ""

    @property
    def is_oci(self) -> bool:
        return self.repository.startswith("oci://")

    def values_file(self) -> Manifest:
        """The chart's values, as Helm reads them."""
        note = f"{self.reason}\nChart {self.chart} {self.version}: {self.seen}."
        return Manifest(f"{FOLDER}/values/{self.name}.yaml", self.values, note)


def wave(chart: Chart, charts: tuple[Chart, ...]) -> int:
    """How many releases must follow each other before this one."""
    before = [other for other in charts if other.name in chart.after]
    return 1 + max(wave(other, charts) for other in before) if before else 0

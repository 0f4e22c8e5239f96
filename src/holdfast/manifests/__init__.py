"""Plan -> the Kubernetes objects that carry it out, as the files of a Kustomize tree.

render      a plan and its hardware to manifests          manifest   one object and the file it goes to
placement   one pool with the hardware it runs on         cluster    what rendering must know of the cluster
traffic     weighted targets                              drain      how long requests, and so pods, are waited for
engine      images and arguments by framework             resources  what a replica asks of its node
health      how load balancers look at targets            names      Kubernetes names
metadata    labels and annotations                        yaml       the only place that writes YAML

One module per kind: namespace, service_account, deployment (with pod), service, disruption_budget, ingress,
gateway, http_route, target_group, scaled_object, pod_monitor, node_pool, node_class, kustomization.

Nothing here was applied to a real EKS cluster. Objects are checked against the schemas of Kubernetes 1.33,
Karpenter 1.14, KEDA 2.20, AWS Load Balancer Controller 3.5 and Gateway API 1.6; admission rules written in CEL
are not evaluated.
"""

from holdfast.manifests.cluster import Cluster
from holdfast.manifests.manifest import Manifest
from holdfast.manifests.render import render

__all__ = ["Cluster", "Manifest", "render"]

"""Plan -> the files of a tree that carries it out: Kubernetes objects by Kustomize, and what stands around them.

render      a plan and its hardware to files              manifest   one file, mostly one object
placement   one pool with the hardware it runs on         names      Kubernetes names
metadata    labels and annotations                        yaml       the only place that writes YAML
network     rules that NetworkPolicies share
namespace, kustomization, readme   what holds the rest together

The areas are folders; in each, `tree` says which files a plan needs, and there is one module per kind:

    compute     nodes: who brings them, what they are              -> base/pools/UNIT/
    serving     pods, their images, files, rights                  -> base/, base/pools/UNIT/
    routing     the edge, weights                                  -> base/
    scaling     what adds and removes replicas                     -> base/pools/UNIT/
    observing   metrics, rules, dashboards                         -> base/
    addons      charts that the cluster must run beside            -> addons/
    jobs        load and limit searches                            -> jobs/
    operator    the operator's own objects                         -> operator/
    terraform   the account's part                                 -> terraform/
    images      Dockerfiles                                        -> images/

`checks` reads such a tree, rendered or not, and says what is wrong with it.

Nothing here was applied to a real EKS cluster. Objects are checked against the schemas of Kubernetes 1.33,
Karpenter 1.14, KEDA 2.20, AWS Load Balancer Controller 3.5, Gateway API 1.6 and LeaderWorkerSet 0.10. A kube-apiserver
1.36 with those definitions, and so their CEL rules, took the `base/` of every fleet in examples/deploy (2026-11-21; but
for device claims of the version that 1.33 has); no controller or webhook of theirs ran.
"""

from holdfast.manifests.kustomization import OVERLAY
from holdfast.manifests.manifest import File, Manifest
from holdfast.manifests.render import render

__all__ = ["OVERLAY", "File", "Manifest", "render"]

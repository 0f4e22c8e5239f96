"""What is wrong with a tree of manifests, rendered or written by hand.

every      all checks, and running them            check     what a check is
reading    files to objects; Kustomize folders     objects   objects of any shape
                                                   trees     objects that are applied together, their pods
changes    what a new tree changes of an old one   quantities, resources, nodes, attributes   what checks know in common

    schemas, versions, strings, references     the API
    keda, scaling                              replicas
    alb, gateway                               the edge
    probes, drain, selectors, reach            pods and who sends to them
    scheduling, karpenter                      nodes
    images, rights, engines                    what runs

A check judges one subject at a time (an object, a container, a trigger) and gives findings, each a sentence with its
mend. Nothing here trusts the shape of what it reads: files may be anybody's.
"""

from holdfast.manifests.checks.changes import changes
from holdfast.manifests.checks.every import CHECKS, inspect
from holdfast.manifests.checks.reading import Built, roots

__all__ = ["CHECKS", "Built", "changes", "inspect", "roots"]

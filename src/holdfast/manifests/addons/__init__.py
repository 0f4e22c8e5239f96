"""What the cluster must run beside the fleet, and only that: charts with pinned versions and their values.

chart         one chart: where it is from, which version, why, with what values     tree   which the fleet needs
nvidia, neuron, scaling, edge, watching, spanning   the charts, by what they are for
neuron_monitor, auto_mode                           objects that no chart has
custom_resources                                    definitions that come without a chart
minor                                               images of the cluster's minor version
helmfile, application, readme                       the three ways to read the list

Karpenter, and what EKS installs as its own add-ons (VPC CNI, CoreDNS, EBS CSI, Pod Identity agent), are Terraform's:
they need rights that it gives them, or stand before any chart can run.
"""

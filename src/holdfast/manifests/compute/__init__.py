"""Nodes: who brings them, what they are, and how many there may be.

nodes         who brings a pool's nodes, and what they cannot bring      selection   how pods find their nodes
node_pool     Karpenter's and Auto Mode's NodePool                       disk        what a node's root disk holds
node_class    Karpenter's EC2NodeClass                                   image_pull  images on nodes that wait
auto_class    Auto Mode's NodeClass
node_groups   managed node groups, for Terraform
hybrid        machines of the user's own, for nodeadm
"""

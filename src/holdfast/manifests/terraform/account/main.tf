provider "aws" {
  region = var.region

  default_tags {
    tags = local.tags
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

# Not filtered by state: a zone in trouble would leave the list, and the plan would move its subnets elsewhere.
data "aws_availability_zones" "regional" {
  #checkov:skip=CKV_AWS_394:A new zone comes last by name, and the first three are taken; `zones` pins them
  # Neither local zones nor zones that the account has not asked for.
  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }
}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  tags       = merge(var.tags, { "holdfast.dev/cluster" = var.cluster_name })

  # The zones that something asks for, and as many others as make three.
  zones_asked = distinct(concat(var.zones, flatten([for group in var.node_groups : group.zones])))
  zones = slice(
    distinct(concat(local.zones_asked, data.aws_availability_zones.regional.names)), 0, max(3, length(local.zones_asked))
  )

  # Auto Mode's own nodes are in the cluster's security group. Beside them all other nodes are too: members of two
  # groups would not reach each other, and the load balancer controller refuses an interface that has both.
  has_node_security_group = !var.auto_mode
  # Karpenter finds subnets and the one security group by it, as the rendered node classes say.
  discovery = { "karpenter.sh/discovery" = var.cluster_name }

  # Nodes of our own run add-ons that Auto Mode has built in.
  has_own_nodes = !var.auto_mode || var.karpenter || length(var.node_groups) > 0
}

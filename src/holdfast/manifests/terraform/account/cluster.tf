module "eks" {
  #checkov:skip=CKV_TF_1:A version of a registry\'s module; README.md has when each was released
  source  = "terraform-aws-modules/eks/aws"
  version = "21.19.0"

  name               = var.cluster_name
  kubernetes_version = var.kubernetes_version

  # A prefix of a role's name has 38 characters at most, a name 64.
  iam_role_name            = "${var.cluster_name}-cluster"
  iam_role_use_name_prefix = false

  vpc_id                   = module.vpc.vpc_id
  subnet_ids               = module.vpc.private_subnets
  control_plane_subnet_ids = module.vpc.intra_subnets

  endpoint_private_access      = true
  endpoint_public_access       = length(var.api_allowed_cidrs) > 0
  endpoint_public_access_cidrs = length(var.api_allowed_cidrs) > 0 ? var.api_allowed_cidrs : null

  # Pods get rights by Pod Identity alone.
  authentication_mode                      = "API"
  enable_irsa                              = false
  enable_cluster_creator_admin_permissions = true
  access_entries                           = merge(local.administrators, local.hybrid_access)

  enabled_log_types = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  addons                  = local.addons
  eks_managed_node_groups = local.node_groups

  create_node_security_group           = local.has_node_security_group
  node_security_group_tags             = local.discovery
  node_security_group_additional_rules = local.efa_rules
  cluster_tags                         = { for key, value in local.discovery : key => value if !local.has_node_security_group }

  compute_config = !var.auto_mode ? null : {
    enabled = true
    # The built-in pools carry what has no accelerator.
    node_pools = ["general-purpose", "system"]
  }
  # The name that the rendered NodeClasses of Auto Mode have.
  node_iam_role_name            = "AmazonEKSAutoNodeRole-${var.cluster_name}"
  node_iam_role_use_name_prefix = false

  remote_network_config = !var.hybrid ? null : {
    remote_node_networks = { cidrs = var.hybrid_networks.node_cidrs }
    remote_pod_networks  = { cidrs = var.hybrid_networks.pod_cidrs }
  }
  security_group_additional_rules = {
    for networks in local.hybrid_networks : "hybrid_nodes" => {
      description = "Hybrid nodes and their pods to the API"
      cidr_blocks = concat(networks.node_cidrs, networks.pod_cidrs)
      protocol    = "tcp"
      from_port   = 443
      to_port     = 443
      type        = "ingress"
    }
  }
}

locals {
  administrators = {
    for arn in var.administrators : arn => {
      principal_arn = arn
      policy_associations = {
        administrator = {
          policy_arn   = "arn:${local.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"
          access_scope = { type = "cluster" }
        }
      }
    }
  }
  hybrid_networks = var.hybrid ? [var.hybrid_networks] : []
  hybrid_access = {
    for role in module.hybrid_node_role : "hybrid_nodes" => { principal_arn = role.arn, type = "HYBRID_LINUX" }
  }

  # EFA needs a security group that lets all through from and to itself
  # (docs.aws.amazon.com/AWSEC2/latest/UserGuide/efa-start.html, step 1).
  efa_rules = {
    for type in length(var.efa_instance_types) > 0 ? ["ingress", "egress"] : [] : "${type}_efa" => {
      description = "Node to node over EFA"
      protocol    = "-1"
      from_port   = 0
      to_port     = 0
      type        = type
      self        = true
    }
  }
}

module "hybrid_node_role" {
  #checkov:skip=CKV_TF_1:A version of a registry\'s module; README.md has when each was released
  source  = "terraform-aws-modules/eks/aws//modules/hybrid-node-role"
  version = "21.19.0"
  count   = var.hybrid ? 1 : 0

  name            = "${var.cluster_name}-hybrid"
  use_name_prefix = false
}

# Karpenter's rights, its queue of spot interruptions, and the role that the rendered node classes name.
module "karpenter" {
  #checkov:skip=CKV_TF_1:A version of a registry\'s module; README.md has when each was released
  source  = "terraform-aws-modules/eks/aws//modules/karpenter"
  version = "21.19.0"
  count   = var.karpenter ? 1 : 0

  cluster_name = module.eks.cluster_name

  namespace                         = "kube-system"
  service_account                   = "karpenter"
  create_pod_identity_association   = true
  iam_role_permissions_boundary_arn = var.permissions_boundary_arn

  # Known to the chart's values before it exists.
  queue_name = "Karpenter-${var.cluster_name}"

  node_iam_role_name            = "KarpenterNodeRole-${var.cluster_name}"
  node_iam_role_use_name_prefix = false
  # Sessions on nodes without SSH and without a port open.
  node_iam_role_additional_policies = {
    AmazonSSMManagedInstanceCore = "arn:${local.partition}:iam::aws:policy/AmazonSSMManagedInstanceCore"
  }
}

locals {
  # One hop keeps pods from the node's own credentials.
  metadata_options = { http_endpoint = "enabled", http_tokens = "required", http_put_response_hop_limit = 1 }

  common_to_node_groups = {
    # In the cluster's own security group where that is the only one.
    attach_cluster_primary_security_group = !local.has_node_security_group
    # A newer image is asked for, it does not come along with another change: it replaces every node.
    use_latest_ami_release_version = false
    metadata_options               = local.metadata_options
  }

  # Karpenter, the autoscaler and what else makes nodes cannot run on nodes that it makes. Auto Mode makes
  # these itself, and Karpenter runs on none of its nodes either.
  system_node_group = {
    for name in var.auto_mode && !var.karpenter ? [] : ["system"] : name => merge(local.common_to_node_groups, {
      instance_types = var.system_instance_types
      ami_type       = "AL2023_x86_64_STANDARD"
      min_size       = 3
      max_size       = 6
      desired_size   = 3
      labels         = { "karpenter.sh/controller" = "true" }
    })
  }

  accelerator_node_groups = {
    for name, group in var.node_groups : name => merge(local.common_to_node_groups, {
      use_name_prefix = false
      # A role's name has 64 characters at most, and a node group's 63.
      iam_role_name            = "${var.cluster_name}-${substr(sha256(name), 0, 8)}"
      iam_role_use_name_prefix = false

      instance_types = group.instance_types
      capacity_type  = group.capacity_type
      subnet_ids     = [for zone in coalescelist(group.zones, local.zones) : local.subnet_of_zone[zone]]
      min_size       = group.min_size
      max_size       = group.max_size
      desired_size   = group.min_size
      labels         = group.labels
      taints         = { for taint in group.taints : taint.key => taint }
      ami_type       = group.ami_type

      # With it come a placement group, a security group of its own and all interfaces that the type has.
      enable_efa_support = length(setintersection(group.instance_types, var.efa_instance_types)) > 0

      # The most that gp3 offered before 2025: gigabytes of image and weights pass through it before the first request.
      block_device_mappings = {
        root = {
          device_name = "/dev/xvda"
          ebs = {
            volume_type           = "gp3"
            volume_size           = group.disk_gib
            throughput            = 1000
            iops                  = 16000
            encrypted             = true
            delete_on_termination = true
          }
        }
      }
    })
  }

  node_groups = merge(local.system_node_group, local.accelerator_node_groups)
}

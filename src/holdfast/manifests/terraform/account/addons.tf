locals {
  addon_settings = {
    # What Auto Mode has built in, for nodes of our own. The agent comes before nodes do: others get their rights from it.
    eks-pod-identity-agent = { wanted = local.has_own_nodes, before_compute = true }
    vpc-cni = {
      wanted         = local.has_own_nodes
      before_compute = true
      # Without it NetworkPolicies of the fleet would be accepted and ignored.
      configuration_values = jsonencode({ enableNetworkPolicy = "true" })
    }
    coredns    = { wanted = local.has_own_nodes }
    kube-proxy = { wanted = local.has_own_nodes }
    aws-ebs-csi-driver = {
      wanted                   = local.has_own_nodes
      pod_identity_association = [{ role_arn = one(module.ebs_csi_access[*].iam_role_arn), service_account = "ebs-csi-controller-sa" }]
    }
    amazon-cloudwatch-observability = {
      wanted                   = var.container_insights
      pod_identity_association = [{ role_arn = one(module.cloudwatch_access[*].iam_role_arn), service_account = "cloudwatch-agent" }]
      # Accelerators are measured by the exporters in addons/, once.
      configuration_values = jsonencode({
        agent = { config = { logs = { metrics_collected = { kubernetes = {
          enhanced_container_insights = true
          accelerated_compute_metrics = false
        } } } } }
      })
    }
  }
  addons = {
    for name, addon in local.addon_settings :
    name => merge({ most_recent = false, addon_version = lookup(var.addon_versions, name, null) }, addon) if addon.wanted
  }
}

module "ebs_csi_access" {
  #checkov:skip=CKV_TF_1:A version of a registry\'s module; README.md has when each was released
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "2.8.1"
  count   = local.has_own_nodes ? 1 : 0

  name                      = "${var.cluster_name}-ebs-csi"
  use_name_prefix           = false
  attach_aws_ebs_csi_policy = true
  permissions_boundary_arn  = var.permissions_boundary_arn
}

module "cloudwatch_access" {
  #checkov:skip=CKV_TF_1:A version of a registry\'s module; README.md has when each was released
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "2.8.1"
  count   = var.container_insights ? 1 : 0

  name                                       = "${var.cluster_name}-cloudwatch"
  use_name_prefix                            = false
  attach_aws_cloudwatch_observability_policy = true
  permissions_boundary_arn                   = var.permissions_boundary_arn
}

# The controllers that the charts in addons/ install, by the service accounts that those give them.
module "load_balancer_controller_access" {
  #checkov:skip=CKV_TF_1:A version of a registry\'s module; README.md has when each was released
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "2.8.1"
  count   = var.load_balancer_controller ? 1 : 0

  name                            = "${var.cluster_name}-load-balancers"
  use_name_prefix                 = false
  attach_aws_lb_controller_policy = true
  permissions_boundary_arn        = var.permissions_boundary_arn

  associations = {
    controller = { cluster_name = module.eks.cluster_name, namespace = "kube-system", service_account = "aws-load-balancer-controller" }
  }
}

module "cluster_autoscaler_access" {
  #checkov:skip=CKV_TF_1:A version of a registry\'s module; README.md has when each was released
  source  = "terraform-aws-modules/eks-pod-identity/aws"
  version = "2.8.1"
  count   = length(var.node_groups) > 0 ? 1 : 0

  name                             = "${var.cluster_name}-autoscaler"
  use_name_prefix                  = false
  attach_cluster_autoscaler_policy = true
  cluster_autoscaler_cluster_names = [var.cluster_name]
  permissions_boundary_arn         = var.permissions_boundary_arn

  associations = {
    autoscaler = { cluster_name = module.eks.cluster_name, namespace = "kube-system", service_account = "cluster-autoscaler" }
  }
}

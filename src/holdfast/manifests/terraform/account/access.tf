# One role for each workload, for its service account in this cluster alone.
module "workload_access" {
  source   = "./modules/workload-access"
  for_each = var.workloads

  name            = each.key
  cluster_name    = module.eks.cluster_name
  cluster_arn     = module.eks.cluster_arn
  namespace       = each.value.namespace
  service_account = each.value.service_account

  bucket_arn    = each.value.bucket == null ? local.bucket_arn : "arn:${local.partition}:s3:::${each.value.bucket}"
  read_prefix   = each.value.read_prefix
  write_prefix  = each.value.write_prefix
  read_metrics  = each.value.read_metrics
  list_metrics  = each.value.list_metrics
  prometheus    = each.value.prometheus
  bedrock_model = each.value.bedrock_model

  region                   = var.region
  account_id               = local.account_id
  partition                = local.partition
  permissions_boundary_arn = var.permissions_boundary_arn
}

locals {
  bucket_name = var.bucket.name == null ? "${var.cluster_name}-${local.account_id}" : var.bucket.name
  bucket_arn  = "arn:${local.partition}:s3:::${local.bucket_name}"
}

module "model_bucket" {
  source = "./modules/model-bucket"
  count  = var.bucket.create ? 1 : 0

  name = local.bucket_name
}

module "registry" {
  source = "./modules/registry"

  repositories = [for name in var.repositories : "${var.cluster_name}/${name}"]
}

output "kubeconfig_command" {
  description = "Lets kubectl speak to the cluster."
  value       = "aws eks update-kubeconfig --region ${var.region} --name ${module.eks.cluster_name}"
}

output "cluster_endpoint" {
  description = "Of the cluster's API; a setting of Karpenter's chart."
  value       = module.eks.cluster_endpoint
}

output "interruption_queue" {
  description = "Queue of spot interruptions, a setting of Karpenter's chart; null without Karpenter."
  value       = one(module.karpenter[*].queue_name)
}

output "vpc_id" {
  description = "Of the VPC."
  value       = module.vpc.vpc_id
}

output "zones" {
  description = "The cluster's zones; as the variable of the same name they stay what they are."
  value       = local.zones
}

output "bucket" {
  description = "Bucket of models and of results."
  value       = local.bucket_name
}

output "repository_urls" {
  description = "Where images are pushed, by repository."
  value       = module.registry.urls
}

output "workload_roles" {
  description = "ARN of each workload's role."
  value       = { for name, access in module.workload_access : name => access.role_arn }
}

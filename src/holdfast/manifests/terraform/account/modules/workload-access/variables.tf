variable "name" {
  description = "Name of the workload; with the cluster's name it makes the role's."
  type        = string
}

variable "cluster_name" {
  description = "Name of the EKS cluster that the workload runs in."
  type        = string
}

variable "cluster_arn" {
  description = "ARN of that cluster: no other one's pods get the role."
  type        = string
}

variable "namespace" {
  description = "Namespace of the workload's service account."
  type        = string
}

variable "service_account" {
  description = "Service account whose pods get the role."
  type        = string
}

variable "bucket_arn" {
  description = "ARN of the bucket that read_prefix and write_prefix are of; unused without these."
  type        = string
  default     = null

  validation {
    condition     = var.bucket_arn != null || (var.read_prefix == null && var.write_prefix == null)
    error_message = "A prefix is of a bucket: give bucket_arn."
  }
}

variable "read_prefix" {
  description = "Prefix whose objects the workload lists and reads, without slashes at its ends; \"\" is the whole bucket."
  type        = string
  default     = null
}

variable "write_prefix" {
  description = "Prefix below which the workload writes objects, which it can neither read nor delete; \"\" is the whole bucket."
  type        = string
  default     = null
}

variable "read_metrics" {
  description = "Whether the workload reads CloudWatch metrics."
  type        = bool
  default     = false
}

variable "list_metrics" {
  description = "Whether the workload lists which CloudWatch metrics there are."
  type        = bool
  default     = false
}

variable "prometheus" {
  description = "Workspace of Amazon Managed Service for Prometheus, in the cluster's account, that the workload queries; none when null."
  type        = object({ region = string, workspace = string })
  default     = null
}

variable "bedrock_model" {
  description = "Id of the Amazon Bedrock model that the workload invokes, with or without a geography: us.meta.llama3-3-70b-instruct-v1:0."
  type        = string
  default     = null

  validation {
    condition     = var.bedrock_model == null ? true : can(regex("^[a-z0-9-]+(\\.[a-zA-Z0-9-]+)+(:[0-9]+)?$", var.bedrock_model))
    error_message = "A Bedrock model's id is written like meta.llama3-3-70b-instruct-v1:0."
  }
}

variable "region" {
  description = "Region of the cluster, in which metrics are read and the model is asked for."
  type        = string
}

variable "account_id" {
  description = "Account of the cluster."
  type        = string
}

variable "partition" {
  description = "Partition of AWS: aws, aws-cn or aws-us-gov."
  type        = string
}

variable "permissions_boundary_arn" {
  description = "IAM policy that bounds the role; none when null."
  type        = string
  default     = null
}

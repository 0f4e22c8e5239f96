variable "quota_class" {
  description = "Class of EC2's vCPU quotas, e.g. G or G spot."
  type        = string
}

variable "quota_code" {
  description = "Code of the quota in Service Quotas."
  type        = string

  validation {
    condition     = can(regex("^L-[0-9A-F]{8}$", var.quota_code))
    error_message = "A quota's code is written like L-DB2E81BA."
  }
}

variable "vcpus" {
  description = "vCPUs that are needed."
  type        = number

  validation {
    condition     = var.vcpus > 0
    error_message = "The vCPUs are above 0."
  }
}

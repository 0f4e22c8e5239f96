variable "name" {
  description = "Name of the bucket."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.name))
    error_message = "A bucket's name has 3 to 63 characters a-z, 0-9, . and -."
  }
}

variable "old_versions_days" {
  description = "Days for which a replaced or deleted object can be had back; for good when null."
  type        = number
  default     = 30

  validation {
    condition     = var.old_versions_days == null ? true : var.old_versions_days >= 1 && floor(var.old_versions_days) == var.old_versions_days
    error_message = "The days are a whole number, 1 or more."
  }
}

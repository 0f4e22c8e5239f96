variable "repositories" {
  description = "Full names of the repositories, e.g. inference/holdfast."
  type        = list(string)

  validation {
    condition     = alltrue([for name in var.repositories : can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", name)) && length(name) <= 256])
    error_message = "A repository's name has at most 256 characters: words of a-z and 0-9 between single . _ - or /."
  }
}

variable "untagged_days" {
  description = "Days after which an image that has no tag, such as a failed push, is removed."
  type        = number
  default     = 14

  validation {
    condition     = var.untagged_days >= 1 && floor(var.untagged_days) == var.untagged_days
    error_message = "The days are a whole number, 1 or more."
  }
}

terraform {
  # Validations that look at other variables came with Terraform 1.9.
  required_version = ">= 1.9.0"

  required_providers {
    # What the community modules of these versions need at least.
    aws = {
      source  = "hashicorp/aws"
      version = ">= 6.28.0, < 7.0.0"
    }
  }
}

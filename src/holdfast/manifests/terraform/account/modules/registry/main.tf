# The nodes' roles pull from every repository of the account (AmazonEC2ContainerRegistryPullOnly); none here lets others in.
resource "aws_ecr_repository" "this" {
  #checkov:skip=CKV_AWS_136:Images are no secret: secrets are not built into them, and ECR encrypts with its own key
  for_each = toset(var.repositories)

  name = each.key
  # A tag in a manifest always means the same image.
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
  encryption_configuration {
    encryption_type = "AES256"
  }
}

resource "aws_ecr_lifecycle_policy" "this" {
  for_each = aws_ecr_repository.this

  repository = each.value.name
  policy = jsonencode({
    rules = [{
      rulePriority = 1
      description  = "Images without a tag"
      selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = var.untagged_days }
      action       = { type = "expire" }
    }]
  })
}

locals {
  # An empty prefix is the whole bucket.
  readable = var.read_prefix == null ? null : join("/", compact([var.bucket_arn, var.read_prefix, "*"]))
  writable = var.write_prefix == null ? null : join("/", compact([var.bucket_arn, var.write_prefix, "*"]))

  # A geography before the provider's name means an inference profile, which forwards to regions that AWS chooses
  # (docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-prereq.html).
  geography        = var.bedrock_model == null ? [] : regexall("^(?:us-gov|us|eu|apac|jp|au|ca|global)\\.", var.bedrock_model)
  profile_arns     = [for _ in local.geography : "arn:${var.partition}:bedrock:${var.region}:${var.account_id}:inference-profile/${var.bedrock_model}"]
  foundation_model = var.bedrock_model == null ? "" : trimprefix(var.bedrock_model, one(local.geography) == null ? "" : one(local.geography))
  # The region is left out where the profile chooses it; the condition below holds that to this profile.
  model_region = length(local.geography) > 0 ? "*" : var.region
  model_arn    = "arn:${var.partition}:bedrock:${local.model_region}::foundation-model/${local.foundation_model}"

  # Converse and ConverseStream need these too, and no action of their own.
  invoke = ["bedrock:InvokeModel", "bedrock:InvokeModelWithResponseStream"]

  role_name = "${var.cluster_name}-${var.name}"
}

# EKS Pod Identity says for whom it asks in session tags
# (docs.aws.amazon.com/eks/latest/userguide/pod-id-abac.html).
data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole", "sts:TagSession"]

    principals {
      type        = "Service"
      identifiers = ["pods.eks.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/eks-cluster-arn"
      values   = [var.cluster_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-namespace"
      values   = [var.namespace]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:RequestTag/kubernetes-service-account"
      values   = [var.service_account]
    }
  }
}

data "aws_iam_policy_document" "rights" {
  #checkov:skip=CKV_AWS_356:cloudwatch:GetMetricData and ListMetrics take no resource; the region bounds them

  dynamic "statement" {
    for_each = var.read_prefix == null ? [] : [var.read_prefix]
    content {
      sid       = "ReadObjects"
      actions   = ["s3:GetObject"]
      resources = [local.readable]
    }
  }
  dynamic "statement" {
    for_each = var.read_prefix == null ? [] : [var.read_prefix]
    content {
      sid       = "ListObjects"
      actions   = ["s3:ListBucket"]
      resources = [var.bucket_arn]

      dynamic "condition" {
        for_each = compact([statement.value])
        content {
          test     = "StringLike"
          variable = "s3:prefix"
          values   = [condition.value, "${condition.value}/*"]
        }
      }
    }
  }
  dynamic "statement" {
    for_each = var.write_prefix == null ? [] : [var.write_prefix]
    content {
      sid       = "WriteObjects"
      actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
      resources = [local.writable]
    }
  }
  dynamic "statement" {
    for_each = var.read_metrics || var.list_metrics ? [true] : []
    content {
      sid     = "ReadMetrics"
      actions = concat(var.read_metrics ? ["cloudwatch:GetMetricData"] : [], var.list_metrics ? ["cloudwatch:ListMetrics"] : [])
      # CloudWatch has no resource for reading metrics
      # (docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html).
      resources = ["*"]

      condition {
        test     = "StringEquals"
        variable = "aws:RequestedRegion"
        values   = [var.region]
      }
    }
  }
  dynamic "statement" {
    for_each = var.prometheus == null ? [] : [var.prometheus]
    content {
      sid       = "QueryMetrics"
      actions   = ["aps:QueryMetrics"]
      resources = ["arn:${var.partition}:aps:${statement.value.region}:${var.account_id}:workspace/${statement.value.workspace}"]
    }
  }
  dynamic "statement" {
    for_each = local.profile_arns
    content {
      sid       = "InvokeProfile"
      actions   = local.invoke
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = var.bedrock_model == null ? [] : [local.model_arn]
    content {
      sid       = "InvokeModel"
      actions   = local.invoke
      resources = [statement.value]

      dynamic "condition" {
        for_each = local.profile_arns
        content {
          test     = "StringEquals"
          variable = "bedrock:InferenceProfileArn"
          values   = [condition.value]
        }
      }
    }
  }
}

resource "aws_iam_role" "this" {
  # IAM allows 64 characters; what is longer keeps its difference in a hash.
  name                 = length(local.role_name) <= 64 ? local.role_name : "${substr(local.role_name, 0, 55)}-${substr(sha256(local.role_name), 0, 8)}"
  description          = "${var.namespace}/${var.service_account} in ${var.cluster_name}"
  assume_role_policy   = data.aws_iam_policy_document.trust.json
  permissions_boundary = var.permissions_boundary_arn
}

resource "aws_iam_role_policy" "this" {
  name   = "rights"
  role   = aws_iam_role.this.name
  policy = data.aws_iam_policy_document.rights.json
}

resource "aws_eks_pod_identity_association" "this" {
  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.this.arn

  # Pods that start at once find their rights there.
  depends_on = [aws_iam_role_policy.this]
}

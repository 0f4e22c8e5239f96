# New accounts have a quota of 0 for most accelerators: everything would be made, and no node would start. A check warns,
# and stops nothing: nodes come later, and so may the quota.
check "vcpus" {
  data "aws_servicequotas_service_quota" "ec2" {
    service_code = "ec2"
    quota_code   = var.quota_code
  }

  assert {
    condition     = data.aws_servicequotas_service_quota.ec2.value >= var.vcpus
    error_message = "The plan needs ${var.vcpus} vCPUs of ${var.quota_class} instances, and the quota ${var.quota_code} is ${data.aws_servicequotas_service_quota.ec2.value}: ask for more (aws service-quotas request-service-quota-increase --service-code ec2 --quota-code ${var.quota_code} --desired-value ${var.vcpus})."
  }
}

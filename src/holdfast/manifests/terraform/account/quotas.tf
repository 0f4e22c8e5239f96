module "vcpu_quota" {
  source   = "./modules/vcpu-quota"
  for_each = var.vcpus

  quota_class = each.key
  quota_code  = local.quota_codes[each.key]
  vcpus       = each.value
}

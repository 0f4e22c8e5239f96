locals {
  # Service Quotas codes of EC2, as `aws service-quotas list-service-quotas --service-code ec2` lists them (2026-10-03).
  # Spot of the P class is counted by generation: `P spot` is of P4, P3 and P2.
  quota_codes = {
    "G"        = "L-DB2E81BA"
    "P"        = "L-417A185B"
    "Inf"      = "L-1945791B"
    "Trn"      = "L-2C3B7624"
    "DL"       = "L-6E869C2A"
    "G spot"   = "L-3819A6DF"
    "P spot"   = "L-7212CCBC"
    "P5 spot"  = "L-C4BD4855"
    "Inf spot" = "L-B5D1601B"
    "Trn spot" = "L-6B0D517C"
    "DL spot"  = "L-85EED4F7"
  }
}

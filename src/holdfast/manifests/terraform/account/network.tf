module "vpc" {
  #checkov:skip=CKV_TF_1:A version of a registry\'s module; README.md has when each was released
  source  = "terraform-aws-modules/vpc/aws"
  version = "6.6.0"

  name = var.cluster_name
  cidr = var.vpc_cidr
  azs  = local.zones

  # Of a /16: 8,192 addresses a zone for nodes and pods, 256 for load balancers, 256 for the control plane.
  private_subnets = [for index, _ in local.zones : cidrsubnet(var.vpc_cidr, 3, index)]
  public_subnets  = [for index, _ in local.zones : cidrsubnet(var.vpc_cidr, 8, 224 + index)]
  intra_subnets   = [for index, _ in local.zones : cidrsubnet(var.vpc_cidr, 8, 240 + index)]

  # One in each zone: with a single one, its zone's loss is the loss of all.
  enable_nat_gateway     = true
  one_nat_gateway_per_az = true

  enable_flow_log                                 = true
  create_flow_log_cloudwatch_log_group            = true
  create_flow_log_cloudwatch_iam_role             = true
  flow_log_cloudwatch_log_group_retention_in_days = 90

  # The AWS Load Balancer Controller finds the VPC by it.
  vpc_tags = local.discovery

  public_subnet_tags  = { "kubernetes.io/role/elb" = "1" }
  private_subnet_tags = merge({ "kubernetes.io/role/internal-elb" = "1" }, local.discovery)
}

# Models and image layers come from S3: through the gateway endpoint they pay no NAT gateway.
resource "aws_vpc_endpoint" "s3" {
  vpc_id            = module.vpc.vpc_id
  service_name      = "com.amazonaws.${var.region}.s3"
  vpc_endpoint_type = "Gateway"
  route_table_ids   = module.vpc.private_route_table_ids

  tags = { Name = "${var.cluster_name}-s3" }
}

locals {
  subnet_of_zone = zipmap(local.zones, module.vpc.private_subnets)
}

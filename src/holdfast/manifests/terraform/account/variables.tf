variable "region" {
  description = "Region of everything here, e.g. us-west-2."
  type        = string

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region is written like us-west-2."
  }
}

variable "cluster_name" {
  description = "Name of the EKS cluster; the node classes find its subnets, security group and role by it."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,41}$", var.cluster_name))
    error_message = "The cluster's name has 1 to 42 characters a-z, 0-9 and -, and does not begin with -: roles are named by it."
  }
}

variable "kubernetes_version" {
  description = "Kubernetes version of the cluster, e.g. 1.33; AWS supports each for a time only, see README.md."
  type        = string

  validation {
    condition     = can(regex("^1\\.(3[3-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "The Kubernetes version is 1.33 or later, without a patch, e.g. 1.34."
  }
}

variable "zones" {
  description = "Availability zones that the fleet's nodes are bound to; others are added until there are three."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for zone in var.zones : startswith(zone, var.region)]) && length(var.zones) <= 6
    error_message = "Zones are of the region, at most 6, e.g. us-west-2a."
  }
  validation {
    condition     = length(distinct(var.zones)) == length(var.zones)
    error_message = "A zone is named twice."
  }
}

variable "vpc_cidr" {
  description = "Addresses of the VPC. A pod has one of its own, and a node takes dozens ahead."
  type        = string
  default     = "10.0.0.0/16"

  validation {
    condition     = can(cidrhost(var.vpc_cidr, 0)) && try(tonumber(split("/", var.vpc_cidr)[1]), 0) >= 16 && try(tonumber(split("/", var.vpc_cidr)[1]), 32) <= 20
    error_message = "The VPC has between /16 (65,536 addresses, the most that AWS allows) and /20, e.g. 10.0.0.0/16."
  }
}

variable "api_allowed_cidrs" {
  description = "Networks whose machines may reach the cluster's API from outside the VPC; none when empty."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.api_allowed_cidrs : can(cidrhost(cidr, 0)) && !endswith(cidr, "/0")])
    error_message = "Name your own networks, e.g. 203.0.113.0/24; the whole internet is not one of them."
  }
}

variable "administrators" {
  description = "ARNs of IAM roles or users that administer the cluster, beside whoever applies this."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.administrators : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "Administrators are ARNs of IAM roles or users, e.g. arn:aws:iam::111122223333:role/platform."
  }
}

variable "karpenter" {
  description = "Whether Karpenter brings nodes: its rights, its queue of interruptions, and the role of its nodes."
  type        = bool
}

variable "auto_mode" {
  description = "Whether EKS Auto Mode brings nodes."
  type        = bool
}

variable "hybrid" {
  description = "Whether machines of your own join as EKS Hybrid Nodes; needs hybrid_networks."
  type        = bool

  validation {
    condition     = !var.hybrid || var.hybrid_networks != null
    error_message = "The plan has hybrid nodes: give hybrid_networks, your network's addresses of nodes and of pods."
  }
}

variable "hybrid_networks" {
  description = "Addresses of hybrid nodes, and of their pods, in your own network (RFC 1918 or 6598), reached from the VPC."
  type = object({
    node_cidrs = list(string)
    pod_cidrs  = list(string)
  })
  default = null

  validation {
    condition = var.hybrid_networks == null ? true : alltrue([
      for cidr in concat(var.hybrid_networks.node_cidrs, var.hybrid_networks.pod_cidrs) : can(cidrhost(cidr, 0))
    ])
    error_message = "The networks of nodes and pods are written like 10.80.0.0/16."
  }
}

variable "node_groups" {
  description = "Managed node groups with accelerators, by name, for pools that neither Karpenter nor Auto Mode can carry."
  type = map(object({
    instance_types = list(string)
    capacity_type  = string
    zones          = list(string)
    min_size       = number
    max_size       = number
    labels         = map(string)
    taints         = list(object({ key = string, value = string, effect = string }))
    ami_type       = string
    disk_gib       = number
  }))
  default = {}

  validation {
    condition     = alltrue([for name, _ in var.node_groups : can(regex("^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$", name))])
    error_message = "A node group's name has at most 63 letters, digits, - and _."
  }
  validation {
    condition     = alltrue([for group in var.node_groups : length(group.instance_types) > 0])
    error_message = "A node group has one instance type or more."
  }
  validation {
    condition     = alltrue([for group in var.node_groups : contains(["ON_DEMAND", "SPOT"], group.capacity_type)])
    error_message = "The capacity type of a node group is ON_DEMAND or SPOT; open reservations are used on demand."
  }
  validation {
    condition     = alltrue([for group in var.node_groups : 0 <= group.min_size && group.min_size <= group.max_size && group.max_size >= 1])
    error_message = "A node group has 0 <= min_size <= max_size and a max_size of 1 or more."
  }
  validation {
    condition = alltrue(flatten([
      for group in var.node_groups : [for taint in group.taints : contains(["NO_SCHEDULE", "NO_EXECUTE", "PREFER_NO_SCHEDULE"], taint.effect)]
    ]))
    error_message = "The effect of a taint is NO_SCHEDULE, NO_EXECUTE or PREFER_NO_SCHEDULE."
  }
  validation {
    condition     = alltrue([for group in var.node_groups : group.disk_gib >= 20 && group.disk_gib <= 16384])
    error_message = "The disk of a node has between 20 and 16,384 GiB (the most of a gp3 volume)."
  }
}

variable "efa_instance_types" {
  description = "Instance types whose nodes talk to each other over EFA: a replica spans them, or hands its KV cache over."
  type        = list(string)
  default     = []

  validation {
    condition = alltrue([
      for group in var.node_groups : length(group.zones) == 1
      if length(setintersection(group.instance_types, var.efa_instance_types)) > 0
    ])
    error_message = "EFA does not cross zones: a node group with EFA names its one zone (`zones:` of the unit in the fleet)."
  }
}

variable "load_balancer_controller" {
  description = "Whether the AWS Load Balancer Controller's chart runs in the cluster, and gets its rights."
  type        = bool
}

variable "container_insights" {
  description = "Whether CloudWatch gets the cluster's metrics and containers' logs; both are charged for."
  type        = bool
  default     = true
}

variable "addon_versions" {
  description = "Versions of EKS add-ons by name; AWS's default for the Kubernetes version where none is given."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for version in values(var.addon_versions) : can(regex("^v[0-9]+\\.[0-9]+\\.[0-9]+-eksbuild\\.[0-9]+$", version))])
    error_message = "Versions of add-ons are written like v1.19.5-eksbuild.1 (aws eks describe-addon-versions)."
  }
}

variable "system_instance_types" {
  description = "Instance types of the nodes that controllers, metrics and gateways run on; a choice, not a measurement."
  type        = list(string)
  default     = ["m7i.xlarge", "m6i.xlarge"]

  validation {
    condition     = length(var.system_instance_types) > 0
    error_message = "Name one instance type or more."
  }
}

variable "bucket" {
  description = "S3 bucket of models and of results of load tests; create = false takes one that is there as it is. A name is made of the cluster's and the account's when null."
  type = object({
    name   = optional(string)
    create = optional(bool, true)
  })
  default = {}

  validation {
    condition     = var.bucket.name == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket.name))
    error_message = "A bucket's name has 3 to 63 characters a-z, 0-9, . and -."
  }
  validation {
    condition     = var.bucket.create || var.bucket.name != null
    error_message = "A bucket that is there already has a name."
  }
}

variable "workloads" {
  description = "What runs with rights in AWS, by name: its service account, and what it may do. Prefixes are of `bucket`, or of another one that is there already, without a slash at the ends; \"\" is all of it."
  type = map(object({
    namespace       = string
    service_account = string
    bucket          = optional(string)
    read_prefix     = optional(string)
    write_prefix    = optional(string)
    read_metrics    = optional(bool, false)
    list_metrics    = optional(bool, false)
    prometheus      = optional(object({ region = string, workspace = string }))
    bedrock_model   = optional(string)
  }))
  default = {}

  validation {
    condition     = alltrue([for name, _ in var.workloads : can(regex("^[a-z0-9][a-z0-9-]{0,62}$", name))])
    error_message = "A workload's name has at most 63 characters a-z, 0-9 and -."
  }
  validation {
    condition = alltrue([
      for workload in var.workloads : anytrue([
        workload.read_prefix != null, workload.write_prefix != null, workload.read_metrics, workload.list_metrics,
        workload.prometheus != null, workload.bedrock_model != null,
      ])
    ])
    error_message = "A workload that may do nothing in AWS needs no role: remove it."
  }
  validation {
    condition = alltrue([
      for workload in var.workloads : workload.bucket == null ? true : can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", workload.bucket)) && (workload.read_prefix != null || workload.write_prefix != null)
    ])
    error_message = "A workload's bucket has 3 to 63 characters a-z, 0-9, . and -, and a prefix that is of it."
  }
  validation {
    condition = alltrue([
      for workload in var.workloads : workload.prometheus == null ? true : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", workload.prometheus.region)) && can(regex("^ws-[A-Za-z0-9-]+$", workload.prometheus.workspace))
    ])
    error_message = "A workspace of Amazon Managed Service for Prometheus is one like ws-1a2b3c4d, in a region like us-west-2."
  }
  validation {
    condition = alltrue([
      for prefix in flatten([for workload in var.workloads : [workload.read_prefix, workload.write_prefix]]) :
      prefix == null ? true : can(regex("^$|^[^/*?$][^*?$]*[^/*?$]$|^[^/*?$]$", prefix))
    ])
    error_message = "A prefix neither begins nor ends with a slash, and has none of * ? $, which IAM would take for patterns."
  }
  validation {
    condition     = length(distinct([for workload in var.workloads : "${workload.namespace}/${workload.service_account}"])) == length(var.workloads)
    error_message = "A service account has one role: join the workloads that share one."
  }
}

variable "repositories" {
  description = "Repositories for container images, made below the cluster's name, e.g. holdfast."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for name in var.repositories : can(regex("^[a-z0-9]+([._/-][a-z0-9]+)*$", name))])
    error_message = "A repository's name has words of a-z and 0-9 between single . _ - or /."
  }
}

variable "vcpus" {
  description = "vCPUs that the plan's largest numbers of nodes take, by class of EC2 quota; a plan above a quota is warned of."
  type        = map(number)
  default     = {}

  validation {
    condition     = alltrue([for class, vcpus in var.vcpus : contains(keys(local.quota_codes), class) && vcpus > 0])
    error_message = "Classes of quota are G, P, Inf, Trn and DL, and these and P5 with ` spot`, with numbers above 0."
  }
}

variable "permissions_boundary_arn" {
  description = "IAM policy that bounds every role made for a workload; none when null."
  type        = string
  default     = null

  validation {
    condition     = var.permissions_boundary_arn == null ? true : can(regex("^arn:aws[a-z-]*:iam::([0-9]{12}|aws):policy/", var.permissions_boundary_arn))
    error_message = "A permissions boundary is the ARN of an IAM policy, e.g. arn:aws:iam::111122223333:policy/boundary."
  }
}

variable "tags" {
  description = "Tags of everything here."
  type        = map(string)
  default     = {}

  validation {
    condition     = alltrue([for key, value in var.tags : length(key) >= 1 && length(key) <= 128 && length(value) <= 256 && !startswith(lower(key), "aws:")])
    error_message = "A tag has a key of 1 to 128 characters, not beginning with aws:, and a value of at most 256."
  }
}

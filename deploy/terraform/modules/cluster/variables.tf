variable "name" {
  description = "Name of the cluster, and what the names of everything here begin with, such as vitrine-staging."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "A name has 2 to 32 characters: lower case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "kubernetes_version" {
  description = "Version of Kubernetes, such as 1.33. It goes up one at a time, and never back."
  type        = string

  validation {
    condition     = can(regex("^1\\.[0-9]{2}$", var.kubernetes_version)) && try(tonumber(split(".", var.kubernetes_version)[1]) >= 29, false)
    error_message = "A version is written as 1.33, without a patch; the chart needs 1.29 or later."
  }
}

variable "vpc_id" {
  description = "VPC of the subnets."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets of the nodes and of the control plane's interfaces, in two zones or more."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) >= 2
    error_message = "EKS wants subnets in two zones or more."
  }
}

variable "key_arn" {
  description = "Key that Kubernetes' secrets are encrypted with. It can never be changed."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.key_arn))
    error_message = "The ARN of a key of KMS; an alias can be turned to another key."
  }
}

variable "disk_key_arn" {
  description = "Key of the nodes' disks, and of volumes that pods ask for."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:", var.disk_key_arn))
    error_message = "The ARN of a key of KMS; policies know no aliases."
  }
}

variable "log_key_arn" {
  description = "Key of the control plane's logs. null: the service's own."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days for which the control plane's logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 … 3653 days; less than 30 is too little to look back."
  }
}

variable "public_access_cidrs" {
  description = "Networks from which the API of Kubernetes can be reached by the internet, such as your offices'. None: only from within the VPC."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : can(cidrnetmask(cidr))])
    error_message = "Networks are written as IPv4 CIDR: 203.0.113.0/24."
  }
  # Two halves of the world are the world.
  validation {
    condition     = alltrue([for cidr in var.public_access_cidrs : try(tonumber(split("/", cidr)[1]) >= 8, true)])
    error_message = "The API of Kubernetes is not for everybody: networks of /8 and smaller, and never 0.0.0.0/0."
  }
}

variable "administrators" {
  description = "ARNs of roles (or users) that may do everything in the cluster; whoever makes it is none by itself."
  type        = list(string)

  validation {
    condition     = length(var.administrators) > 0
    error_message = "Without an administrator nobody gets in."
  }
  validation {
    condition     = alltrue([for arn in var.administrators : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*?]+$", arn))])
    error_message = "Administrators are ARNs of IAM roles or users, written out: no wildcard, no session (assumed-role)."
  }
}

variable "deployers" {
  description = "ARNs of roles that may install into namespaces, such as the pipeline's, each with its namespaces."
  type        = map(list(string))
  default     = {}

  validation {
    condition     = alltrue([for arn, namespaces in var.deployers : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*?]+$", arn)) && length(namespaces) > 0])
    error_message = "Deployers are ARNs of IAM roles or users, each with one namespace or more."
  }
  validation {
    condition     = alltrue(flatten([for namespaces in values(var.deployers) : [for namespace in namespaces : can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", namespace)) && namespace != "kube-system"]]))
    error_message = "Namespaces are written out, without wildcards, and kube-system is nobody's."
  }
  validation {
    condition     = length(setintersection(keys(var.deployers), var.administrators)) == 0
    error_message = "An administrator needs no further right, and EKS takes each role once."
  }
}

variable "addon_versions" {
  description = "Versions of add-ons by their names, such as vpc-cni = \"v1.20.1-eksbuild.1\". Without one: what EKS has for this Kubernetes when the add-on is made; it stays until you say another."
  type        = map(string)
  default     = {}

  validation {
    condition     = length(setsubtract(keys(var.addon_versions), ["aws-ebs-csi-driver", "coredns", "kube-proxy", "metrics-server", "vpc-cni"])) == 0
    error_message = "Add-ons are aws-ebs-csi-driver, coredns, kube-proxy, metrics-server and vpc-cni."
  }
}

variable "cpu_nodes" {
  description = "Nodes for everything: types of instances (several of one size: where one is sold out, the next is taken), how many, gigabytes of disk, ON_DEMAND or SPOT. desired is where they begin (null: min); the autoscaler goes on from there."
  type = object({
    instance_types = optional(list(string), ["m7i.xlarge", "m6i.xlarge", "m5.xlarge"])
    min            = optional(number, 2)
    max            = optional(number, 6)
    desired        = optional(number)
    disk_gb        = optional(number, 100)
    capacity_type  = optional(string, "ON_DEMAND")
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.cpu_nodes.min >= 1 && var.cpu_nodes.min <= var.cpu_nodes.max
    error_message = "At least one node, and max no less than min: the cluster's own pods live here, too."
  }
  validation {
    condition = (
      coalesce(var.cpu_nodes.desired, var.cpu_nodes.min) >= var.cpu_nodes.min && coalesce(var.cpu_nodes.desired, var.cpu_nodes.min) <= var.cpu_nodes.max
    )
    error_message = "desired lies between min and max."
  }
  # m7g, c6gn, t4g, im4gn, a1: a g behind the generation is Graviton.
  validation {
    condition = length(var.cpu_nodes.instance_types) > 0 && alltrue([
      for type in var.cpu_nodes.instance_types : can(regex("^[a-z][a-z0-9-]*\\.[a-z0-9-]+$", type)) && !can(regex("^(a1|[a-z]+[0-9]+[a-z]*g[a-z]*)\\.", type))
    ])
    error_message = "Types of instances are written as m7i.xlarge, and not of ARM (Graviton): the images are for amd64."
  }
  validation {
    condition     = var.cpu_nodes.disk_gb >= 50
    error_message = "Images, uploads under way and models need 50 GB of disk or more."
  }
  validation {
    condition     = contains(["ON_DEMAND", "SPOT"], var.cpu_nodes.capacity_type)
    error_message = "Capacity is ON_DEMAND or SPOT."
  }
}

variable "gpu_nodes" {
  description = "Nodes for model servers on GPUs, if enabled; the rest as in cpu_nodes. min 0 lets the autoscaler take the last one away."
  type = object({
    enabled        = optional(bool, false)
    instance_types = optional(list(string), ["g6.xlarge", "g5.xlarge", "g4dn.xlarge"])
    min            = optional(number, 1)
    max            = optional(number, 2)
    desired        = optional(number)
    disk_gb        = optional(number, 100)
    capacity_type  = optional(string, "ON_DEMAND")
  })
  default  = {}
  nullable = false

  validation {
    condition     = var.gpu_nodes.min >= 0 && var.gpu_nodes.max >= 1 && var.gpu_nodes.min <= var.gpu_nodes.max
    error_message = "max is one or more, and no less than min."
  }
  validation {
    condition = (
      coalesce(var.gpu_nodes.desired, var.gpu_nodes.min) >= var.gpu_nodes.min && coalesce(var.gpu_nodes.desired, var.gpu_nodes.min) <= var.gpu_nodes.max
    )
    error_message = "desired lies between min and max."
  }
  # g4ad has Radeons, g5g is of ARM.
  validation {
    condition = length(var.gpu_nodes.instance_types) > 0 && alltrue([
      for type in var.gpu_nodes.instance_types : can(regex("^(g4dn|g[5-9][a-z]*|gr[6-9][a-z]*|p[3-9][a-z]*)\\.[a-z0-9-]+$", type)) && !can(regex("^g5g\\.", type))
    ])
    error_message = "Types of instances have GPUs of NVIDIA and processors of amd64: g4dn, g5, g6, p4d …"
  }
  validation {
    condition     = var.gpu_nodes.disk_gb >= 50
    error_message = "Images with CUDA and models need 50 GB of disk or more."
  }
  validation {
    condition     = contains(["ON_DEMAND", "SPOT"], var.gpu_nodes.capacity_type)
    error_message = "Capacity is ON_DEMAND or SPOT."
  }
}

variable "tags" {
  description = "Tags of everything here, and of the nodes' instances, interfaces and disks."
  type        = map(string)
  default     = {}
}

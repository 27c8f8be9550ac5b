variable "name" {
  description = "What the names of everything here begin with, such as vitrine-staging."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "A name has 2 to 32 characters: lower case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "cidr" {
  description = "Addresses of the VPC, such as 10.20.0.0/16; private ones, that meet no others of yours."
  type        = string

  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(cidrsubnet(var.cidr, 0, 0) == var.cidr, false)
    error_message = "The addresses are written as CIDR, with zeros behind the prefix: 10.20.0.0/16."
  }
  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20, false)
    error_message = "A VPC has /16 at most, and with less than /20 pods run out of addresses."
  }
  validation {
    condition     = can(regex("^(10\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.|192\\.168\\.)", var.cidr))
    error_message = "The addresses are private ones: of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
  }
}

variable "zones" {
  description = "Availability zones, 2 or 3. The control plane wants two; three bear the loss of one with less to spare."
  type        = number
  default     = 3

  validation {
    condition     = contains([2, 3], var.zones)
    error_message = "There are two zones or three."
  }
}

variable "nat" {
  description = "NAT gateways: none (nodes reach AWS alone, by interface endpoints: every image has to be in ECR, TensorFlow Serving's too), one (cheap: its zone's end is everybody's), or each (one for each zone)."
  type        = string
  default     = "one"

  validation {
    condition     = contains(["none", "one", "each"], var.nat)
    error_message = "NAT is one of: none, one, each."
  }
}

variable "interface_endpoints" {
  description = "Services that are reached within the VPC, as AWS abbreviates them: ecr.api, sts. null: what nodes need where there is no NAT, else none. Each costs by the hour and the zone."
  type        = list(string)
  default     = null

  validation {
    condition     = alltrue([for service in coalesce(var.interface_endpoints, []) : can(regex("^[a-z0-9][a-z0-9.-]*$", service)) && service != "s3"])
    error_message = "Services are abbreviated as in com.amazonaws.REGION.ABBREVIATION; S3 has its gateway."
  }
  validation {
    condition     = var.nat != "none" || var.interface_endpoints == null || length(setsubtract(["ec2", "ecr.api", "ecr.dkr", "eks", "sts"], coalesce(var.interface_endpoints, []))) == 0
    error_message = "Without NAT nodes need at least ec2, ecr.api, ecr.dkr, eks and sts."
  }
}

variable "readable_buckets" {
  description = "ARNs of buckets of other accounts that pods may read by the gateway to S3."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for bucket in var.readable_buckets : can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", bucket))])
    error_message = "Each is the ARN of one bucket, without wildcard and path."
  }
}

variable "log_key_arn" {
  description = "Key of the flow logs. null: the service's own."
  type        = string
  default     = null
}

variable "log_retention_days" {
  description = "Days for which flow logs are kept."
  type        = number
  default     = 365

  validation {
    condition     = contains([30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "CloudWatch keeps logs for 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096 … 3653 days; less than 30 is too little to look back."
  }
}

variable "tags" {
  description = "Tags of everything here."
  type        = map(string)
  default     = {}
}

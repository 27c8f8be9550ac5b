variable "name" {
  description = "Name of the broker, and what other names begin with."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "name: 2 to 32 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "vpc_id" {
  description = "The network."
  type        = string
}

variable "subnet_ids" {
  description = "Subnets without a way out: one for a single node, two or three in as many zones for a cluster."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) >= (var.deployment_mode == "CLUSTER_MULTI_AZ" ? 2 : 1)
    error_message = "subnet_ids: a cluster wants subnets in two zones or more."
  }
}

variable "clients" {
  description = "Security groups that may connect, by a word for each."
  type        = map(string)

  validation {
    condition     = length(var.clients) > 0
    error_message = "clients: nobody could connect."
  }
}

variable "console" {
  description = "Whether they may open the console and the management interface too (443)."
  type        = bool
  default     = false
}

variable "secrets_key_arn" {
  description = "ARN of the KMS key of the secret."
  type        = string
}

variable "engine_version" {
  description = "Version of RabbitMQ, without the last number, which Amazon MQ keeps current. Quorum queues want 3.13 or later."
  type        = string
  default     = "3.13"

  validation {
    condition     = can(regex("^(3\\.1[3-9]|[4-9]\\.[0-9]+)$", var.engine_version))
    error_message = "engine_version: Amazon MQ has quorum queues from 3.13 on; give it as 3.13, without the last number."
  }
}

variable "instance_type" {
  description = "Type of each node."
  type        = string

  validation {
    condition     = !(var.deployment_mode == "CLUSTER_MULTI_AZ" && endswith(var.instance_type, ".micro"))
    error_message = "instance_type: Amazon MQ has no clusters of micro nodes."
  }
}

variable "deployment_mode" {
  description = "SINGLE_INSTANCE, or CLUSTER_MULTI_AZ: three nodes over the zones."
  type        = string
  default     = "CLUSTER_MULTI_AZ"

  validation {
    condition     = contains(["SINGLE_INSTANCE", "CLUSTER_MULTI_AZ"], var.deployment_mode)
    error_message = "deployment_mode: SINGLE_INSTANCE or CLUSTER_MULTI_AZ; RabbitMQ has no standby."
  }
}

variable "apply_immediately" {
  description = "Whether changes that restart it wait for the maintenance window (false) or not (true)."
  type        = bool
  default     = false
}

variable "username" {
  description = "Its first account, which may do everything in it."
  type        = string
  default     = "vitrine"
}

variable "password_secret_arn" {
  description = "ARN of the secret with the key `password` that the account is made with."
  type        = string
}

variable "secret_recovery_days" {
  description = "For how many days the deleted secret can be had back (0: not at all, and its name is free at once)."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags of everything, beside those of the provider."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "Name of the environment among all in the account; what other names begin with, such as vitrine-staging."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "name: 2 to 32 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "environment" {
  description = "staging or prod. In prod nothing that holds data can be given up by a setting."
  type        = string

  validation {
    condition     = contains(["staging", "prod"], var.environment)
    error_message = "environment: staging or prod."
  }
}

variable "tags" {
  description = "Tags of everything, beside those of the provider."
  type        = map(string)
  default     = {}
}

variable "namespace" {
  description = "Namespace that the chart is installed into; roles are for its accounts alone."
  type        = string
  default     = "vitrine"
}

variable "release" {
  description = "Name of the release, as `helm install` takes it; the chart's accounts begin with it."
  type        = string
  default     = "vitrine"

  validation {
    # What the chart's `vitrine.fullname` makes of another name is another name.
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,34}[a-z0-9])?$", var.release)) && strcontains(var.release, "vitrine")
    error_message = "release: up to 36 small letters, digits and hyphens, with \"vitrine\" in them: then the chart's accounts begin with it."
  }
}

variable "hosts" {
  description = "Names under which people open the site."
  type        = list(string)
}

variable "key_administrators" {
  description = "ARNs of those who may change the policies of the keys, the one who applies this among them (none: IAM policies of the account decide)."
  type        = list(string)
  default     = []
}

variable "network" {
  description = "Addresses of the network, over how many zones (2 or 3), and the way out: one gateway for all, one for each zone, or none."
  type = object({
    cidr  = string
    zones = optional(number, 3)
    nat   = optional(string, "each")
  })

  validation {
    condition     = var.environment != "prod" || var.network.nat != "one"
    error_message = "network.nat: with one gateway all zones of prod hang on one of them; take \"each\", or \"none\"."
  }
}

variable "kubernetes" {
  description = <<-EOT
    Version; ARNs of the roles that may do everything in the cluster, and of those that may deploy into the namespace; and the
    addresses from which its interface can be reached from outside (none: from within the network alone).
  EOT
  type = object({
    version             = string
    administrators      = list(string)
    deployers           = optional(list(string), [])
    public_access_cidrs = optional(list(string), [])
  })
}

variable "cpu_nodes" {
  description = "Nodes for everything but GPUs."
  type = object({
    instance_types = list(string)
    min            = number
    max            = number
    desired        = number
    disk_gb        = optional(number, 50)
  })

  validation {
    condition     = var.environment != "prod" || var.cpu_nodes.min >= 2
    error_message = "cpu_nodes.min: 2 or more in prod, or nothing runs while a node is replaced."
  }
}

variable "gpu_nodes" {
  description = "Nodes with GPUs for the model servers."
  type = object({
    enabled        = optional(bool, false)
    instance_types = optional(list(string), ["g5.xlarge"])
    min            = optional(number, 1)
    max            = optional(number, 2)
    desired        = optional(number, 1)
    disk_gb        = optional(number, 100)
  })
  default = {}
}

variable "database" {
  description = "Size and safety of PostgreSQL (modules/database/variables.tf explains each)."
  type = object({
    instance_class      = string
    engine_version      = optional(string, "17")
    storage_gb          = optional(number, 50)
    max_storage_gb      = optional(number, 500)
    multi_az            = optional(bool, true)
    backup_days         = optional(number, 14)
    deletion_protection = optional(bool, true)
    final_snapshot      = optional(bool, true)
    ssl_mode            = optional(string, "verify-full")

    allow_major_version_upgrade = optional(bool, false)
  })

  validation {
    condition     = var.environment != "prod" || (var.database.deletion_protection && var.database.final_snapshot)
    error_message = "database: prod keeps deletion_protection and final_snapshot. To give it up, change the environment first."
  }

  validation {
    condition     = var.environment != "prod" || var.database.multi_az
    error_message = "database.multi_az: in prod a commit is in two zones before it is answered, or the loss of a zone loses pictures."
  }

  validation {
    condition     = var.environment != "prod" || var.database.backup_days >= 7
    error_message = "database.backup_days: 7 or more in prod; a mistake is rarely found on the same day."
  }
}

variable "database_password" {
  description = "From modules/passwords; never in a state or plan."
  type        = string
  ephemeral   = true
  sensitive   = true
}

variable "passwords" {
  description = "From modules/passwords: ARNs and names of its secrets, and which password of the database is the present one."
  type = object({
    arns             = map(string)
    names            = map(string)
    database_version = number
  })
}

variable "broker" {
  description = "Size and safety of RabbitMQ (modules/broker/variables.tf explains each)."
  type = object({
    instance_type   = string
    engine_version  = optional(string, "3.13")
    deployment_mode = optional(string, "CLUSTER_MULTI_AZ")
    console         = optional(bool, false)
  })

  validation {
    condition     = var.environment != "prod" || var.broker.deployment_mode == "CLUSTER_MULTI_AZ"
    error_message = "broker.deployment_mode: CLUSTER_MULTI_AZ in prod, or the queues stand still with their one node."
  }
}

variable "storage" {
  description = "For how many days deleted objects can be had back, and after how many backups move to a cheaper class (null: never)."
  type = object({
    earlier_versions_days         = optional(number, 30)
    backups_infrequent_after_days = optional(number, 30)
  })
  default = {}

  validation {
    condition     = var.environment != "prod" || var.storage.earlier_versions_days >= 7
    error_message = "storage.earlier_versions_days: 7 or more in prod; a mistake is rarely found on the same day."
  }
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes buckets and repositories with what lies in them. Not in prod."
  type        = bool
  default     = false

  validation {
    condition     = !(var.force_destroy && var.environment == "prod")
    error_message = "force_destroy: prod does not delete pictures with its buckets. To give it up, empty them yourself."
  }
}

variable "image_versions" {
  description = "How many versions of each image stay."
  type        = number
  default     = 50
}

variable "mlflow" {
  description = "Whether the chart runs MLflow; its database is made by hand (README.md, \"MLflow\")."
  type        = bool
  default     = false
}

variable "backup" {
  description = "Whether the chart backs up by itself, and when (cron, UTC)."
  type = object({
    enabled  = optional(bool, true)
    schedule = optional(string, "17 2 * * *")
  })
  default = {}

  validation {
    condition     = var.environment != "prod" || var.backup.enabled
    error_message = "backup.enabled: prod is backed up."
  }
}

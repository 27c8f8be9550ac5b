variable "name" {
  description = "Identifier of the instance, and what other names begin with."
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
  description = "Subnets without a way out, in two zones or more."
  type        = list(string)

  validation {
    condition     = length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids: RDS wants subnets in two zones or more, even for an instance in one."
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

variable "key_arn" {
  description = "ARN of the KMS key of data, snapshots, logs and Performance Insights."
  type        = string
}

variable "secrets_key_arn" {
  description = "ARN of the KMS key of the secret."
  type        = string
}

variable "engine_version" {
  description = "Version of PostgreSQL: a major one, which RDS keeps current, or an exact one. pgvector 0.8 comes with 16.5, 17.2 and later."
  type        = string
  default     = "17"

  validation {
    condition     = can(regex("^(1[6-9]|[2-9][0-9])(\\.[0-9]+)?$", var.engine_version))
    error_message = "engine_version: Vitrine needs PostgreSQL 16 or later."
  }
}

variable "instance_class" {
  description = "Class of the instance."
  type        = string
}

variable "storage_gb" {
  description = "Storage at the beginning, in GiB. A million pictures take 6."
  type        = number
  default     = 50

  validation {
    condition     = var.storage_gb >= 20
    error_message = "storage_gb: gp3 begins at 20."
  }
}

variable "max_storage_gb" {
  description = "Up to how many GiB it grows by itself."
  type        = number
  default     = 500

  validation {
    condition     = var.max_storage_gb >= ceil(var.storage_gb * 1.1)
    error_message = "max_storage_gb: at least a tenth more than storage_gb, or RDS refuses it."
  }
}

variable "multi_az" {
  description = "Whether a second instance in another zone has every commit, and takes over."
  type        = bool
  default     = true
}

variable "backup_days" {
  description = "For how many days any second can be had back."
  type        = number
  default     = 14

  validation {
    condition     = var.backup_days >= 1 && var.backup_days <= 35
    error_message = "backup_days: 1 to 35; 0 would switch the backups off."
  }
}

variable "backup_window" {
  description = "When the daily snapshot is made (UTC)."
  type        = string
  default     = "02:00-03:00"
}

variable "maintenance_window" {
  description = "When AWS may restart it (UTC)."
  type        = string
  default     = "sun:03:30-sun:04:30"
}

variable "deletion_protection" {
  description = "Whether AWS refuses to delete the instance. Without it, its daily backups go with it."
  type        = bool
  default     = true
}

variable "final_snapshot" {
  description = "Whether deleting it leaves a last snapshot, NAME-final."
  type        = bool
  default     = true
}

variable "apply_immediately" {
  description = "Whether changes that restart it wait for the maintenance window (false) or not (true)."
  type        = bool
  default     = false
}

variable "allow_major_version_upgrade" {
  description = "Whether another major version may be applied; for the run that does it."
  type        = bool
  default     = false
}

variable "log_retention_days" {
  description = "For how many days its logs stay in CloudWatch."
  type        = number
  default     = 365
}

variable "database" {
  description = "Name of the database."
  type        = string
  default     = "vitrine"
}

variable "username" {
  description = "Its account. It owns the database; RDS lets it switch extensions on."
  type        = string
  default     = "vitrine"
}

variable "password" {
  description = "Password of the account, of letters and digits. Never in a state or plan."
  type        = string
  ephemeral   = true
  sensitive   = true

  validation {
    condition     = can(regex("^[A-Za-z0-9]{20,128}$", var.password))
    error_message = "password: 20 to 128 letters and digits, for it stands in an address."
  }
}

variable "password_version" {
  description = "Another number has the password written again, to the instance and to the secret."
  type        = number
  default     = 1
}

variable "ssl_mode" {
  description = "How clients look at the certificate: verify-full needs the authorities of RDS in the cluster (README.md), require asks nothing of it."
  type        = string
  default     = "verify-full"

  validation {
    condition     = contains(["require", "verify-ca", "verify-full"], var.ssl_mode)
    error_message = "ssl_mode: require, verify-ca or verify-full; rds.force_ssl refuses anything less."
  }
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

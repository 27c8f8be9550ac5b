variable "name" {
  description = "What the names of the secrets begin with: NAME/site, NAME/controller, …"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "name: 2 to 32 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that secrets are encrypted with."
  type        = string
}

variable "versions" {
  description = <<-EOT
    Another number makes another password: of the site (signs everybody out), of the controller's account, of the database's and of
    MLflow's. Pods take them up when they start again.
  EOT
  type = object({
    site       = optional(number, 1)
    controller = optional(number, 1)
    database   = optional(number, 1)
    mlflow     = optional(number, 1)
  })
  default = {}

  validation {
    condition     = alltrue([for version in values(var.versions) : version >= 1 && floor(version) == version])
    error_message = "versions: whole numbers, 1 or more."
  }
}

variable "mlflow" {
  description = "Whether there is a password for MLflow's account in the database."
  type        = bool
  default     = false
}

variable "recovery_days" {
  description = "For how many days a deleted secret can be had back (0: not at all, and its name is free at once)."
  type        = number
  default     = 30

  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "recovery_days: 0, or 7 to 30; Secrets Manager takes nothing else."
  }
}

variable "tags" {
  description = "Tags of the secrets, beside those of the provider."
  type        = map(string)
  default     = {}
}

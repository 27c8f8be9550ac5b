variable "name" {
  description = "What the names of the buckets begin with."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "name: 2 to 32 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that every object is encrypted with."
  type        = string
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the buckets with every picture, model and backup in them."
  type        = bool
  default     = false
}

variable "earlier_versions_days" {
  description = "For how many days what was deleted or written over can be had back."
  type        = number
  default     = 30
}

variable "backups_infrequent_after_days" {
  description = "After how many days a backup moves to a class that costs less to keep and more to read (null: never)."
  type        = number
  default     = 30
}

variable "tags" {
  description = "Tags of the buckets, beside those of the provider."
  type        = map(string)
  default     = {}
}

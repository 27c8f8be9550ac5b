variable "bucket" {
  description = "Name of the bucket; unique among all buckets of all accounts."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket: 3 to 63 small letters, digits and hyphens; no dots, with which TLS certificates do not fit."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that every object is encrypted with."
  type        = string
}

variable "force_destroy" {
  description = "Whether `terraform destroy` deletes the bucket with all that lies in it."
  type        = bool
  default     = false
}

variable "earlier_versions_days" {
  description = "For how many days what was deleted or written over can be had back."
  type        = number
  default     = 30

  validation {
    condition     = var.earlier_versions_days >= 1 && floor(var.earlier_versions_days) == var.earlier_versions_days
    error_message = "earlier_versions_days: a whole number of days, 1 or more."
  }
}

variable "infrequent_after_days" {
  description = "After how many days objects move to a class that costs less to keep and more to read (null: never)."
  type        = number
  default     = null

  validation {
    condition     = var.infrequent_after_days == null ? true : var.infrequent_after_days >= 30
    error_message = "infrequent_after_days: S3 moves objects to STANDARD_IA after 30 days at the earliest."
  }
}

variable "tags" {
  description = "Tags of the bucket, beside those of the provider."
  type        = map(string)
  default     = {}
}

variable "name" {
  description = "What the names of the repositories begin with: NAME/catalogue, NAME/worker, NAME/training."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "name: 2 to 32 small letters, digits and hyphens, beginning with a letter and not ending with a hyphen."
  }
}

variable "key_arn" {
  description = "ARN of the KMS key that layers are encrypted with."
  type        = string
}

variable "versions" {
  description = "How many tagged images of each repository stay; a deployment never goes back further than that."
  type        = number
  default     = 50

  validation {
    condition     = var.versions >= 5 && floor(var.versions) == var.versions
    error_message = "versions: 5 or more, or a rollback finds its image gone."
  }
}

variable "untagged_days" {
  description = "After how many days an image without a tag goes."
  type        = number
  default     = 14

  validation {
    condition     = var.untagged_days >= 1 && floor(var.untagged_days) == var.untagged_days
    error_message = "untagged_days: a whole number of days, 1 or more."
  }
}

variable "force_delete" {
  description = "Whether `terraform destroy` deletes repositories with images in them."
  type        = bool
  default     = false
}

variable "tags" {
  description = "Tags of the repositories, beside those of the provider."
  type        = map(string)
  default     = {}
}

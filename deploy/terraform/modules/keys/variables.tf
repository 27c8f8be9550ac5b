variable "name" {
  description = "What the names of everything here begin with, such as vitrine-staging."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "A name has 2 to 32 characters: lower case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "administrators" {
  description = "ARNs of the roles that look after the keys (they decrypt nothing); the one that applies this has to be among them. None: whom IAM policies of the account let."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.administrators : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user)/[^*?]+$", arn))])
    error_message = "Administrators are ARNs of IAM roles or users, written out: no wildcard, no account as a whole."
  }
}

variable "deletion_window_days" {
  description = "Days in which the deletion of a key can be called off. What it encrypted is lost with it."
  type        = number
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "AWS waits 7 to 30 days."
  }
}

variable "tags" {
  description = "Tags of everything here."
  type        = map(string)
  default     = {}
}

variable "region" {
  description = "Region of the bucket."
  type        = string
}

variable "name" {
  description = "What the bucket's name begins with; behind it comes the account's number."
  type        = string
  default     = "vitrine-terraform"
}

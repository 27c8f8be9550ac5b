variable "region" {
  description = "Region, such as eu-central-1."
  type        = string
}

variable "account_id" {
  description = "The account that this belongs into; with credentials of another one nothing is done."
  type        = string
}

variable "administrators" {
  description = "ARNs of IAM roles that may do everything in the cluster; the one that applies this among them."
  type        = list(string)
}

variable "deployers" {
  description = "ARNs of IAM roles that may deploy into the namespace, such as that of a pipeline."
  type        = list(string)
  default     = []
}

variable "key_administrators" {
  description = "ARNs of those who may change the policies of the keys, the one who applies this among them (none: IAM policies of the account decide)."
  type        = list(string)
  default     = []
}

variable "public_access_cidrs" {
  description = "Addresses from which the cluster's interface can be reached from outside (none: from within the network alone)."
  type        = list(string)
  default     = []
}

variable "cidr" {
  description = "Addresses of the network; no others that it is to be connected with."
  type        = string
  default     = "10.20.0.0/16"
}

variable "hosts" {
  description = "Names under which people open the site."
  type        = list(string)
}

variable "mlflow" {
  description = "Whether MLflow runs in the cluster (README.md, \"MLflow\")."
  type        = bool
  default     = false
}

variable "password_versions" {
  description = "Another number makes another password (README.md, \"Passwords\")."
  type = object({
    site       = optional(number, 1)
    controller = optional(number, 1)
    database   = optional(number, 1)
    mlflow     = optional(number, 1)
  })
  default = {}
}

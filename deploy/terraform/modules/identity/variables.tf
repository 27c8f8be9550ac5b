variable "name" {
  description = "What the names of the roles begin with, such as vitrine-staging."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,30}[a-z0-9]$", var.name))
    error_message = "A name has 2 to 32 characters: lower case letters, digits and hyphens, a letter first and no hyphen last."
  }
}

variable "oidc_provider_arn" {
  description = "What IAM believes the cluster's service accounts by."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/", var.oidc_provider_arn))
    error_message = "The ARN of an OIDC provider of IAM."
  }
}

variable "oidc_issuer" {
  description = "Who signs the tokens of the cluster's service accounts, with https:// or without."
  type        = string

  validation {
    condition     = can(regex("^(https://)?[a-z0-9.-]+(/[A-Za-z0-9._/-]+)?$", var.oidc_issuer)) && !endswith(var.oidc_issuer, "/")
    error_message = "An issuer is written as oidc.eks.REGION.amazonaws.com/id/ID."
  }
}

variable "namespace" {
  description = "Namespace of the release."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "A namespace of Kubernetes, written out: a wildcard would give the roles to others."
  }
}

variable "service_accounts" {
  description = "Service account of each component that is to have a role, by the names of the chart's serviceAccount.components: catalogue, worker, modelServer, controller, mlflow, backup; and restore, for the job that restores."
  type        = map(string)

  validation {
    condition     = length(setsubtract(keys(var.service_accounts), ["backup", "catalogue", "controller", "mlflow", "modelServer", "restore", "worker"])) == 0
    error_message = "Components are backup, catalogue, controller, mlflow, modelServer, restore and worker."
  }
  validation {
    condition     = alltrue([for account in values(var.service_accounts) : can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", account))])
    error_message = "Service accounts are named as Kubernetes names them, without wildcards."
  }
  validation {
    condition     = length(distinct(values(var.service_accounts))) == length(var.service_accounts)
    error_message = "A service account has one role, so each component has an account of its own."
  }
}

variable "pictures_bucket_arn" {
  description = "Bucket of originals and renditions."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.pictures_bucket_arn))
    error_message = "The ARN of one bucket, without wildcard and path."
  }
}

variable "models_bucket_arn" {
  description = "Bucket of the models that are served, and of MLflow's artifacts."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.models_bucket_arn))
    error_message = "The ARN of one bucket, without wildcard and path."
  }
}

variable "backups_bucket_arn" {
  description = "Bucket of backups."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.backups_bucket_arn)) && var.backups_bucket_arn != var.pictures_bucket_arn
    error_message = "The ARN of one bucket, without wildcard and path, and not that of the pictures: what damages one must not reach the other."
  }
}

variable "prefixes" {
  description = "What stands behind the buckets' names in the chart's values (blobs.url, models.source.url, mlflow.artifacts.url, backup.to); empty: the whole bucket. With models and mlflow apart, neither can write what is the other's."
  type = object({
    pictures = optional(string, "")
    models   = optional(string, "")
    mlflow   = optional(string, "")
    backups  = optional(string, "")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for prefix in values(var.prefixes) : can(regex("^[A-Za-z0-9._/-]*$", prefix))])
    error_message = "Prefixes are letters, digits, dots, hyphens, underscores and slashes: a wildcard would reach further than it says."
  }
}

variable "storage_key_arn" {
  description = "Key of the buckets."
  type        = string

  validation {
    condition     = can(regex("^arn:aws[a-z-]*:kms:[a-z0-9-]+:[0-9]{12}:key/[A-Za-z0-9-]+$", var.storage_key_arn))
    error_message = "The ARN of one key of KMS."
  }
}

variable "secret_arns" {
  description = "Secrets that External Secrets may read, as Secrets Manager names them, with the six characters at the end. None: there is no role for it."
  type        = list(string)
  default     = []

  validation {
    condition     = alltrue([for arn in var.secret_arns : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@!-]+$", arn))])
    error_message = "Each is the ARN of one secret: with a wildcard it would be those of others, too."
  }
}

variable "secrets_key_arn" {
  description = "Key of those secrets. null: the account's own."
  type        = string
  default     = null
}

variable "external_secrets" {
  description = "Where the External Secrets Operator runs, and as whom."
  type = object({
    namespace       = optional(string, "external-secrets")
    service_account = optional(string, "external-secrets")
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for part in values(var.external_secrets) : can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", part))])
    error_message = "Namespace and service account are written out, without wildcards."
  }
}

variable "tags" {
  description = "Tags of everything here."
  type        = map(string)
  default     = {}
}

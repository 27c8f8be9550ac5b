# An environment to try things in: one way out of the network, one database, one node of RabbitMQ, and `terraform destroy` leaves
# nothing behind but a snapshot of the database.

terraform {
  required_version = ">= 1.11"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.100"
    }
  }

  # Bucket, region and key come with `terraform init -backend-config=FILE` (README.md).
  backend "s3" {
    key          = "vitrine/staging.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
  # Credentials of another account end here, and not in its database.
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = { application = "vitrine", environment = "staging", managed-by = "terraform" }
  }
}

locals {
  name = "vitrine-staging"
}

module "passwords" {
  source = "../../modules/passwords"

  name          = local.name
  key_arn       = module.vitrine.key_arns["secrets"]
  versions      = var.password_versions
  mlflow        = var.mlflow
  recovery_days = 0
}

module "vitrine" {
  source = "../../modules/vitrine"

  name        = local.name
  environment = "staging"
  hosts       = var.hosts
  mlflow      = var.mlflow

  key_administrators = var.key_administrators
  passwords          = module.passwords.secrets
  database_password  = module.passwords.database

  network = {
    cidr = var.cidr
    nat  = "one"
  }

  kubernetes = {
    version             = "1.33"
    administrators      = var.administrators
    deployers           = var.deployers
    public_access_cidrs = var.public_access_cidrs
  }

  cpu_nodes = {
    instance_types = ["m6i.large"]
    min            = 2
    desired        = 2
    max            = 4
  }

  gpu_nodes = { enabled = false }

  database = {
    instance_class      = "db.t4g.medium"
    storage_gb          = 20
    max_storage_gb      = 100
    multi_az            = false
    backup_days         = 3
    deletion_protection = false
  }

  broker = {
    instance_type   = "mq.m5.large"
    deployment_mode = "SINGLE_INSTANCE"
  }

  storage = {
    earlier_versions_days         = 7
    backups_infrequent_after_days = null
  }

  force_destroy = true
}

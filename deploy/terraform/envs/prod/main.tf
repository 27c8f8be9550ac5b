# The environment that people's pictures are in: a way out of the network, a copy of the database and a node of RabbitMQ in every
# zone, and nothing that holds data goes by a setting (modules/vitrine refuses it).

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
    key          = "vitrine/prod.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}

provider "aws" {
  region = var.region
  # Credentials of another account end here, and not in its database.
  allowed_account_ids = [var.account_id]

  default_tags {
    tags = { application = "vitrine", environment = "prod", managed-by = "terraform" }
  }
}

locals {
  name = "vitrine-prod"
}

module "passwords" {
  source = "../../modules/passwords"

  name          = local.name
  key_arn       = module.vitrine.key_arns["secrets"]
  versions      = var.password_versions
  mlflow        = var.mlflow
  recovery_days = 30
}

module "vitrine" {
  source = "../../modules/vitrine"

  name        = local.name
  environment = "prod"
  hosts       = var.hosts
  mlflow      = var.mlflow

  key_administrators = var.key_administrators
  passwords          = module.passwords.secrets
  database_password  = module.passwords.database

  network = {
    cidr = var.cidr
    nat  = "each"
  }

  kubernetes = {
    version             = "1.33"
    administrators      = var.administrators
    deployers           = var.deployers
    public_access_cidrs = var.public_access_cidrs
  }

  cpu_nodes = {
    instance_types = ["m6i.xlarge", "m6a.xlarge"]
    min            = 3
    desired        = 3
    max            = 12
  }

  gpu_nodes = {
    enabled        = var.gpu
    instance_types = ["g5.xlarge"]
    min            = 1
    desired        = 1
    max            = 4
  }

  # For about ten million pictures (docs/operations.md, Sizes).
  database = {
    instance_class = "db.r7g.xlarge"
    storage_gb     = 100
    max_storage_gb = 1000
    backup_days    = 30
  }

  broker = {
    instance_type = "mq.m5.large"
  }

  storage = {
    earlier_versions_days = 90
  }
}

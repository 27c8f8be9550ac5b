# Everything of one environment, put together. What each part is for is said in the part.

locals {
  # Whose role a component of the chart has: the names of its accounts (templates/_names.tpl).
  service_accounts = merge(
    {
      catalogue   = "${var.release}-catalogue"
      worker      = "${var.release}-worker"
      modelServer = "${var.release}-model-server"
      controller  = "${var.release}-controller"
      backup      = "${var.release}-backup"
      restore     = "${var.release}-restore"
    },
    var.mlflow ? { mlflow = "${var.release}-mlflow" } : {},
  )
  prefixes = { pictures = "pictures", models = "models", mlflow = "mlflow", backups = "vitrine" }
  # An environment that may be thrown away frees the names of its secrets at once.
  protected     = var.environment == "prod"
  recovery_days = local.protected ? 30 : 0
}

module "keys" {
  source = "../keys"

  name           = var.name
  administrators = var.key_administrators
  tags           = var.tags
}

module "network" {
  source = "../network"

  name        = var.name
  cidr        = var.network.cidr
  zones       = var.network.zones
  nat         = var.network.nat
  log_key_arn = module.keys.arns["data"]
  tags        = var.tags
}

module "cluster" {
  source = "../cluster"

  name                = var.name
  kubernetes_version  = var.kubernetes.version
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.private_subnet_ids
  administrators      = var.kubernetes.administrators
  deployers           = { for role in var.kubernetes.deployers : role => [var.namespace] }
  public_access_cidrs = var.kubernetes.public_access_cidrs
  key_arn             = module.keys.arns["secrets"]
  disk_key_arn        = module.keys.arns["data"]
  log_key_arn         = module.keys.arns["data"]
  cpu_nodes           = var.cpu_nodes
  gpu_nodes           = var.gpu_nodes
  tags                = var.tags
}

module "database" {
  source = "../database"

  name                = var.name
  vpc_id              = module.network.vpc_id
  subnet_ids          = module.network.isolated_subnet_ids
  clients             = { nodes = module.cluster.node_security_group_id }
  key_arn             = module.keys.arns["data"]
  secrets_key_arn     = module.keys.arns["secrets"]
  engine_version      = var.database.engine_version
  instance_class      = var.database.instance_class
  storage_gb          = var.database.storage_gb
  max_storage_gb      = var.database.max_storage_gb
  multi_az            = var.database.multi_az
  backup_days         = var.database.backup_days
  deletion_protection = var.database.deletion_protection
  final_snapshot      = var.database.final_snapshot
  apply_immediately   = !local.protected
  ssl_mode            = var.database.ssl_mode

  allow_major_version_upgrade = var.database.allow_major_version_upgrade

  password             = var.database_password
  password_version     = var.passwords.database_version
  secret_recovery_days = local.recovery_days
  tags                 = var.tags
}

module "broker" {
  source = "../broker"

  name                 = var.name
  vpc_id               = module.network.vpc_id
  subnet_ids           = module.network.isolated_subnet_ids
  clients              = { nodes = module.cluster.node_security_group_id }
  console              = var.broker.console
  secrets_key_arn      = module.keys.arns["secrets"]
  engine_version       = var.broker.engine_version
  instance_type        = var.broker.instance_type
  deployment_mode      = var.broker.deployment_mode
  apply_immediately    = !local.protected
  password_secret_arn  = var.passwords.arns["broker-password"]
  secret_recovery_days = local.recovery_days
  tags                 = var.tags
}

module "storage" {
  source = "../storage"

  name                          = var.name
  key_arn                       = module.keys.arns["storage"]
  force_destroy                 = var.force_destroy
  earlier_versions_days         = var.storage.earlier_versions_days
  backups_infrequent_after_days = var.storage.backups_infrequent_after_days
  tags                          = var.tags
}

module "registry" {
  source = "../registry"

  name         = var.name
  key_arn      = module.keys.arns["storage"]
  versions     = var.image_versions
  force_delete = var.force_destroy
  tags         = var.tags
}

module "identity" {
  source = "../identity"

  name                = var.name
  oidc_provider_arn   = module.cluster.oidc_provider_arn
  oidc_issuer         = module.cluster.oidc_issuer
  namespace           = var.namespace
  service_accounts    = local.service_accounts
  pictures_bucket_arn = module.storage.arns["pictures"]
  models_bucket_arn   = module.storage.arns["models"]
  backups_bucket_arn  = module.storage.arns["backups"]
  prefixes            = local.prefixes
  storage_key_arn     = module.keys.arns["storage"]
  secret_arns         = local.secret_arns
  secrets_key_arn     = module.keys.arns["secrets"]
  tags                = var.tags
}

# What the chart is told (deploy/k8s/chart/values.yaml), and where its secrets are.

data "aws_region" "current" {}

locals {
  # By the names that the chart's values have. Passwords of which an address is made are not among them: nobody else reads those.
  secrets = merge(
    {
      vitrine-site       = { arn = var.passwords.arns["site"], name = var.passwords.names["site"] }
      vitrine-controller = { arn = var.passwords.arns["controller"], name = var.passwords.names["controller"] }
      vitrine-database   = { arn = module.database.secret_arn, name = module.database.secret_name }
      vitrine-broker     = { arn = module.broker.secret_arn, name = module.broker.secret_name }
    },
    var.mlflow ? {
      vitrine-mlflow = { arn = var.passwords.arns["mlflow"], name = var.passwords.names["mlflow"] }
    } : {},
  )
  secret_arns = [for secret in local.secrets : secret.arn]

  roles = module.identity.role_arns
  components = { for component in keys(local.service_accounts) : component => {
    annotations = { "eks.amazonaws.com/role-arn" = local.roles[component] }
  } }

  within = { to = [{ ipBlock = { cidr = module.network.cidr } }] }

  values = merge(
    {
      images = merge(
        { registry = module.registry.host },
        { for image, repository in module.registry.repositories : image => { repository = repository } },
      )
      blobs       = { url = "s3://${module.storage.names["pictures"]}/${local.prefixes.pictures}" }
      objectStore = { region = data.aws_region.current.name }
      models      = { source = { url = "s3://${module.storage.names["models"]}/${local.prefixes.models}" } }
      backup = merge(
        { to = "s3://${module.storage.names["backups"]}/${local.prefixes.backups}", enabled = var.backup.enabled },
        var.backup.enabled ? { schedule = var.backup.schedule } : {},
      )
      site           = { hosts = var.hosts }
      serviceAccount = { components = local.components }
      # Nothing but the network's own addresses: both have their endpoints in it.
      networkPolicy = { egress = { database = local.within, broker = local.within } }
    },
    # The authorities of RDS are no public ones.
    var.database.ssl_mode == "require" ? {} : {
      database = { ca = { configMap = "rds-authorities", key = "global-bundle.pem" } }
    },
    var.gpu_nodes.enabled ? {
      modelServer = {
        gpu          = { enabled = true }
        nodeSelector = module.cluster.gpu_node_selector
        # CPU tells little of a GPU.
        autoscaling = { enabled = false }
        replicas    = max(1, var.gpu_nodes.min)
      }
    } : {},
    var.mlflow ? {
      mlflow = {
        enabled   = true
        artifacts = { url = "s3://${module.storage.names["models"]}/${local.prefixes.mlflow}" }
        backend   = { uri = "postgresql+psycopg://mlflow@${module.database.endpoint}:${module.database.port}/mlflow?sslmode=require" }
      }
    } : {},
  )
}

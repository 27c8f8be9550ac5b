# Passwords that nobody thinks up and nobody sees. Secrets Manager makes each, it is written into a secret, and no state or plan
# holds it: what is ephemeral ends with the run.
#
# An environment calls this beside modules/vitrine and hands the values over. Within that module they could not be tested:
# mocked providers have no ephemeral resources.

locals {
  # The keys are those that the chart's values name (database and broker: modules/database and modules/broker put the addresses
  # together, and write them into secrets of their own).
  secrets = merge(
    {
      site              = { key = "secret-key", length = 64, version = var.versions.site }
      controller        = { key = "token", length = 48, version = var.versions.controller }
      database-password = { key = "password", length = 40, version = var.versions.database }
      # Amazon MQ cannot change the user of a RabbitMQ broker: README.md, "Passwords".
      broker-password = { key = "password", length = 40, version = 1 }
    },
    var.mlflow ? { mlflow = { key = "password", length = 40, version = var.versions.mlflow } } : {},
  )
}

ephemeral "aws_secretsmanager_random_password" "this" {
  for_each = local.secrets

  password_length = each.value.length
  # They stand in addresses, and Amazon MQ refuses some: length makes up for it.
  exclude_punctuation = true
}

resource "aws_secretsmanager_secret" "this" {
  for_each = local.secrets

  name                    = "${var.name}/${each.key}"
  description             = "Vitrine: made by Terraform, changed by its version."
  kms_key_id              = var.key_arn
  recovery_window_in_days = var.recovery_days
  tags                    = var.tags
}

resource "aws_secretsmanager_secret_version" "this" {
  for_each = local.secrets

  secret_id = aws_secretsmanager_secret.this[each.key].id
  secret_string_wo = jsonencode({
    (each.value.key) = ephemeral.aws_secretsmanager_random_password.this[each.key].random_password
  })
  # Every run makes other passwords; only another version writes one.
  secret_string_wo_version = each.value.version
}

# Read back, not handed on: after a run that was cut short the database gets what the secret holds, not what a second run made up.
ephemeral "aws_secretsmanager_secret_version" "database" {
  secret_id  = aws_secretsmanager_secret_version.this["database-password"].secret_id
  version_id = aws_secretsmanager_secret_version.this["database-password"].version_id
}

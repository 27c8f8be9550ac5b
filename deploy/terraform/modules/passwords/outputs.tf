output "secrets" {
  description = "ARNs and names of the secrets (site, controller, database-password, broker-password, and mlflow where it is wanted), and which password of the database is the present one."
  value = {
    # Of the versions, so that whoever reads a secret finds something in it.
    arns             = { for secret, version in aws_secretsmanager_secret_version.this : secret => version.arn }
    names            = { for secret, place in aws_secretsmanager_secret.this : secret => place.name }
    database_version = var.versions.database
  }
}

output "database" {
  description = "The password of the database's account; never in a state or plan."
  value       = jsondecode(ephemeral.aws_secretsmanager_secret_version.database.secret_string)["password"]
  ephemeral   = true
  sensitive   = true
}

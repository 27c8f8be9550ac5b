output "endpoint" {
  description = "Host of the database."
  value       = aws_db_instance.this.address
}

output "port" {
  description = "Its port."
  value       = aws_db_instance.this.port
}

output "database" {
  description = "Name of the database."
  value       = aws_db_instance.this.db_name
}

output "username" {
  description = "Its account."
  value       = aws_db_instance.this.username
}

output "secret_arn" {
  description = "ARN of the secret: username, password, host, port, dbname, url."
  value       = aws_secretsmanager_secret.this.arn
}

output "secret_name" {
  description = "Name of the secret."
  value       = aws_secretsmanager_secret.this.name
}

output "security_group_id" {
  description = "Security group of the database."
  value       = aws_security_group.this.id
}

output "endpoint" {
  description = "Address of the broker without user and password: amqps://HOST:5671."
  value       = aws_mq_broker.this.instances[0].endpoints[0]
}

output "console" {
  description = "Address of its console; within the network alone."
  value       = aws_mq_broker.this.instances[0].console_url
}

output "secret_arn" {
  description = "ARN of the secret: username, password, host, port, url."
  value       = aws_secretsmanager_secret.this.arn
}

output "secret_name" {
  description = "Name of the secret."
  value       = aws_secretsmanager_secret.this.name
}

output "security_group_id" {
  description = "Security group of the broker."
  value       = aws_security_group.this.id
}

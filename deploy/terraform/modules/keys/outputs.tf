output "arns" {
  description = "ARNs of the keys: data, secrets, storage."
  value       = { for name, key in aws_kms_key.this : name => key.arn }
}

output "names" {
  description = "Names of the buckets: pictures, models, backups."
  value       = { for use, bucket in module.bucket : use => bucket.name }
}

output "arns" {
  description = "ARNs of the buckets: pictures, models, backups."
  value       = { for use, bucket in module.bucket : use => bucket.arn }
}

output "host" {
  description = "Host of the registry, as `docker login` takes it."
  value       = split("/", aws_ecr_repository.this["catalogue"].repository_url)[0]
}

output "urls" {
  description = "Where images are pushed to: catalogue, worker, training."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.repository_url }
}

output "repositories" {
  description = "Names of the repositories without the host: catalogue, worker, training."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.name }
}

output "arns" {
  description = "ARNs of the repositories: catalogue, worker, training."
  value       = { for image, repository in aws_ecr_repository.this : image => repository.arn }
}

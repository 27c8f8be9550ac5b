output "key_arns" {
  description = "ARNs of the KMS keys: data, secrets, storage."
  value       = module.keys.arns
}

output "chart_values" {
  description = "Values for the chart, as YAML for `helm --values`. No secrets in them."
  value       = yamlencode(local.values)
}

output "secret_names" {
  description = "Where the chart's secrets are: name in Kubernetes to name in Secrets Manager (deploy/k8s/examples/external-secrets.yaml)."
  value       = { for secret, place in local.secrets : secret => place.name }
}

output "external_secrets_role_arn" {
  description = "Role of the External Secrets Operator; it reads these secrets and nothing else."
  value       = module.identity.external_secrets_role_arn
}

output "autoscaler_role_arn" {
  description = "Role of the cluster autoscaler (kube-system/cluster-autoscaler)."
  value       = module.cluster.autoscaler_role_arn
}

output "kubeconfig_command" {
  description = "What lets kubectl and helm in."
  value       = "aws eks update-kubeconfig --region ${data.aws_region.current.name} --name ${module.cluster.name}"
}

output "registry" {
  description = "Where images are pushed to: host, and the repositories catalogue, worker, training."
  value       = merge({ host = module.registry.host }, module.registry.urls)
}

output "buckets" {
  description = "Names of the buckets: pictures, models, backups."
  value       = module.storage.names
}

output "database" {
  description = "Where PostgreSQL is, without a password."
  value = {
    host     = module.database.endpoint
    port     = module.database.port
    database = module.database.database
    username = module.database.username
  }
}

output "broker" {
  description = "Where RabbitMQ and its console are, without a password."
  value       = { endpoint = module.broker.endpoint, console = module.broker.console }
}

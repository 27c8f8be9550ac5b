output "chart_values" {
  description = "Values for the chart, as YAML for `helm --values`. No secrets in them."
  value       = module.vitrine.chart_values
}

output "secret_names" {
  description = "Where the chart's secrets are: name in Kubernetes to name in Secrets Manager (deploy/k8s/examples/external-secrets.yaml)."
  value       = module.vitrine.secret_names
}

output "external_secrets_role_arn" {
  description = "Role of the External Secrets Operator; it reads these secrets and nothing else."
  value       = module.vitrine.external_secrets_role_arn
}

output "autoscaler_role_arn" {
  description = "Role of the cluster autoscaler (kube-system/cluster-autoscaler)."
  value       = module.vitrine.autoscaler_role_arn
}

output "kubeconfig_command" {
  description = "What lets kubectl and helm in."
  value       = module.vitrine.kubeconfig_command
}

output "registry" {
  description = "Where images are pushed to: host, and the repositories catalogue, worker, training."
  value       = module.vitrine.registry
}

output "buckets" {
  description = "Names of the buckets: pictures, models, backups."
  value       = module.vitrine.buckets
}

output "database" {
  description = "Where PostgreSQL is, without a password."
  value       = module.vitrine.database
}

output "broker" {
  description = "Where RabbitMQ and its console are, without a password."
  value       = module.vitrine.broker
}

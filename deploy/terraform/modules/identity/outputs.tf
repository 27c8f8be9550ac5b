output "role_arns" {
  description = "ARN of the role of each component, for the chart's serviceAccount.components.COMPONENT.annotations."
  value       = { for component, role in aws_iam_role.component : component => role.arn }
  # Whoever uses a role finds its rights in it.
  depends_on = [aws_iam_role_policy.component]
}

output "external_secrets_role_arn" {
  description = "ARN of the role of the External Secrets Operator; null if there are no secrets."
  value       = one(aws_iam_role.external_secrets[*].arn)
  depends_on  = [aws_iam_role_policy.external_secrets]
}

output "name" {
  description = "Name of the cluster, when it is ready for pods: nodes and add-ons are there."
  value       = aws_eks_cluster.this.name
  depends_on  = [aws_eks_addon.on_nodes, aws_eks_access_policy_association.administrators]
}

output "endpoint" {
  description = "Address of Kubernetes' API."
  value       = aws_eks_cluster.this.endpoint
}

output "certificate_authority" {
  description = "Certificate that the API's is signed by, in Base64."
  value       = aws_eks_cluster.this.certificate_authority[0].data
}

output "oidc_provider_arn" {
  description = "What IAM believes service accounts by."
  value       = aws_iam_openid_connect_provider.this.arn
}

output "oidc_issuer" {
  description = "Who signs the tokens of service accounts, as an address with https://."
  value       = aws_eks_cluster.this.identity[0].oidc[0].issuer
}

output "node_security_group_id" {
  description = "Security group that every node is in, for the rules of what nodes may reach."
  value       = aws_security_group.nodes.id
}

output "node_role_arn" {
  description = "Role of the nodes."
  value       = aws_iam_role.nodes.arn
}

output "autoscaler_role_arn" {
  description = "Role for the service account cluster-autoscaler in kube-system, which whoever installs the autoscaler annotates."
  value       = aws_iam_role.system["autoscaler"].arn
}

output "gpu_node_selector" {
  description = "Labels of the nodes with GPUs, for the chart's modelServer.nodeSelector; empty where there are none."
  value       = var.gpu_nodes.enabled ? local.gpu_labels : {}
}

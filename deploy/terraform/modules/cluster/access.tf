# Who may speak to Kubernetes, by the interface of EKS: no ConfigMap that one mistake locks everybody out of.

locals {
  access_policies = "arn:${local.partition}:eks::aws:cluster-access-policy"
}

resource "aws_eks_access_entry" "administrators" {
  for_each = toset(var.administrators)

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
  tags          = var.tags
}

resource "aws_eks_access_policy_association" "administrators" {
  for_each = aws_eks_access_entry.administrators

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.value.principal_arn
  policy_arn    = "${local.access_policies}/AmazonEKSClusterAdminPolicy"

  access_scope {
    type = "cluster"
  }
}

resource "aws_eks_access_entry" "deployers" {
  for_each = var.deployers

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = each.key
  tags          = var.tags
}

# What `helm upgrade` needs in its namespace. Custom resources (ServiceMonitor, ScaledObject) are not in it: whoever
# switches those on binds a Role for them.
resource "aws_eks_access_policy_association" "deployers" {
  for_each = var.deployers

  cluster_name  = aws_eks_cluster.this.name
  principal_arn = aws_eks_access_entry.deployers[each.key].principal_arn
  policy_arn    = "${local.access_policies}/AmazonEKSEditPolicy"

  access_scope {
    type       = "namespace"
    namespaces = each.value
  }
}

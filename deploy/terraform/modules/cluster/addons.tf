# What runs in the cluster before anything of ours: add-ons that EKS keeps, and the roles of those that speak to AWS.

locals {
  # By IRSA, not by the role of the nodes, which every pod on the host's network has.
  system_accounts = {
    cni        = "aws-node"
    ebs-csi    = "ebs-csi-controller-sa"
    autoscaler = "cluster-autoscaler"
  }
  issuer = trimprefix(aws_eks_cluster.this.identity[0].oidc[0].issuer, "https://")

  addons_before_nodes = {
    # The chart closes every pod; this add-on is what enforces it, and it does not unless it is told to.
    vpc-cni = {
      configuration = jsonencode({ enableNetworkPolicy = "true" })
      role          = aws_iam_role.system["cni"].arn
    }
    kube-proxy = { configuration = null, role = null }
  }
  addons_on_nodes = {
    coredns            = { configuration = null, role = null }
    aws-ebs-csi-driver = { configuration = null, role = aws_iam_role.system["ebs-csi"].arn }
    # The chart's autoscalers go by CPU where nothing else is said.
    metrics-server = { configuration = null, role = null }
  }
}

resource "aws_iam_role" "system" {
  for_each = local.system_accounts

  name = "${var.name}-${each.key}"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = aws_iam_openid_connect_provider.this.arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "system:serviceaccount:kube-system:${each.value}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "system" {
  for_each = {
    cni     = "AmazonEKS_CNI_Policy"
    ebs-csi = "service-role/AmazonEBSCSIDriverPolicy"
  }

  role       = aws_iam_role.system[each.key].name
  policy_arn = "${local.managed}/${each.value}"
}

# For volumes whose StorageClass names the key of the disks; the policy of AWS knows nothing of keys.
resource "aws_iam_role_policy" "ebs_csi_key" {
  name = "disk-key"
  role = aws_iam_role.system["ebs-csi"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Action    = ["kms:CreateGrant"]
        Resource  = [var.disk_key_arn]
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
      {
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
        Resource  = [var.disk_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "ec2.${local.region}.amazonaws.com" } }
      },
    ]
  })
}

resource "aws_iam_role_policy" "autoscaler" {
  name = "scale-node-groups"
  role = aws_iam_role.system["autoscaler"].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      # EKS tags the groups of its nodes so: those of another cluster are none of its business.
      {
        Effect    = "Allow"
        Action    = ["autoscaling:SetDesiredCapacity", "autoscaling:TerminateInstanceInAutoScalingGroup"]
        Resource  = ["arn:${local.partition}:autoscaling:${local.region}:${local.account}:autoScalingGroup:*:autoScalingGroupName/eks-*"]
        Condition = { StringEquals = { "aws:ResourceTag/k8s.io/cluster-autoscaler/${var.name}" = "owned" } }
      },
      {
        Effect   = "Allow"
        Action   = ["eks:DescribeNodegroup"]
        Resource = ["arn:${local.partition}:eks:${local.region}:${local.account}:nodegroup/${var.name}/*"]
      },
      # Lists and descriptions, which AWS gives out whole or not at all.
      {
        Effect = "Allow"
        Action = [
          "autoscaling:DescribeAutoScalingGroups",
          "autoscaling:DescribeAutoScalingInstances",
          "autoscaling:DescribeLaunchConfigurations",
          "autoscaling:DescribeScalingActivities",
          "autoscaling:DescribeTags",
          "ec2:DescribeImages",
          "ec2:DescribeInstanceTypes",
          "ec2:DescribeLaunchTemplateVersions",
          "ec2:GetInstanceTypesFromInstanceRequirements",
        ]
        Resource = "*"
      },
    ]
  })
}

resource "aws_eks_addon" "before_nodes" {
  for_each = local.addons_before_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value.configuration
  service_account_role_arn    = each.value.role
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  tags                        = var.tags

  depends_on = [aws_iam_role_policy_attachment.system]
}

resource "aws_eks_addon" "on_nodes" {
  for_each = local.addons_on_nodes

  cluster_name                = aws_eks_cluster.this.name
  addon_name                  = each.key
  addon_version               = lookup(var.addon_versions, each.key, null)
  configuration_values        = each.value.configuration
  service_account_role_arn    = each.value.role
  resolve_conflicts_on_create = "OVERWRITE"
  resolve_conflicts_on_update = "OVERWRITE"
  tags                        = var.tags

  # They are pods: without nodes they would wait until EKS gives them up.
  depends_on = [aws_eks_node_group.this, aws_iam_role_policy_attachment.system]
}

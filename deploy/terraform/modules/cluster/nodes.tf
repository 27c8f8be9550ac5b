# Nodes: one group for everything, and one with GPUs where model servers are to have them. Bottlerocket on both: nothing but
# what runs containers, its root is read-only, and its variant for NVIDIA brings driver and device plug-in along.

locals {
  node_groups = merge(
    {
      cpu = {
        settings = var.cpu_nodes
        ami_type = "BOTTLEROCKET_x86_64"
        labels   = {}
        taints   = []
      }
    },
    # By the label model servers find it, by the taint everybody else stays away (chart: modelServer.gpu, nodeSelector).
    { for each in ["gpu"] : each => {
      settings = var.gpu_nodes
      ami_type = "BOTTLEROCKET_x86_64_NVIDIA"
      labels   = local.gpu_labels
      taints   = [{ key = "nvidia.com/gpu", value = "true", effect = "NO_SCHEDULE" }]
    } if var.gpu_nodes.enabled },
  )
  gpu_labels = { accelerator = "nvidia" }
}

resource "aws_iam_role" "nodes" {
  name = "${var.name}-nodes"
  tags = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "ec2.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

# To join, and to fetch images. Addresses of pods and disks are the business of two add-ons, with roles of their own.
resource "aws_iam_role_policy_attachment" "nodes" {
  for_each = toset(["AmazonEC2ContainerRegistryPullOnly", "AmazonEKSWorkerNodePolicy"])

  role       = aws_iam_role.nodes.name
  policy_arn = "${local.managed}/${each.key}"
}

# Says who is a node, for the rules of database and broker. It has none itself: nodes and control plane find each other by
# the group that EKS makes.
resource "aws_security_group" "nodes" {
  name        = "${var.name}-nodes"
  description = "Nodes of ${var.name}, for rules of others"
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-nodes" })
}

resource "aws_launch_template" "nodes" {
  for_each = local.node_groups

  name_prefix            = "${var.name}-${each.key}-"
  update_default_version = true
  vpc_security_group_ids = [aws_eks_cluster.this.vpc_config[0].cluster_security_group_id, aws_security_group.nodes.id]
  tags                   = var.tags

  # One hop: a pod cannot ask for the role of its node.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
    instance_metadata_tags      = "disabled"
  }

  # Bottlerocket's own disk, as large as it comes, and the one of images, pods and their emptyDirs.
  dynamic "block_device_mappings" {
    for_each = { "/dev/xvda" = null, "/dev/xvdb" = each.value.settings.disk_gb }

    content {
      device_name = block_device_mappings.key

      ebs {
        encrypted             = true
        kms_key_id            = var.disk_key_arn
        volume_type           = "gp3"
        volume_size           = block_device_mappings.value
        delete_on_termination = true
      }
    }
  }

  dynamic "tag_specifications" {
    for_each = toset(["instance", "network-interface", "volume"])

    content {
      resource_type = tag_specifications.key
      tags          = merge(var.tags, { Name = "${var.name}-${each.key}" })
    }
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_eks_node_group" "this" {
  for_each = local.node_groups

  cluster_name = aws_eks_cluster.this.name
  # A prefix: what cannot be changed is replaced, and pods move to the new nodes before the old ones go.
  node_group_name_prefix = "${each.key}-"
  node_role_arn          = aws_iam_role.nodes.arn
  subnet_ids             = var.subnet_ids
  version                = aws_eks_cluster.this.version
  ami_type               = each.value.ami_type
  capacity_type          = each.value.settings.capacity_type
  instance_types         = each.value.settings.instance_types
  labels                 = each.value.labels
  tags                   = var.tags

  launch_template {
    id      = aws_launch_template.nodes[each.key].id
    version = aws_launch_template.nodes[each.key].latest_version
  }

  scaling_config {
    min_size     = each.value.settings.min
    max_size     = each.value.settings.max
    desired_size = coalesce(each.value.settings.desired, each.value.settings.min)
  }

  dynamic "taint" {
    for_each = each.value.taints

    content {
      key    = taint.value.key
      value  = taint.value.value
      effect = taint.value.effect
    }
  }

  update_config {
    max_unavailable_percentage = 33
  }

  node_repair_config {
    enabled = true
  }

  lifecycle {
    create_before_destroy = true
    # The autoscaler's, from the first minute on. EKS refuses a `min` above it: scale up first, then raise `min`.
    ignore_changes = [scaling_config[0].desired_size]
  }

  # Without them a node never becomes ready: no address for a pod, no way to a Service.
  depends_on = [
    aws_eks_addon.before_nodes,
    aws_iam_role_policy_attachment.nodes,
  ]
}

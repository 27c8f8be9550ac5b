mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/eks/vitrine-test/cluster" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }
  mock_resource "aws_iam_openid_connect_provider" {
    defaults = { arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC" }
  }
  mock_resource "aws_launch_template" {
    defaults = { id = "lt-0123456789abcdef0", latest_version = 1 }
  }
  mock_resource "aws_eks_cluster" {
    defaults = {
      arn                   = "arn:aws:eks:eu-central-1:123456789012:cluster/vitrine-test"
      endpoint              = "https://ABC.gr7.eu-central-1.eks.amazonaws.com"
      identity              = [{ oidc = [{ issuer = "https://oidc.eks.eu-central-1.amazonaws.com/id/ABC" }] }]
      certificate_authority = [{ data = "Q0E=" }]
    }
  }
}

variables {
  name               = "vitrine-test"
  kubernetes_version = "1.33"
  vpc_id             = "vpc-0123456789abcdef0"
  subnet_ids         = ["subnet-private-a", "subnet-private-b"]
  key_arn            = "arn:aws:kms:eu-central-1:123456789012:key/secrets"
  disk_key_arn       = "arn:aws:kms:eu-central-1:123456789012:key/data"
  administrators     = ["arn:aws:iam::123456789012:role/platform"]
}

run "the_control_plane_is_closed_encrypted_and_writes_down_what_happens" {
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access && !aws_eks_cluster.this.vpc_config[0].endpoint_public_access
    error_message = "by itself the API is reached only from within the VPC"
  }
  assert {
    condition     = aws_eks_cluster.this.encryption_config[0].provider[0].key_arn == var.key_arn && contains(aws_eks_cluster.this.encryption_config[0].resources, "secrets")
    error_message = "secrets are encrypted with the key of ours"
  }
  assert {
    condition     = length(aws_eks_cluster.this.enabled_cluster_log_types) == 5
    error_message = "all five kinds of logs, audit among them"
  }
  assert {
    condition     = aws_cloudwatch_log_group.control_plane.name == "/aws/eks/vitrine-test/cluster" && aws_cloudwatch_log_group.control_plane.retention_in_days == 365
    error_message = "EKS writes into the group of this name, and would keep it for ever"
  }
  assert {
    condition     = aws_eks_cluster.this.upgrade_policy[0].support_type == "STANDARD"
    error_message = "extended support is paid for six-fold"
  }
  assert {
    condition     = jsondecode(aws_iam_role_policy.cluster_key.policy).Statement[0].Resource == [var.key_arn]
    error_message = "the cluster uses its key, and no other"
  }
}

run "offices_reach_it_if_they_are_named" {
  variables {
    public_access_cidrs = ["203.0.113.0/24"]
  }

  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_public_access && toset(aws_eks_cluster.this.vpc_config[0].public_access_cidrs) == toset(["203.0.113.0/24"])
    error_message = "open to those networks, and no others"
  }
  assert {
    condition     = aws_eks_cluster.this.vpc_config[0].endpoint_private_access
    error_message = "nodes still reach it within the VPC"
  }
}

run "access_is_by_entries_alone" {
  variables {
    deployers = { "arn:aws:iam::123456789012:role/pipeline" = ["vitrine"] }
  }

  assert {
    condition = (
      aws_eks_cluster.this.access_config[0].authentication_mode == "API" && !aws_eks_cluster.this.access_config[0].bootstrap_cluster_creator_admin_permissions
    )
    error_message = "nobody is an administrator without being listed"
  }
  assert {
    condition = alltrue([
      for association in aws_eks_access_policy_association.administrators :
      association.policy_arn == "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy" && association.access_scope[0].type == "cluster"
    ]) && keys(aws_eks_access_policy_association.administrators) == ["arn:aws:iam::123456789012:role/platform"]
    error_message = "administrators may do everything, and nobody else"
  }
  assert {
    condition = alltrue([
      for association in aws_eks_access_policy_association.deployers :
      endswith(association.policy_arn, "/AmazonEKSEditPolicy") && association.access_scope[0].type == "namespace" && association.access_scope[0].namespaces == toset(["vitrine"])
    ]) && length(aws_eks_access_policy_association.deployers) == 1
    error_message = "the pipeline installs into its namespace, and no further"
  }
}

run "nodes_are_private_and_give_their_role_to_no_pod" {
  variables {
    gpu_nodes = { enabled = true }
  }

  assert {
    condition     = alltrue([for group in aws_eks_node_group.this : group.subnet_ids == toset(["subnet-private-a", "subnet-private-b"])])
    error_message = "nodes lie in the subnets that were given, and in no others"
  }
  assert {
    condition = alltrue([
      for template in aws_launch_template.nodes : template.metadata_options[0].http_tokens == "required" && template.metadata_options[0].http_put_response_hop_limit == 1
    ]) && length(aws_launch_template.nodes) == 2
    error_message = "IMDSv2, one hop"
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.nodes : length(template.network_interfaces) == 0])
    error_message = "an interface of its own could bring a public address"
  }
  assert {
    condition = alltrue(flatten([
      for template in aws_launch_template.nodes : [
        for disk in template.block_device_mappings : disk.ebs[0].encrypted == "true" && disk.ebs[0].kms_key_id == var.disk_key_arn && disk.ebs[0].volume_type == "gp3"
      ]
    ])) && alltrue([for template in aws_launch_template.nodes : length(template.block_device_mappings) == 2])
    error_message = "both disks of Bottlerocket are encrypted with our key"
  }
  assert {
    condition     = alltrue([for template in aws_launch_template.nodes : contains(template.vpc_security_group_ids, output.node_security_group_id)])
    error_message = "the database lets this group in"
  }
  assert {
    condition     = alltrue([for key, group in aws_eks_node_group.this : group.launch_template[0].id == aws_launch_template.nodes[key].id && length(group.remote_access) == 0])
    error_message = "nodes are made by the template, and nobody logs in by SSH"
  }
  assert {
    condition     = toset(keys(aws_iam_role_policy_attachment.nodes)) == toset(["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly"])
    error_message = "nodes join and fetch images, no more"
  }
}

run "gpus_are_for_those_that_ask_for_them" {
  state_key = "gpus"

  variables {
    cpu_nodes = { min = 3, max = 9, desired = 4, disk_gb = 200 }
    gpu_nodes = { enabled = true, min = 0, max = 3, desired = 1, instance_types = ["g5.2xlarge"] }
  }

  assert {
    condition = toset([for taint in aws_eks_node_group.this["gpu"].taint : "${taint.key}=${taint.value}:${taint.effect}"]) == toset([
      "nvidia.com/gpu=true:NO_SCHEDULE"
    ])
    error_message = "everything would run on the dearest nodes"
  }
  assert {
    condition     = aws_eks_node_group.this["gpu"].labels["accelerator"] == "nvidia" && output.gpu_node_selector["accelerator"] == "nvidia"
    error_message = "the chart's model servers select by this label"
  }
  assert {
    condition     = aws_eks_node_group.this["gpu"].ami_type == "BOTTLEROCKET_x86_64_NVIDIA" && aws_eks_node_group.this["gpu"].instance_types[0] == "g5.2xlarge"
    error_message = "without the driver there is no nvidia.com/gpu"
  }
  assert {
    condition     = length(aws_eks_node_group.this["cpu"].taint) == 0 && aws_eks_node_group.this["cpu"].ami_type == "BOTTLEROCKET_x86_64"
    error_message = "nodes for everything take everything"
  }
  assert {
    condition = (
      aws_eks_node_group.this["cpu"].scaling_config[0].min_size == 3 && aws_eks_node_group.this["cpu"].scaling_config[0].max_size == 9 &&
      aws_eks_node_group.this["cpu"].scaling_config[0].desired_size == 4 && aws_eks_node_group.this["gpu"].scaling_config[0].min_size == 0
    )
    error_message = "as many as were asked for"
  }
  assert {
    condition     = [for disk in aws_launch_template.nodes["cpu"].block_device_mappings : disk.ebs[0].volume_size if disk.device_name == "/dev/xvdb"] == [200]
    error_message = "the second disk is the one of images and pods"
  }
}

# On the state of the run before: what the autoscaler chose must survive the next apply.
run "the_autoscaler_keeps_its_number" {
  state_key = "gpus"

  variables {
    cpu_nodes = { min = 3, max = 9, desired = 8, disk_gb = 200 }
    gpu_nodes = { enabled = true, min = 0, max = 3, desired = 1, instance_types = ["g5.2xlarge"] }
  }

  assert {
    condition     = aws_eks_node_group.this["cpu"].scaling_config[0].desired_size == 4
    error_message = "an apply would take away nodes that work"
  }
}

run "without_gpus_there_are_none" {
  assert {
    condition     = keys(aws_eks_node_group.this) == ["cpu"] && keys(aws_launch_template.nodes) == ["cpu"] && length(output.gpu_node_selector) == 0
    error_message = "GPUs only where they are asked for"
  }
}

run "add_ons_are_kept_by_eks" {
  assert {
    condition     = toset(concat(keys(aws_eks_addon.before_nodes), keys(aws_eks_addon.on_nodes))) == toset(["vpc-cni", "kube-proxy", "coredns", "aws-ebs-csi-driver", "metrics-server"])
    error_message = "what a cluster cannot be without"
  }
  assert {
    condition     = jsondecode(aws_eks_addon.before_nodes["vpc-cni"].configuration_values).enableNetworkPolicy == "true"
    error_message = "the chart's network policies would be words on paper"
  }
  assert {
    condition     = !aws_eks_cluster.this.bootstrap_self_managed_addons
    error_message = "two of each would be installed"
  }
  assert {
    condition = (
      aws_eks_addon.before_nodes["vpc-cni"].service_account_role_arn == aws_iam_role.system["cni"].arn &&
      aws_eks_addon.on_nodes["aws-ebs-csi-driver"].service_account_role_arn == aws_iam_role.system["ebs-csi"].arn
    )
    error_message = "add-ons that speak to AWS have roles of their own"
  }
}

run "each_role_of_an_add_on_is_one_account_s" {
  assert {
    condition = {
      for key, role in aws_iam_role.system : key => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["oidc.eks.eu-central-1.amazonaws.com/id/ABC:sub"]
      } == {
      autoscaler = "system:serviceaccount:kube-system:cluster-autoscaler"
      cni        = "system:serviceaccount:kube-system:aws-node"
      ebs-csi    = "system:serviceaccount:kube-system:ebs-csi-controller-sa"
    }
    error_message = "any other pod could take the role"
  }
  assert {
    condition = alltrue([
      for role in aws_iam_role.system : jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals["oidc.eks.eu-central-1.amazonaws.com/id/ABC:aud"] == "sts.amazonaws.com"
    ])
    error_message = "tokens for somebody else would do"
  }
  assert {
    condition     = aws_iam_openid_connect_provider.this.url == output.oidc_issuer && contains(aws_iam_openid_connect_provider.this.client_id_list, "sts.amazonaws.com")
    error_message = "IAM believes the issuer of this cluster"
  }
  assert {
    condition = alltrue([
      for statement in jsondecode(aws_iam_role_policy.autoscaler.policy).Statement :
      can(statement.Condition.StringEquals["aws:ResourceTag/k8s.io/cluster-autoscaler/vitrine-test"])
      if length([for action in statement.Action : action if can(regex(":(Set|Terminate|Update|Delete|Create)", action))]) > 0
    ])
    error_message = "the autoscaler would scale what is not this cluster's"
  }
  assert {
    condition = !anytrue(flatten([
      for policy in [aws_iam_role_policy.autoscaler.policy, aws_iam_role_policy.ebs_csi_key.policy, aws_iam_role_policy.cluster_key.policy] :
      [for statement in jsondecode(policy).Statement : [for action in statement.Action : strcontains(action, "*")]]
    ]))
    error_message = "an action with a wildcard"
  }
}

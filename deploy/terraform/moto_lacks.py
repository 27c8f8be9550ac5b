"""What moto has not, or has otherwise than AWS: laid over the copy of a module as ``moto_override.tf``.

This is all that a rehearsal leaves out or looks away from. Terraform merges such a file into the blocks of
the same address; the module itself knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Mapping

LACKS: Mapping[str, str] = {
    "modules/cluster": """
# moto's EKS has clusters and groups of nodes: neither add-ons nor access entries.
resource "aws_eks_addon" "before_nodes" {
  for_each = {}
}

resource "aws_eks_addon" "on_nodes" {
  for_each = {}
}

resource "aws_eks_access_entry" "administrators" {
  for_each = toset([])
}

resource "aws_eks_access_entry" "deployers" {
  for_each = {}
}

resource "aws_eks_access_policy_association" "deployers" {
  for_each = {}
}

# It does not answer what it was told here …
resource "aws_eks_cluster" "this" {
  lifecycle {
    ignore_changes = [access_config, bootstrap_self_managed_addons, upgrade_policy]
  }
}

# … and here, and makes up a key to log in with.
resource "aws_eks_node_group" "this" {
  lifecycle {
    ignore_changes = [
      scaling_config[0].desired_size, labels, node_repair_config, remote_access, tags, update_config,
    ]
  }
}

# Its clusters have no security group of their own, and tags of a template are those of its instances to it.
resource "aws_launch_template" "nodes" {
  vpc_security_group_ids = [aws_security_group.nodes.id]

  lifecycle {
    ignore_changes = [tag_specifications]
  }
}
""",
    "modules/database": """
# It forgets what a rule is for where that names a group.
resource "aws_vpc_security_group_ingress_rule" "clients" {
  lifecycle {
    ignore_changes = [description]
  }
}

# It takes parameters, and tells none.
resource "aws_db_parameter_group" "this" {
  lifecycle {
    ignore_changes = [parameter]
  }
}

# It has no Performance Insights.
resource "aws_db_instance" "this" {
  lifecycle {
    ignore_changes = [
      performance_insights_enabled, performance_insights_kms_key_id, performance_insights_retention_period,
    ]
  }
}
""",
    "modules/broker": """
# As in modules/database.
resource "aws_vpc_security_group_ingress_rule" "clients" {
  lifecycle {
    ignore_changes = [description]
  }
}
""",
}

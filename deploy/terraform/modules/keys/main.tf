# Customer keys of one installation: `data` (disks, database, logs), `secrets` (Kubernetes' secrets, Secrets
# Manager) and `storage` (buckets, images). Three, so that a right to read pictures is none to read passwords.
#
# Each policy tells apart who looks after a key and who uses it: administrators decrypt nothing, and what encrypts and
# decrypts does so through the services that the key is for, as far as IAM policies let it. Only what has no IAM policy
# of ours is let in by the policy of the key itself: the service of logs, and Auto Scaling's disks.

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

resource "aws_kms_key" "this" {
  for_each = local.keys

  description             = each.value.description
  policy                  = local.policies[each.key]
  enable_key_rotation     = true
  deletion_window_in_days = var.deletion_window_days
  tags                    = merge(var.tags, { Name = "${var.name}-${each.key}" })
}

resource "aws_kms_alias" "this" {
  for_each = aws_kms_key.this

  name          = "alias/${var.name}-${each.key}"
  target_key_id = each.value.key_id
}

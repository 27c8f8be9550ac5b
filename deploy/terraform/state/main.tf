# The bucket for the states of the environments, with a key of its own: made once for an account, before everything else
# (README.md, "The bucket for the states"). Its own state goes into it at last.

provider "aws" {
  region = var.region

  default_tags {
    tags = { application = "vitrine", part = "terraform-state" }
  }
}

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

resource "aws_kms_key" "this" {
  description             = "States of Terraform, for ${var.name}"
  enable_key_rotation     = true
  deletion_window_in_days = 30

  # IAM policies of the account decide, as they do on the bucket. In the policy of a key, "*" is that key.
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "AsIamSays"
      Effect    = "Allow"
      Action    = "kms:*"
      Resource  = "*"
      Principal = { AWS = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root" }
    }]
  })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}

module "bucket" {
  source = "../modules/bucket"

  bucket  = "${var.name}-${data.aws_caller_identity.current.account_id}"
  key_arn = aws_kms_key.this.arn
  # A state is small, and the way back from a mistake is long.
  earlier_versions_days = 365
}

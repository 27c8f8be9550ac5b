# Roles of the pods (IRSA): one for each component of the chart that speaks to S3, which only its service account can take,
# and which can do what that component does and nothing else (rights.tf). One more reads secrets out of Secrets Manager, for
# the External Secrets Operator.

data "aws_region" "current" {}

locals {
  region = data.aws_region.current.name
  issuer = trimprefix(var.oidc_issuer, "https://")

  subjects = { for component, account in var.service_accounts : component => "system:serviceaccount:${var.namespace}:${account}" }
  # modelServer in the chart's values, model-server in names.
  role_names = { for component in keys(var.service_accounts) : component => "${var.name}-${lower(replace(component, "/([A-Z])/", "-$1"))}" }
}

resource "aws_iam_role" "component" {
  for_each = var.service_accounts

  name        = local.role_names[each.key]
  description = "Vitrine's ${each.key} in ${var.namespace}, as ${each.value}"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = var.oidc_provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      # Both, and to the letter: without `sub` any pod of the cluster could take the role, without `aud` a token that was
      # made for somebody else would do.
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = local.subjects[each.key]
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "component" {
  for_each = var.service_accounts

  name = "objects"
  role = aws_iam_role.component[each.key].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [for right in local.rights[each.key] : { Effect = "Allow", Action = right.actions, Resource = right.resources }],
      [{
        Effect    = "Allow"
        Action    = contains(flatten([for right in local.rights[each.key] : right.actions]), "s3:PutObject") ? ["kms:Decrypt", "kms:GenerateDataKey"] : ["kms:Decrypt"]
        Resource  = [var.storage_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.region}.amazonaws.com" } }
      }],
    )
  })
}

resource "aws_iam_role" "external_secrets" {
  count = length(var.secret_arns) > 0 ? 1 : 0

  name        = "${var.name}-external-secrets"
  description = "Reads the secrets of ${var.name}, as ${var.external_secrets.service_account} in ${var.external_secrets.namespace}"
  tags        = var.tags

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Federated = var.oidc_provider_arn }
      Action    = "sts:AssumeRoleWithWebIdentity"
      Condition = {
        StringEquals = {
          "${local.issuer}:aud" = "sts.amazonaws.com"
          "${local.issuer}:sub" = "system:serviceaccount:${var.external_secrets.namespace}:${var.external_secrets.service_account}"
        }
      }
    }]
  })
}

resource "aws_iam_role_policy" "external_secrets" {
  count = length(aws_iam_role.external_secrets)

  name = "secrets"
  role = aws_iam_role.external_secrets[0].id

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [{
        Effect   = "Allow"
        Action   = ["secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"]
        Resource = var.secret_arns
      }],
      [for key in var.secrets_key_arn == null ? [] : [var.secrets_key_arn] : {
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [key]
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.region}.amazonaws.com" } }
      }],
    )
  })
}

# Who may do what with the keys. In the policy of a key, the resource "*" is that key.

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.name
  # In the policy of a key: "as IAM policies of the account say", not everybody in it.
  by_iam = "arn:${local.partition}:iam::${local.account}:root"

  keys = {
    data = {
      description = "Disks, database and logs of ${var.name}"
      services    = ["ec2", "rds"]
    }
    secrets = {
      description = "Secrets of ${var.name}"
      services    = ["secretsmanager"]
    }
    storage = {
      description = "Pictures, models, backups and images of ${var.name}"
      services    = ["ecr", "s3"]
    }
  }

  policies = {
    for name, key in local.keys : name => jsonencode({
      Version = "2012-10-17"
      Statement = [
        for statement in concat(
          local.administration,
          [merge(local.use_through_services, {
            Condition = {
              StringEquals = {
                "kms:CallerAccount" = local.account
                "kms:ViaService"    = [for service in key.services : "${service}.${local.region}.amazonaws.com"]
              }
            }
          })],
          local.grants,
          local.further[name],
        ) : merge({ Effect = "Allow", Resource = "*" }, statement)
      ]
    })
  }

  use = [
    "kms:Decrypt",
    "kms:DescribeKey",
    "kms:Encrypt",
    "kms:GenerateDataKey",
    "kms:GenerateDataKeyWithoutPlaintext",
    "kms:ReEncryptFrom",
    "kms:ReEncryptTo",
  ]

  use_through_services = {
    Sid       = "UseThroughItsServices"
    Principal = { AWS = local.by_iam }
    # ECR gives its grant back when a repository is deleted.
    Action = concat(local.use, ["kms:RetireGrant"])
  }

  # Disks and databases hold on to a key by a grant, which their service makes.
  grants = [
    {
      Sid       = "GrantsToServices"
      Principal = { AWS = local.by_iam }
      Action    = ["kms:CreateGrant"]
      Condition = {
        StringEquals = { "kms:CallerAccount" = local.account }
        Bool         = { "kms:GrantIsForAWSResource" = "true" }
      }
    },
    {
      Sid       = "Look"
      Principal = { AWS = local.by_iam }
      Action    = ["kms:DescribeKey"]
      Condition = { StringEquals = { "kms:CallerAccount" = local.account } }
    },
  ]

  further = {
    data = [
      {
        Sid       = "Logs"
        Principal = { Service = "logs.${local.region}.amazonaws.com" }
        Action    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
        Condition = {
          ArnLike = {
            "kms:EncryptionContext:aws:logs:arn" = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group:*"
          }
        }
      },
      # Auto Scaling makes the nodes and their disks, by a role that AWS owns. A fresh account does not have it yet, and a
      # policy that names a principal which is not there is refused: so it is a condition.
      {
        Sid       = "DisksOfAutoScaling"
        Principal = { AWS = "*" }
        Action    = local.use
        Condition = {
          StringEquals = { "kms:CallerAccount" = local.account }
          ArnEquals    = { "aws:PrincipalArn" = local.auto_scaling }
        }
      },
      {
        Sid       = "GrantsOfAutoScaling"
        Principal = { AWS = "*" }
        Action    = ["kms:CreateGrant"]
        Condition = {
          StringEquals = { "kms:CallerAccount" = local.account }
          ArnEquals    = { "aws:PrincipalArn" = local.auto_scaling }
          Bool         = { "kms:GrantIsForAWSResource" = "true" }
        }
      },
    ]
    secrets = [
      # The control plane encrypts as the cluster's role, and through no service.
      {
        Sid       = "SecretsOfTheCluster"
        Principal = { AWS = local.by_iam }
        Action    = ["kms:Decrypt", "kms:Encrypt", "kms:ListGrants"]
        Condition = {
          StringEquals = { "kms:CallerAccount" = local.account }
          ArnLike      = { "aws:PrincipalArn" = "arn:${local.partition}:iam::${local.account}:role/${var.name}-cluster" }
        }
      },
      # So does a cluster, but EKS makes its grant in the name of whoever creates the cluster, and fails where the policy asks for
      # a grant of a service (AWS: enable-kms in the guide of EKS).
      {
        Sid       = "GrantToTheCluster"
        Principal = { AWS = local.by_iam }
        Action    = ["kms:CreateGrant"]
        Condition = { StringEquals = { "kms:CallerAccount" = local.account } }
      },
    ]
    storage = []
  }

  auto_scaling = "arn:${local.partition}:iam::${local.account}:role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling"

  administration = concat(
    [
      {
        Sid       = "Administration"
        Principal = { AWS = coalescelist(var.administrators, [local.by_iam]) }
        Action    = local.look_after
      },
    ],
    # The root user alone (the type `Account` says so): a key whose administrators were deleted would be nobody's for ever.
    [
      for root in [local.by_iam] : {
        Sid       = "RootUserKeepsTheKey"
        Principal = { AWS = root }
        Action    = local.look_after
        Condition = { StringEquals = { "aws:PrincipalType" = "Account" } }
      } if length(var.administrators) > 0
    ],
  )

  look_after = [
    "kms:CancelKeyDeletion",
    "kms:CreateAlias",
    "kms:DeleteAlias",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListGrants",
    "kms:ListKeyPolicies",
    "kms:ListKeyRotations",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:RevokeGrant",
    "kms:RotateKeyOnDemand",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateAlias",
    "kms:UpdateKeyDescription",
  ]
}

mock_provider "aws" {
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
}

variables {
  name              = "vitrine-test"
  oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/ABC"
  oidc_issuer       = "https://oidc.eks.eu-central-1.amazonaws.com/id/ABC"
  namespace         = "vitrine"
  service_accounts = {
    catalogue   = "vitrine-catalogue"
    worker      = "vitrine-worker"
    modelServer = "vitrine-model-server"
    controller  = "vitrine-controller"
    mlflow      = "vitrine-mlflow"
    backup      = "vitrine-backup"
    restore     = "vitrine-restore"
  }
  pictures_bucket_arn = "arn:aws:s3:::pictures-1"
  models_bucket_arn   = "arn:aws:s3:::models-1"
  backups_bucket_arn  = "arn:aws:s3:::backups-1"
  prefixes            = { pictures = "pictures", models = "models", mlflow = "mlflow" }
  storage_key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/storage"
  secret_arns         = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine/site-AbCdEf"]
  secrets_key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/secrets"

  # "COMPONENT ACTION RESOURCE", with wildcards matched as IAM does it.
  allowed = [
    "catalogue s3:GetObject pictures-1/pictures/ab/cd/abcd/original",
    "catalogue s3:PutObject pictures-1/pictures/ab/cd/abcd/original",
    "catalogue s3:DeleteObject pictures-1/pictures/ab/cd/abcd/original",
    "catalogue s3:AbortMultipartUpload pictures-1/pictures/ab/cd/abcd/original",
    "catalogue s3:ListBucket pictures-1",
    "catalogue s3:ListBucketMultipartUploads pictures-1",
    "worker s3:GetObject pictures-1/pictures/ab/cd/abcd/original",
    "worker s3:PutObject pictures-1/pictures/ab/cd/abcd/grid.jpg",
    "worker s3:PutObject pictures-1/pictures/ab/cd/abcd/preview.jpg",
    "worker s3:DeleteObject pictures-1/pictures/ab/cd/abcd/grid.jpg",
    "worker s3:ListBucket pictures-1",
    "modelServer s3:GetObject models-1/models/models.config",
    "modelServer s3:ListBucket models-1",
    "controller s3:GetObject models-1/models/models.config",
    "controller s3:PutObject models-1/models/models.config",
    "controller s3:PutObject models-1/models/tagger/7/saved_model.pb",
    "controller s3:ListBucket models-1",
    "mlflow s3:PutObject models-1/mlflow/1/artifacts/model",
    "mlflow s3:DeleteObject models-1/mlflow/1/artifacts/model",
    "mlflow s3:ListBucket models-1",
    "backup s3:GetObject pictures-1/pictures/ab/cd/abcd/original",
    "backup s3:ListBucket pictures-1",
    "backup s3:PutObject backups-1/backups/20261123T162200Z/backup.json",
    "backup s3:GetObject backups-1/blobs/ab/cd/abcd/original",
    "backup s3:DeleteObject backups-1/blobs/ab/cd/abcd/original",
    "backup s3:ListBucket backups-1",
    "restore s3:GetObject backups-1/blobs/ab/cd/abcd/original",
    "restore s3:PutObject pictures-1/pictures/ab/cd/abcd/original",
    "restore s3:ListBucket backups-1",
  ]
  forbidden = [
    "catalogue s3:PutObject pictures-1/elsewhere/ab/cd/abcd/original",
    "catalogue s3:GetObject models-1/models/models.config",
    "catalogue s3:GetObject backups-1/backups/20261123T162200Z/database.dump",
    "catalogue s3:DeleteObject backups-1/blobs/ab/cd/abcd/original",
    "worker s3:DeleteObject pictures-1/pictures/ab/cd/abcd/original",
    "worker s3:PutObject pictures-1/pictures/ab/cd/abcd/original",
    "worker s3:GetObject models-1/models/models.config",
    "worker s3:GetObject backups-1/backups/20261123T162200Z/database.dump",
    "modelServer s3:PutObject models-1/models/models.config",
    "modelServer s3:DeleteObject models-1/models/models.config",
    "modelServer s3:GetObject models-1/mlflow/1/artifacts/model",
    "modelServer s3:GetObject pictures-1/pictures/ab/cd/abcd/original",
    "controller s3:DeleteObject models-1/models/tagger/7/saved_model.pb",
    "controller s3:PutObject models-1/mlflow/1/artifacts/model",
    "controller s3:GetObject pictures-1/pictures/ab/cd/abcd/original",
    "mlflow s3:PutObject models-1/models/models.config",
    "mlflow s3:GetObject pictures-1/pictures/ab/cd/abcd/original",
    "backup s3:PutObject pictures-1/pictures/ab/cd/abcd/original",
    "backup s3:DeleteObject pictures-1/pictures/ab/cd/abcd/original",
    "restore s3:PutObject backups-1/blobs/ab/cd/abcd/original",
    "restore s3:DeleteObject backups-1/blobs/ab/cd/abcd/original",
    "restore s3:DeleteObject pictures-1/pictures/ab/cd/abcd/original",
  ]
}

run "components_can_do_what_they_do" {
  command = plan

  assert {
    condition = length([
      for question in var.allowed : question if !anytrue([
        for statement in jsondecode(aws_iam_role_policy.component[split(" ", question)[0]].policy).Statement :
        contains(statement.Action, split(" ", question)[1]) && anytrue([
          for resource in statement.Resource : can(regex("^${replace(replace(resource, ".", "\\."), "*", ".*")}$", "arn:aws:s3:::${split(" ", question)[2]}"))
        ])
      ])
    ]) == 0
    # The same once more, to say which.
    error_message = "missing, which would look like an outage of the object store: ${join(", ", [
      for question in var.allowed : question if !anytrue([
        for statement in jsondecode(aws_iam_role_policy.component[split(" ", question)[0]].policy).Statement :
        contains(statement.Action, split(" ", question)[1]) && anytrue([
          for resource in statement.Resource : can(regex("^${replace(replace(resource, ".", "\\."), "*", ".*")}$", "arn:aws:s3:::${split(" ", question)[2]}"))
        ])
      ])
    ])}"
  }
}

run "components_cannot_do_what_they_do_not" {
  command = plan

  assert {
    condition = length([
      for question in var.forbidden : question if anytrue([
        for statement in jsondecode(aws_iam_role_policy.component[split(" ", question)[0]].policy).Statement :
        contains(statement.Action, split(" ", question)[1]) && anytrue([
          for resource in statement.Resource : can(regex("^${replace(replace(resource, ".", "\\."), "*", ".*")}$", "arn:aws:s3:::${split(" ", question)[2]}"))
        ])
      ])
    ]) == 0
    # The same once more, to say which.
    error_message = "granted, though it is nobody's business there: ${join(", ", [
      for question in var.forbidden : question if anytrue([
        for statement in jsondecode(aws_iam_role_policy.component[split(" ", question)[0]].policy).Statement :
        contains(statement.Action, split(" ", question)[1]) && anytrue([
          for resource in statement.Resource : can(regex("^${replace(replace(resource, ".", "\\."), "*", ".*")}$", "arn:aws:s3:::${split(" ", question)[2]}"))
        ])
      ])
    ])}"
  }
}

run "no_right_has_a_wildcard_or_reaches_everything" {
  command = plan

  assert {
    condition = !anytrue(flatten([
      for policy in concat(values(aws_iam_role_policy.component), aws_iam_role_policy.external_secrets) : [
        for statement in jsondecode(policy.policy).Statement : concat(
          [for action in statement.Action : strcontains(action, "*")],
          [for resource in statement.Resource : resource == "*" || !startswith(resource, "arn:aws:")],
        )
      ]
    ]))
    error_message = "every action and every resource has a name"
  }
  assert {
    condition = alltrue(flatten([
      for policy in aws_iam_role_policy.component : [
        for statement in jsondecode(policy.policy).Statement :
        statement.Resource == ["arn:aws:kms:eu-central-1:123456789012:key/storage"] && statement.Condition.StringEquals["kms:ViaService"] == "s3.eu-central-1.amazonaws.com"
        if anytrue([for action in statement.Action : startswith(action, "kms:")])
      ]
    ]))
    error_message = "the key of the buckets, and only through S3"
  }
  assert {
    condition = alltrue([
      for component in ["modelServer"] : !anytrue([
        for statement in jsondecode(aws_iam_role_policy.component[component].policy).Statement : contains(statement.Action, "kms:GenerateDataKey")
      ])
    ])
    error_message = "who writes nothing encrypts nothing"
  }
  assert {
    condition = alltrue([
      for component in ["catalogue", "worker", "controller", "mlflow", "backup", "restore"] : anytrue([
        for statement in jsondecode(aws_iam_role_policy.component[component].policy).Statement : contains(statement.Action, "kms:GenerateDataKey")
      ])
    ])
    error_message = "who writes has to encrypt"
  }
}

run "a_role_is_taken_by_its_service_account_alone" {
  command = plan

  assert {
    condition = {
      for component, role in aws_iam_role.component : component => jsondecode(role.assume_role_policy).Statement[0].Condition.StringEquals
      } == {
      for component, account in {
        backup      = "vitrine-backup"
        catalogue   = "vitrine-catalogue"
        controller  = "vitrine-controller"
        mlflow      = "vitrine-mlflow"
        modelServer = "vitrine-model-server"
        restore     = "vitrine-restore"
        worker      = "vitrine-worker"
        } : component => {
        "oidc.eks.eu-central-1.amazonaws.com/id/ABC:aud" = "sts.amazonaws.com"
        "oidc.eks.eu-central-1.amazonaws.com/id/ABC:sub" = "system:serviceaccount:vitrine:${account}"
      }
    }
    error_message = "sub and aud, to the letter"
  }
  assert {
    condition = alltrue([
      for role in concat(values(aws_iam_role.component), aws_iam_role.external_secrets) :
      jsondecode(role.assume_role_policy).Statement[0].Action == "sts:AssumeRoleWithWebIdentity" &&
      jsondecode(role.assume_role_policy).Statement[0].Principal.Federated == var.oidc_provider_arn && length(jsondecode(role.assume_role_policy).Statement) == 1
    ])
    error_message = "by a token of this cluster, and by nothing else"
  }
  assert {
    condition     = aws_iam_role.component["modelServer"].name == "vitrine-test-model-server" && aws_iam_role.component["worker"].name == "vitrine-test-worker"
    error_message = "names as in Kubernetes"
  }
}

run "external_secrets_reads_the_named_secrets" {
  command = plan

  assert {
    condition = { for statement in jsondecode(aws_iam_role_policy.external_secrets[0].policy).Statement : join(" ", statement.Action) => statement.Resource } == {
      "secretsmanager:DescribeSecret secretsmanager:GetSecretValue" = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine/site-AbCdEf"]
      "kms:Decrypt"                                                 = ["arn:aws:kms:eu-central-1:123456789012:key/secrets"]
    }
    error_message = "those, and no others"
  }
  assert {
    condition = jsondecode(aws_iam_role.external_secrets[0].assume_role_policy).Statement[0].Condition.StringEquals == {
      "oidc.eks.eu-central-1.amazonaws.com/id/ABC:aud" = "sts.amazonaws.com"
      "oidc.eks.eu-central-1.amazonaws.com/id/ABC:sub" = "system:serviceaccount:external-secrets:external-secrets"
    }
    error_message = "only the operator takes it"
  }
}

run "only_what_is_asked_for_gets_a_role" {
  command = plan

  variables {
    service_accounts = { worker = "vitrine-worker" }
    secret_arns      = []
  }

  assert {
    condition     = keys(aws_iam_role.component) == ["worker"] && length(aws_iam_role.external_secrets) == 0
    error_message = "a role that nobody needs somebody else will find"
  }
}

run "without_prefixes_it_is_the_whole_bucket" {
  command = plan

  variables {
    prefixes    = {}
    oidc_issuer = "oidc.eks.eu-central-1.amazonaws.com/id/ABC"
  }

  assert {
    condition     = contains(flatten([for statement in jsondecode(aws_iam_role_policy.component["modelServer"].policy).Statement : statement.Resource]), "arn:aws:s3:::models-1/*")
    error_message = "objects of the bucket"
  }
  assert {
    condition     = contains(flatten([for statement in jsondecode(aws_iam_role_policy.component["worker"].policy).Statement : statement.Resource]), "arn:aws:s3:::pictures-1/*/original")
    error_message = "originals of the bucket"
  }
  assert {
    condition     = contains(keys(jsondecode(aws_iam_role.component["worker"].assume_role_policy).Statement[0].Condition.StringEquals), "oidc.eks.eu-central-1.amazonaws.com/id/ABC:sub")
    error_message = "an issuer is understood without https://, too"
  }
}

run "a_component_that_is_not_there_is_refused" {
  command         = plan
  expect_failures = [var.service_accounts]

  variables {
    service_accounts = { webserver = "vitrine-web" }
  }
}

run "one_account_for_two_components_is_refused" {
  command         = plan
  expect_failures = [var.service_accounts]

  variables {
    service_accounts = { worker = "vitrine", catalogue = "vitrine" }
  }
}

run "every_account_of_a_namespace_is_refused" {
  command         = plan
  expect_failures = [var.service_accounts]

  variables {
    service_accounts = { worker = "*" }
  }
}

run "every_namespace_is_refused" {
  command         = plan
  expect_failures = [var.namespace]

  variables {
    namespace = "*"
  }
}

run "every_secret_is_refused" {
  command         = plan
  expect_failures = [var.secret_arns]

  variables {
    secret_arns = ["arn:aws:secretsmanager:eu-central-1:123456789012:secret:*"]
  }
}

run "every_bucket_is_refused" {
  command         = plan
  expect_failures = [var.pictures_bucket_arn]

  variables {
    pictures_bucket_arn = "arn:aws:s3:::*"
  }
}

run "backups_beside_what_they_are_of_are_refused" {
  command         = plan
  expect_failures = [var.backups_bucket_arn]

  variables {
    backups_bucket_arn = "arn:aws:s3:::pictures-1"
  }
}

run "a_prefix_with_a_wildcard_is_refused" {
  command         = plan
  expect_failures = [var.prefixes]

  variables {
    prefixes = { models = "*" }
  }
}

run "every_key_is_refused" {
  command         = plan
  expect_failures = [var.storage_key_arn]

  variables {
    storage_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/*"
  }
}

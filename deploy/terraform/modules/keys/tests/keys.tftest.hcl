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
}

variables {
  name           = "vitrine-test"
  administrators = ["arn:aws:iam::123456789012:role/platform"]
}

run "three_keys_that_rotate_and_can_be_called_back" {
  command = plan

  assert {
    condition     = toset(keys(aws_kms_key.this)) == toset(["data", "secrets", "storage"])
    error_message = "the contract with the other modules is these three"
  }
  assert {
    condition     = alltrue([for key in aws_kms_key.this : key.enable_key_rotation && key.deletion_window_in_days == 30])
    error_message = "every key rotates, and is kept for a month after its deletion"
  }
  assert {
    condition     = aws_kms_alias.this["storage"].name == "alias/vitrine-test-storage"
    error_message = "aliases begin with the installation's name"
  }
}

run "no_policy_grants_everything" {
  command = plan

  assert {
    condition = !anytrue(flatten([
      for key in aws_kms_key.this : [for statement in jsondecode(key.policy).Statement : [for action in statement.Action : strcontains(action, "*")]]
    ]))
    error_message = "an action with a wildcard"
  }
  assert {
    condition = alltrue(flatten([
      for key in aws_kms_key.this : [
        for statement in jsondecode(key.policy).Statement : can(statement.Condition.ArnEquals["aws:PrincipalArn"])
        if try(statement.Principal.AWS, "") == "*"
      ]
    ]))
    error_message = "every principal, without a condition on who it is"
  }
}

run "administrators_decrypt_nothing" {
  command = plan

  assert {
    condition = alltrue(flatten([
      for key in aws_kms_key.this : [
        for statement in jsondecode(key.policy).Statement : length(setintersection(statement.Action,
        ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:CreateGrant"])) == 0
        if try(contains(statement.Principal.AWS, "arn:aws:iam::123456789012:role/platform"), false)
      ]
    ]))
    error_message = "who looks after a key must not be able to read with it"
  }
  # Whoever IAM lets may use a key, but not change its policy: that is for the administrators and the root user.
  assert {
    condition = alltrue(flatten([
      for key in aws_kms_key.this : [
        for statement in jsondecode(key.policy).Statement : try(statement.Condition.StringEquals["aws:PrincipalType"], "") == "Account"
        if contains(statement.Action, "kms:PutKeyPolicy") && try(statement.Principal.AWS, "") == "arn:aws:iam::123456789012:root"
      ]
    ]))
    error_message = "the account as a whole may change policies although administrators are named"
  }
}

run "each_key_serves_its_services_alone" {
  command = plan

  assert {
    condition = {
      for name, key in aws_kms_key.this : name => one([
        for statement in jsondecode(key.policy).Statement : statement.Condition.StringEquals["kms:ViaService"] if statement.Sid == "UseThroughItsServices"
      ])
      } == {
      data    = ["ec2.eu-central-1.amazonaws.com", "rds.eu-central-1.amazonaws.com"]
      secrets = ["secretsmanager.eu-central-1.amazonaws.com"]
      storage = ["ecr.eu-central-1.amazonaws.com", "s3.eu-central-1.amazonaws.com"]
    }
    error_message = "a right to read pictures must be none to read passwords"
  }
  # Without a service between, only the control plane decrypts, the logs' service and Auto Scaling.
  assert {
    condition = toset(flatten([
      for key in aws_kms_key.this : [
        for statement in jsondecode(key.policy).Statement : statement.Sid
        if contains(statement.Action, "kms:Decrypt") && !can(statement.Condition.StringEquals["kms:ViaService"])
      ]
    ])) == toset(["DisksOfAutoScaling", "Logs", "SecretsOfTheCluster"])
    error_message = "decrypting past the services"
  }
  assert {
    condition = alltrue(flatten([
      for key in aws_kms_key.this : [
        for statement in jsondecode(key.policy).Statement : statement.Condition.Bool["kms:GrantIsForAWSResource"] == "true"
        if contains(statement.Action, "kms:CreateGrant") && statement.Sid != "GrantToTheCluster"
      ]
    ]))
    error_message = "a grant that is not a service's hands the key on to anybody"
  }
  assert {
    condition = [
      for name, key in aws_kms_key.this : name if anytrue([
        for statement in jsondecode(key.policy).Statement : statement.Action == ["kms:CreateGrant"] && !can(statement.Condition.Bool)
      ])
    ] == ["secrets"]
    error_message = "EKS can make a cluster only where its key asks for no grant of a service; the other keys do ask"
  }
}

run "without_administrators_iam_decides" {
  command = plan

  variables {
    administrators = []
  }

  assert {
    condition = alltrue([
      for key in aws_kms_key.this : one([
        for statement in jsondecode(key.policy).Statement : statement.Principal.AWS if statement.Sid == "Administration"
      ]) == ["arn:aws:iam::123456789012:root"]
    ])
    error_message = "somebody has to be able to change the policy"
  }
}

run "everybody_is_no_administrator" {
  command         = plan
  expect_failures = [var.administrators]

  variables {
    administrators = ["*"]
  }
}

run "nor_is_a_role_with_a_wildcard" {
  command         = plan
  expect_failures = [var.administrators]

  variables {
    administrators = ["arn:aws:iam::123456789012:role/*"]
  }
}

run "a_name_with_capitals_is_refused" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "Vitrine_Test"
  }
}

run "a_key_gone_within_a_day_is_refused" {
  command         = plan
  expect_failures = [var.deletion_window_days]

  variables {
    deletion_window_days = 1
  }
}

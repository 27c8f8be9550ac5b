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

# Each part has tests of its own; here it is what they tell each other.
override_module {
  target = module.keys
  outputs = {
    arns = {
      data    = "arn:aws:kms:eu-central-1:123456789012:key/data"
      secrets = "arn:aws:kms:eu-central-1:123456789012:key/secrets"
      storage = "arn:aws:kms:eu-central-1:123456789012:key/storage"
    }
  }
}

override_module {
  target = module.network
  outputs = {
    vpc_id              = "vpc-1"
    cidr                = "10.20.0.0/16"
    private_subnet_ids  = ["subnet-1", "subnet-2"]
    isolated_subnet_ids = ["subnet-3", "subnet-4"]
  }
}

override_module {
  target = module.cluster
  outputs = {
    name                   = "vitrine-test"
    oidc_provider_arn      = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-central-1.amazonaws.com/id/1"
    oidc_issuer            = "https://oidc.eks.eu-central-1.amazonaws.com/id/1"
    node_security_group_id = "sg-nodes"
    autoscaler_role_arn    = "arn:aws:iam::123456789012:role/autoscaler"
    gpu_node_selector      = { accelerator = "nvidia" }
  }
}

override_module {
  target = module.database
  outputs = {
    endpoint    = "vitrine-test.abc.eu-central-1.rds.amazonaws.com"
    port        = 5432
    database    = "vitrine"
    username    = "vitrine"
    secret_arn  = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine-test/database-a1b2c3"
    secret_name = "vitrine-test/database"
  }
}

override_module {
  target = module.broker
  outputs = {
    endpoint    = "amqps://b-1.mq.eu-central-1.amazonaws.com:5671"
    console     = "https://b-1.mq.eu-central-1.amazonaws.com"
    secret_arn  = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine-test/broker-a1b2c3"
    secret_name = "vitrine-test/broker"
  }
}

override_module {
  target = module.storage
  outputs = {
    names = { pictures = "the-pictures", models = "the-models", backups = "the-backups" }
    arns  = { pictures = "arn:aws:s3:::the-pictures", models = "arn:aws:s3:::the-models", backups = "arn:aws:s3:::the-backups" }
  }
}

override_module {
  target = module.registry
  outputs = {
    host         = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    urls         = {}
    repositories = { catalogue = "vitrine-test/catalogue", worker = "vitrine-test/worker", training = "vitrine-test/training" }
  }
}

override_module {
  target = module.identity
  outputs = {
    role_arns = {
      catalogue   = "arn:aws:iam::123456789012:role/catalogue"
      worker      = "arn:aws:iam::123456789012:role/worker"
      modelServer = "arn:aws:iam::123456789012:role/model-server"
      controller  = "arn:aws:iam::123456789012:role/controller"
      mlflow      = "arn:aws:iam::123456789012:role/mlflow"
      backup      = "arn:aws:iam::123456789012:role/backup"
      restore     = "arn:aws:iam::123456789012:role/restore"
    }
    external_secrets_role_arn = "arn:aws:iam::123456789012:role/external-secrets"
  }
}

variables {
  name        = "vitrine-test"
  environment = "prod"
  hosts       = ["photos.example.org"]
  network     = { cidr = "10.20.0.0/16" }
  kubernetes = {
    version        = "1.33"
    administrators = ["arn:aws:iam::123456789012:role/platform"]
  }
  cpu_nodes         = { instance_types = ["m6i.large"], min = 2, max = 4, desired = 2 }
  database          = { instance_class = "db.r7g.large" }
  broker            = { instance_type = "mq.m5.large" }
  database_password = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
  passwords = {
    arns = {
      site              = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine-test/site-a1b2c3"
      controller        = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine-test/controller-a1b2c3"
      mlflow            = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine-test/mlflow-a1b2c3"
      database-password = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine-test/database-password-a1b2c3"
      broker-password   = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine-test/broker-password-a1b2c3"
    }
    names = {
      site       = "vitrine-test/site"
      controller = "vitrine-test/controller"
      mlflow     = "vitrine-test/mlflow"
    }
    database_version = 1
  }
}

run "the_chart_is_told_where_everything_is" {
  assert {
    condition = (
      yamldecode(output.chart_values).blobs.url == "s3://the-pictures/pictures"
      && yamldecode(output.chart_values).models.source.url == "s3://the-models/models"
      && yamldecode(output.chart_values).backup.to == "s3://the-backups/vitrine"
      && yamldecode(output.chart_values).objectStore.region == "eu-central-1"
      && yamldecode(output.chart_values).site.hosts == ["photos.example.org"]
      && yamldecode(output.chart_values).images.registry == "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
      && yamldecode(output.chart_values).images.worker.repository == "vitrine-test/worker"
    )
    error_message = output.chart_values
  }

  assert {
    condition = { for component, account in yamldecode(output.chart_values).serviceAccount.components :
      component => account.annotations["eks.amazonaws.com/role-arn"] } == {
      for component in ["backup", "catalogue", "controller", "modelServer", "restore", "worker"] : component =>
      "arn:aws:iam::123456789012:role/${component == "modelServer" ? "model-server" : component}"
    }
    error_message = "a component with the role of another, or with none"
  }

  assert {
    condition     = yamldecode(output.chart_values).networkPolicy.egress.database.to[0].ipBlock.cidr == "10.20.0.0/16"
    error_message = "pods may call databases anywhere"
  }

  assert {
    condition     = !can(yamldecode(output.chart_values).modelServer) && !can(yamldecode(output.chart_values).mlflow)
    error_message = "what was not asked for"
  }
}

run "there_is_no_secret_in_what_the_chart_is_told" {
  assert {
    condition     = !strcontains(output.chart_values, var.database_password) && !strcontains(lower(output.chart_values), "password")
    error_message = output.chart_values
  }

  assert {
    condition = output.secret_names == {
      vitrine-broker     = "vitrine-test/broker"
      vitrine-controller = "vitrine-test/controller"
      vitrine-database   = "vitrine-test/database"
      vitrine-site       = "vitrine-test/site"
    }
    error_message = "External Secrets would look elsewhere"
  }
}

run "gpus_and_mlflow_where_they_are_asked_for" {
  variables {
    gpu_nodes = { enabled = true }
    mlflow    = true
  }

  assert {
    condition = (
      yamldecode(output.chart_values).modelServer.gpu.enabled
      && yamldecode(output.chart_values).modelServer.nodeSelector.accelerator == "nvidia"
      && !yamldecode(output.chart_values).modelServer.autoscaling.enabled
    )
    error_message = "model servers are not on the nodes with GPUs"
  }

  assert {
    condition = (
      yamldecode(output.chart_values).mlflow.backend.uri
      == "postgresql+psycopg://mlflow@vitrine-test.abc.eu-central-1.rds.amazonaws.com:5432/mlflow?sslmode=require"
      && yamldecode(output.chart_values).mlflow.artifacts.url == "s3://the-models/mlflow"
      && yamldecode(output.chart_values).serviceAccount.components.mlflow.annotations["eks.amazonaws.com/role-arn"] == "arn:aws:iam::123456789012:role/mlflow"
      && output.secret_names["vitrine-mlflow"] == "vitrine-test/mlflow"
    )
    error_message = output.chart_values
  }
}

run "prod_gives_up_nothing_that_holds_data_and_nothing_that_bears_a_loss" {
  command = plan
  expect_failures = [
    var.force_destroy, var.database, var.storage, var.backup, var.broker, var.cpu_nodes, var.network,
  ]

  variables {
    force_destroy = true
    database      = { instance_class = "db.r7g.large", deletion_protection = false }
    storage       = { earlier_versions_days = 1 }
    backup        = { enabled = false }
    broker        = { instance_type = "mq.m5.large", deployment_mode = "SINGLE_INSTANCE" }
    cpu_nodes     = { instance_types = ["m6i.large"], min = 1, max = 4, desired = 1 }
    network       = { cidr = "10.20.0.0/16", nat = "one" }
  }
}

run "prod_keeps_a_snapshot_of_a_database_that_goes" {
  command         = plan
  expect_failures = [var.database]

  variables {
    database = { instance_class = "db.r7g.large", final_snapshot = false }
  }
}

run "prod_has_its_database_in_two_zones" {
  command         = plan
  expect_failures = [var.database]

  variables {
    database = { instance_class = "db.r7g.large", multi_az = false }
  }
}

run "prod_can_go_back_by_a_week" {
  command         = plan
  expect_failures = [var.database]

  variables {
    database = { instance_class = "db.r7g.large", backup_days = 1 }
  }
}

run "staging_may_do_all_that" {
  command = plan

  variables {
    environment   = "staging"
    force_destroy = true
    database      = { instance_class = "db.t4g.medium", deletion_protection = false, final_snapshot = false, multi_az = false, backup_days = 1 }
    storage       = { earlier_versions_days = 1 }
    backup        = { enabled = false }
    broker        = { instance_type = "mq.t3.micro", deployment_mode = "SINGLE_INSTANCE" }
    cpu_nodes     = { instance_types = ["m6i.large"], min = 1, max = 4, desired = 1 }
    network       = { cidr = "10.20.0.0/16", nat = "one" }
  }
}

run "a_third_environment_and_a_release_without_the_charts_name_are_refused" {
  command         = plan
  expect_failures = [var.environment, var.release]

  variables {
    environment = "production"
    release     = "photos"
  }
}

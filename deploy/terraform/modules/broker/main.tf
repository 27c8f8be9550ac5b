# RabbitMQ on Amazon MQ, in subnets that lead nowhere, for the cluster's nodes alone. Vitrine's queues are quorum queues: with
# CLUSTER_MULTI_AZ they are on three nodes in three zones, and one may go.
#
# There is no `encryption_options`: Amazon MQ refuses it for RabbitMQ, whose disks are encrypted with a key of AWS's own.

locals {
  cluster = var.deployment_mode == "CLUSTER_MULTI_AZ"
  # amqps://HOST:5671
  host = regex("^amqps://([^:/]+):", aws_mq_broker.this.instances[0].endpoints[0])[0]
}

resource "aws_security_group" "this" {
  name        = "${var.name}-broker"
  description = "RabbitMQ for the nodes of the cluster. Nothing goes out."
  vpc_id      = var.vpc_id
  tags        = merge(var.tags, { Name = "${var.name}-broker" })
}

resource "aws_vpc_security_group_ingress_rule" "clients" {
  for_each = var.clients

  security_group_id            = aws_security_group.this.id
  description                  = "AMQP with TLS for ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 5671
  to_port                      = 5671
  tags                         = var.tags
}

resource "aws_vpc_security_group_ingress_rule" "console" {
  for_each = var.console ? var.clients : {}

  security_group_id            = aws_security_group.this.id
  description                  = "Console and management interface for ${each.key}"
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = 443
  to_port                      = 443
  tags                         = var.tags
}

# Amazon MQ takes the password from the request alone, and the provider keeps it in the state: README.md, "Passwords".
data "aws_secretsmanager_secret_version" "password" {
  secret_id = var.password_secret_arn
}

resource "aws_mq_broker" "this" {
  broker_name        = var.name
  engine_type        = "RabbitMQ"
  engine_version     = var.engine_version
  host_instance_type = var.instance_type
  deployment_mode    = var.deployment_mode
  storage_type       = "ebs"
  tags               = var.tags

  publicly_accessible = false
  # One node is in one subnet.
  subnet_ids      = local.cluster ? var.subnet_ids : slice(var.subnet_ids, 0, 1)
  security_groups = [aws_security_group.this.id]

  authentication_strategy    = "simple"
  auto_minor_version_upgrade = true # Amazon MQ asks for it from 3.13 on.
  apply_immediately          = var.apply_immediately

  maintenance_window_start_time {
    day_of_week = "SUNDAY"
    time_of_day = "03:30"
    time_zone   = "UTC"
  }

  logs {
    # RabbitMQ has no audit log there.
    general = true
  }

  user {
    username = var.username
    password = jsondecode(data.aws_secretsmanager_secret_version.password.secret_string)["password"]
  }

  lifecycle {
    # Made with the broker; what is changed later is changed in RabbitMQ, and Amazon MQ can neither read nor write it.
    ignore_changes = [user]
  }
}

# What the chart's `broker.secret` is made of.
resource "aws_secretsmanager_secret" "this" {
  name                    = "${var.name}/broker"
  description             = "Vitrine: address of RabbitMQ, with user and password."
  kms_key_id              = var.secrets_key_arn
  recovery_window_in_days = var.secret_recovery_days
  tags                    = var.tags
}

resource "aws_secretsmanager_secret_version" "this" {
  secret_id = aws_secretsmanager_secret.this.id
  secret_string_wo = jsonencode({
    username = var.username
    password = jsondecode(data.aws_secretsmanager_secret_version.password.secret_string)["password"]
    host     = local.host
    port     = 5671
    url = format(
      "amqps://%s:%s@%s:5671/", var.username,
      jsondecode(data.aws_secretsmanager_secret_version.password.secret_string)["password"], local.host,
    )
  })
  secret_string_wo_version = 1

  lifecycle {
    # What is written only once has to be written again where the broker is another.
    replace_triggered_by = [aws_mq_broker.this.id]
  }
}

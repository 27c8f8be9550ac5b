mock_provider "aws" {
  mock_resource "aws_mq_broker" {
    defaults = {
      instances = [{ endpoints = ["amqps://b-1.mq.eu-central-1.amazonaws.com:5671"], console_url = "https://b-1", ip_address = "" }]
    }
  }
  mock_data "aws_secretsmanager_secret_version" {
    defaults = { secret_string = "{\"password\": \"ABCDEFGHIJKLMNOPQRSTUVWXYZ\"}" }
  }
}

variables {
  name                = "vitrine-test"
  vpc_id              = "vpc-1"
  subnet_ids          = ["subnet-1", "subnet-2", "subnet-3"]
  clients             = { nodes = "sg-nodes" }
  secrets_key_arn     = "arn:aws:kms:eu-central-1:123456789012:key/secrets"
  instance_type       = "mq.m5.large"
  password_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:vitrine-test/broker-password"
}

run "three_zones_and_no_way_in_but_for_the_nodes" {
  assert {
    condition     = aws_mq_broker.this.deployment_mode == "CLUSTER_MULTI_AZ" && length(aws_mq_broker.this.subnet_ids) == 3
    error_message = "it does not bear the loss of a zone"
  }

  assert {
    condition     = !aws_mq_broker.this.publicly_accessible
    error_message = "it has a public address"
  }

  assert {
    condition = [
      for client, rule in aws_vpc_security_group_ingress_rule.clients :
      "${client} ${rule.referenced_security_group_id} ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}" if rule.cidr_ipv4 == null
    ] == ["nodes sg-nodes tcp 5671-5671"]
    error_message = "another way in"
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.console) == 0
    error_message = "the console is open"
  }

  assert {
    condition     = output.endpoint == "amqps://b-1.mq.eu-central-1.amazonaws.com:5671"
    error_message = "the address is another"
  }
}

run "what_amazon_mq_refuses_for_rabbitmq_is_not_asked_for" {
  command = plan

  assert {
    condition     = length(aws_mq_broker.this.encryption_options) == 0 && one(aws_mq_broker.this.logs).general && one(aws_mq_broker.this.logs).audit == null
    error_message = "encryption_options and audit logs are ActiveMQ's"
  }

  assert {
    condition     = aws_mq_broker.this.auto_minor_version_upgrade
    error_message = "Amazon MQ asks for it"
  }
}

run "one_node_is_in_one_subnet" {
  variables {
    deployment_mode = "SINGLE_INSTANCE"
    instance_type   = "mq.t3.micro"
  }

  assert {
    condition     = aws_mq_broker.this.subnet_ids == toset(["subnet-1"])
    error_message = "Amazon MQ takes one subnet for one node"
  }
}

run "a_cluster_in_one_zone_is_refused" {
  command         = plan
  expect_failures = [var.subnet_ids]

  variables {
    subnet_ids = ["subnet-1"]
  }
}

run "a_cluster_of_micro_nodes_is_refused" {
  command         = plan
  expect_failures = [var.instance_type]

  variables {
    instance_type = "mq.t3.micro"
  }
}

run "a_rabbitmq_without_quorum_queues_is_refused" {
  command         = plan
  expect_failures = [var.engine_version]

  variables {
    engine_version = "3.11"
  }
}

run "a_standby_is_refused" {
  command         = plan
  expect_failures = [var.deployment_mode]

  variables {
    deployment_mode = "ACTIVE_STANDBY_MULTI_AZ"
  }
}

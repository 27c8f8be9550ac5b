mock_provider "aws" {
  mock_resource "aws_db_instance" {
    defaults = { address = "vitrine-test.abc.eu-central-1.rds.amazonaws.com", port = 5432 }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/monitoring" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  name            = "vitrine-test"
  vpc_id          = "vpc-1"
  subnet_ids      = ["subnet-1", "subnet-2"]
  clients         = { nodes = "sg-nodes" }
  key_arn         = "arn:aws:kms:eu-central-1:123456789012:key/data"
  secrets_key_arn = "arn:aws:kms:eu-central-1:123456789012:key/secrets"
  instance_class  = "db.t4g.medium"
  password        = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
}

run "nobody_reaches_it_but_its_clients" {
  command = plan

  assert {
    condition     = !aws_db_instance.this.publicly_accessible
    error_message = "it has a public address"
  }

  assert {
    condition = [
      for client, rule in aws_vpc_security_group_ingress_rule.clients :
      "${client} ${rule.referenced_security_group_id} ${rule.ip_protocol} ${rule.from_port}-${rule.to_port}" if rule.cidr_ipv4 == null
    ] == ["nodes sg-nodes tcp 5432-5432"]
    error_message = "another way in"
  }
}

run "it_speaks_tls_alone_and_its_disks_are_encrypted" {
  command = plan

  assert {
    condition     = one([for one in aws_db_parameter_group.this.parameter : one.value if one.name == "rds.force_ssl"]) == "1"
    error_message = "it answers without TLS"
  }

  assert {
    condition     = aws_db_instance.this.storage_encrypted && aws_db_instance.this.kms_key_id == var.key_arn
    error_message = "another key, or none"
  }
}

run "every_second_can_be_had_back_and_nothing_goes_by_mistake" {
  command = plan

  assert {
    condition     = aws_db_instance.this.backup_retention_period == 14 && !aws_db_instance.this.delete_automated_backups
    error_message = "too little can be had back"
  }

  assert {
    condition = (
      aws_db_instance.this.deletion_protection && !aws_db_instance.this.skip_final_snapshot
      && aws_db_instance.this.final_snapshot_identifier == "vitrine-test-final"
    )
    error_message = "it would be deleted, or leave nothing behind"
  }

  assert {
    condition     = aws_db_instance.this.multi_az
    error_message = "a zone would take it along"
  }
}

run "parameters_are_those_of_the_major_version" {
  command = plan

  variables {
    engine_version = "16.8"
  }

  assert {
    condition     = aws_db_parameter_group.this.family == "postgres16" && aws_db_parameter_group.this.name == "vitrine-test-postgres16"
    error_message = "a group of another version"
  }
}

run "an_old_postgresql_is_refused" {
  command         = plan
  expect_failures = [var.engine_version]

  variables {
    engine_version = "15.4"
  }
}

run "subnets_in_one_zone_are_refused" {
  command         = plan
  expect_failures = [var.subnet_ids]

  variables {
    subnet_ids = ["subnet-1", "subnet-1"]
  }
}

run "no_backups_are_refused" {
  command         = plan
  expect_failures = [var.backup_days]

  variables {
    backup_days = 0
  }
}

run "storage_that_cannot_grow_is_refused" {
  command         = plan
  expect_failures = [var.max_storage_gb]

  variables {
    storage_gb     = 100
    max_storage_gb = 100
  }
}

run "a_password_that_does_not_stand_in_an_address_is_refused" {
  command         = plan
  expect_failures = [var.password]

  variables {
    password = "with@and/and:and?and#"
  }
}

run "clear_text_is_refused" {
  command         = plan
  expect_failures = [var.ssl_mode]

  variables {
    ssl_mode = "prefer"
  }
}

run "nobody_to_use_it_is_refused" {
  command         = plan
  expect_failures = [var.clients]

  variables {
    clients = {}
  }
}

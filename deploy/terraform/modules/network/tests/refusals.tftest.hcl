mock_provider "aws" {
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b"] }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
}

variables {
  name  = "vitrine-test"
  cidr  = "10.20.0.0/16"
  zones = 2
}

run "what_is_no_cidr_is_refused" {
  command         = plan
  expect_failures = [var.cidr]

  variables {
    cidr = "10.20.0.0"
  }
}

run "bits_behind_the_prefix_are_refused" {
  command         = plan
  expect_failures = [var.cidr]

  variables {
    cidr = "10.20.30.0/16"
  }
}

run "a_network_too_small_for_pods_is_refused" {
  command         = plan
  expect_failures = [var.cidr]

  variables {
    cidr = "10.20.0.0/24"
  }
}

run "a_network_larger_than_aws_has_is_refused" {
  command         = plan
  expect_failures = [var.cidr]

  variables {
    cidr = "10.0.0.0/8"
  }
}

run "public_addresses_are_refused" {
  command         = plan
  expect_failures = [var.cidr]

  variables {
    cidr = "8.8.0.0/16"
  }
}

run "one_zone_is_refused" {
  command         = plan
  expect_failures = [var.zones]

  variables {
    zones = 1
  }
}

run "two_and_a_half_zones_are_refused" {
  command         = plan
  expect_failures = [var.zones]

  variables {
    zones = 2.5
  }
}

run "a_region_with_too_few_zones_is_refused" {
  command         = plan
  expect_failures = [data.aws_availability_zones.available]

  variables {
    zones = 3
  }
}

run "a_nat_of_another_kind_is_refused" {
  command         = plan
  expect_failures = [var.nat]

  variables {
    nat = "two"
  }
}

run "nodes_without_nat_and_endpoints_are_refused" {
  command         = plan
  expect_failures = [var.interface_endpoints]

  variables {
    nat                 = "none"
    interface_endpoints = ["sts"]
  }
}

run "every_bucket_of_the_world_is_refused" {
  command         = plan
  expect_failures = [var.readable_buckets]

  variables {
    readable_buckets = ["arn:aws:s3:::*"]
  }
}

run "flow_logs_of_a_day_are_refused" {
  command         = plan
  expect_failures = [var.log_retention_days]

  variables {
    log_retention_days = 1
  }
}

mock_provider "aws" {
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  name               = "vitrine-test"
  kubernetes_version = "1.33"
  vpc_id             = "vpc-0123456789abcdef0"
  subnet_ids         = ["subnet-private-a", "subnet-private-b"]
  key_arn            = "arn:aws:kms:eu-central-1:123456789012:key/secrets"
  disk_key_arn       = "arn:aws:kms:eu-central-1:123456789012:key/data"
  administrators     = ["arn:aws:iam::123456789012:role/platform"]
}

run "everybody_is_refused" {
  command         = plan
  expect_failures = [var.public_access_cidrs]

  variables {
    public_access_cidrs = ["203.0.113.0/24", "0.0.0.0/0"]
  }
}

run "both_halves_of_the_world_are_refused" {
  command         = plan
  expect_failures = [var.public_access_cidrs]

  variables {
    public_access_cidrs = ["0.0.0.0/1", "128.0.0.0/1"]
  }
}

run "an_address_without_prefix_is_refused" {
  command         = plan
  expect_failures = [var.public_access_cidrs]

  variables {
    public_access_cidrs = ["203.0.113.7"]
  }
}

run "one_subnet_is_refused" {
  command         = plan
  expect_failures = [var.subnet_ids]

  variables {
    subnet_ids = ["subnet-private-a"]
  }
}

run "a_kubernetes_older_than_the_chart_is_refused" {
  command         = plan
  expect_failures = [var.kubernetes_version]

  variables {
    kubernetes_version = "1.28"
  }
}

run "a_patch_version_is_refused" {
  command         = plan
  expect_failures = [var.kubernetes_version]

  variables {
    kubernetes_version = "1.33.2"
  }
}

run "an_alias_for_a_key_is_refused" {
  command         = plan
  expect_failures = [var.key_arn]

  variables {
    key_arn = "alias/vitrine-test-secrets"
  }
}

run "a_cluster_that_nobody_gets_into_is_refused" {
  command         = plan
  expect_failures = [var.administrators]

  variables {
    administrators = []
  }
}

run "a_session_is_no_administrator" {
  command         = plan
  expect_failures = [var.administrators]

  variables {
    administrators = ["arn:aws:sts::123456789012:assumed-role/platform/anna"]
  }
}

run "nobody_deploys_into_kube_system" {
  command         = plan
  expect_failures = [var.deployers]

  variables {
    deployers = { "arn:aws:iam::123456789012:role/pipeline" = ["kube-system"] }
  }
}

run "nobody_deploys_into_every_namespace" {
  command         = plan
  expect_failures = [var.deployers]

  variables {
    deployers = { "arn:aws:iam::123456789012:role/pipeline" = ["*"] }
  }
}

run "no_more_nodes_at_least_than_at_most" {
  command         = plan
  expect_failures = [var.cpu_nodes]

  variables {
    cpu_nodes = { min = 5, max = 3 }
  }
}

run "a_cluster_without_nodes_is_refused" {
  command         = plan
  expect_failures = [var.cpu_nodes]

  variables {
    cpu_nodes = { min = 0, max = 3 }
  }
}

run "a_beginning_beyond_the_limits_is_refused" {
  command         = plan
  expect_failures = [var.cpu_nodes]

  variables {
    cpu_nodes = { min = 2, max = 3, desired = 4 }
  }
}

run "processors_that_the_images_are_not_for_are_refused" {
  command         = plan
  expect_failures = [var.cpu_nodes]

  variables {
    cpu_nodes = { instance_types = ["m7i.xlarge", "m7g.xlarge"] }
  }
}

run "a_disk_too_small_for_the_images_is_refused" {
  command         = plan
  expect_failures = [var.cpu_nodes]

  variables {
    cpu_nodes = { disk_gb = 20 }
  }
}

run "gpu_nodes_without_gpus_are_refused" {
  command         = plan
  expect_failures = [var.gpu_nodes]

  variables {
    gpu_nodes = { enabled = true, instance_types = ["m7i.xlarge"] }
  }
}

run "gpus_of_another_make_are_refused" {
  command         = plan
  expect_failures = [var.gpu_nodes]

  variables {
    gpu_nodes = { enabled = true, instance_types = ["g4ad.xlarge"] }
  }
}

run "gpu_nodes_on_arm_are_refused" {
  command         = plan
  expect_failures = [var.gpu_nodes]

  variables {
    gpu_nodes = { enabled = true, instance_types = ["g5g.xlarge"] }
  }
}

run "no_more_gpu_nodes_at_least_than_at_most" {
  command         = plan
  expect_failures = [var.gpu_nodes]

  variables {
    gpu_nodes = { enabled = true, min = 4, max = 2 }
  }
}

run "an_add_on_that_is_not_there_has_no_version" {
  command         = plan
  expect_failures = [var.addon_versions]

  variables {
    addon_versions = { cni = "v1.20.1-eksbuild.1" }
  }
}

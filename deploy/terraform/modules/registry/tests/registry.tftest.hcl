mock_provider "aws" {
  mock_resource "aws_ecr_repository" {
    defaults = { repository_url = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/vitrine-test/x" }
  }
}

variables {
  name    = "vitrine-test"
  key_arn = "arn:aws:kms:eu-central-1:123456789012:key/storage"
}

run "a_tag_never_moves_and_every_image_is_scanned" {
  command = plan

  assert {
    condition = alltrue([
      for repository in aws_ecr_repository.this :
      repository.image_tag_mutability == "IMMUTABLE" && repository.image_scanning_configuration[0].scan_on_push
    ])
    error_message = "a tag may move, or an image is not scanned"
  }

  assert {
    condition = alltrue([
      for repository in aws_ecr_repository.this :
      repository.encryption_configuration[0].encryption_type == "KMS" && repository.encryption_configuration[0].kms_key == var.key_arn
    ])
    error_message = "layers with another key"
  }

  assert {
    condition     = !anytrue([for repository in aws_ecr_repository.this : repository.force_delete])
    error_message = "a repository with images in it would be deleted"
  }
}

run "three_images_on_one_host" {
  assert {
    condition     = output.host == "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
    error_message = "what docker login takes"
  }

  assert {
    condition = output.repositories == {
      catalogue = "vitrine-test/catalogue"
      training  = "vitrine-test/training"
      worker    = "vitrine-test/worker"
    }
    error_message = "what the chart's images.*.repository take"
  }
}

run "what_is_in_use_is_not_cleared_away" {
  command         = plan
  expect_failures = [var.versions]

  variables {
    versions = 1
  }
}

run "untagged_images_go_after_a_day_at_the_earliest" {
  command         = plan
  expect_failures = [var.untagged_days]

  variables {
    untagged_days = 0
  }
}

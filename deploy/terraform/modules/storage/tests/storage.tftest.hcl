mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  name    = "vitrine-test"
  key_arn = "arn:aws:kms:eu-central-1:123456789012:key/storage"
}

run "a_bucket_for_pictures_for_models_and_for_backups" {
  assert {
    condition = output.names == {
      pictures = "vitrine-test-pictures-123456789012"
      models   = "vitrine-test-models-123456789012"
      backups  = "vitrine-test-backups-123456789012"
    }
    error_message = "the names of the buckets"
  }
}

run "a_name_that_is_too_long_for_a_bucket_is_refused" {
  command         = plan
  expect_failures = [var.name]

  variables {
    name = "vitrine-with-a-name-that-has-no-end-to-it"
  }
}

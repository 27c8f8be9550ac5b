# The policy is put together by the provider, which a mock is not: what it says is looked at as the document is given.
mock_provider "aws" {
  mock_data "aws_iam_policy_document" {
    defaults = { json = "{}" }
  }
}

variables {
  bucket  = "vitrine-test-pictures"
  key_arn = "arn:aws:kms:eu-central-1:123456789012:key/storage"
}

run "nothing_in_it_is_public" {
  command = plan

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls,
      aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls,
      aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "a way for the public is left open"
  }

  assert {
    condition     = one(aws_s3_bucket_ownership_controls.this.rule).object_ownership == "BucketOwnerEnforced"
    error_message = "access lists are in force"
  }
}

run "every_object_is_encrypted_with_its_key" {
  command = plan

  assert {
    condition = one(aws_s3_bucket_server_side_encryption_configuration.this.rule[*].apply_server_side_encryption_by_default[0]) == {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = var.key_arn
    }
    error_message = "another key, or none"
  }

  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule[*].bucket_key_enabled)
    error_message = "KMS would be asked for every object"
  }
}

run "no_tls_no_answer" {
  assert {
    condition = anytrue([
      for statement in data.aws_iam_policy_document.this.statement :
      statement.effect == "Deny" && contains(statement.actions, "s3:*") && length(statement.resources) == 2 && anytrue([
        for condition in statement.condition : condition.variable == "aws:SecureTransport" && condition.values == tolist(["false"])
      ])
    ])
    error_message = "requests without TLS are not refused"
  }

  assert {
    # Compared with a header that is not there, "not equal" is true: without Null every upload would be refused.
    condition = alltrue([
      for statement in data.aws_iam_policy_document.this.statement :
      anytrue([for condition in statement.condition : condition.test == "Null" && condition.values == tolist(["false"])])
      if contains(statement.actions, "s3:PutObject")
    ])
    error_message = "uploads without encryption headers would be refused"
  }
}

run "what_was_deleted_can_be_had_back_for_thirty_days" {
  command = plan

  assert {
    condition     = one(aws_s3_bucket_versioning.this.versioning_configuration).status == "Enabled"
    error_message = "deleted is gone"
  }

  assert {
    condition = [
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule : rule.noncurrent_version_expiration[0].noncurrent_days
      if length(rule.noncurrent_version_expiration) > 0
    ] == [30]
    error_message = "earlier versions go at another time"
  }

  assert {
    condition     = !aws_s3_bucket.this.force_destroy
    error_message = "a bucket with pictures in it would be deleted"
  }
}

run "uploads_that_were_given_up_are_cleared_away" {
  command = plan

  assert {
    condition = anytrue([
      for rule in aws_s3_bucket_lifecycle_configuration.this.rule :
      rule.status == "Enabled" && length(rule.abort_incomplete_multipart_upload) > 0
    ])
    error_message = "their parts would be paid for, and nobody would see them"
  }
}

run "a_bucket_moves_to_another_class_only_where_that_is_asked_for" {
  command = plan

  assert {
    condition     = length(aws_s3_bucket_lifecycle_configuration.this.rule) == 2
    error_message = "a third rule"
  }
}

run "a_class_that_costs_to_leave_is_not_entered_at_once" {
  command         = plan
  expect_failures = [var.infrequent_after_days]

  variables {
    infrequent_after_days = 1
  }
}

run "to_keep_nothing_of_what_was_deleted_is_refused" {
  command         = plan
  expect_failures = [var.earlier_versions_days]

  variables {
    earlier_versions_days = 0
  }
}

run "a_name_with_dots_is_refused" {
  command         = plan
  expect_failures = [var.bucket]

  variables {
    bucket = "pictures.example.org"
  }
}

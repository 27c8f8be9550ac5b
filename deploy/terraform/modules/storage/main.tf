# Pictures (originals and renditions), models (what is served, and MLflow's artifacts) and backups: a bucket each, so that a role
# that writes into one has no business in the others.

data "aws_caller_identity" "current" {}

locals {
  buckets = {
    # An original never changes, and what is deleted can be had back for as long as the setting says.
    pictures = { infrequent_after_days = null }
    # A model is read at every start of a model server.
    models = { infrequent_after_days = null }
    # Read when something was lost, and when they are checked.
    backups = { infrequent_after_days = var.backups_infrequent_after_days }
  }
}

module "bucket" {
  source   = "../bucket"
  for_each = local.buckets

  # The account's number makes it unique among all accounts.
  bucket                = "${var.name}-${each.key}-${data.aws_caller_identity.current.account_id}"
  key_arn               = var.key_arn
  force_destroy         = var.force_destroy
  earlier_versions_days = var.earlier_versions_days
  infrequent_after_days = each.value.infrequent_after_days
  tags                  = var.tags
}

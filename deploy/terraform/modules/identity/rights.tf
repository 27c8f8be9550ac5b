# What each component does in the buckets, as docs/storage.md and the code have it.

locals {
  in_bucket = { for place, prefix in var.prefixes : place => prefix == "" ? "" : "${trim(prefix, "/")}/" }

  pictures = "${var.pictures_bucket_arn}/${local.in_bucket.pictures}"
  models   = "${var.models_bucket_arn}/${local.in_bucket.models}"
  mlflow   = "${var.models_bucket_arn}/${local.in_bucket.mlflow}"
  backups  = "${var.backups_bucket_arn}/${local.in_bucket.backups}"

  # Of a bucket as a whole, not of a prefix: S3 answers 403 instead of 404 for an object that is not there, which looks like an
  # outage, unless the bucket can be listed, and a condition on the prefix fails where a request names none.
  list = ["s3:ListBucket"]
  # An upload in parts that broke off is found and ended; sending its parts is s3:PutObject.
  list_with_uploads = ["s3:ListBucket", "s3:ListBucketMultipartUploads"]
  read              = ["s3:GetObject"]
  write             = ["s3:AbortMultipartUpload", "s3:PutObject"]
  delete            = ["s3:DeleteObject"]

  rights = {
    # Uploads, downloads that it signs, the sweep of orphans.
    catalogue = [
      { actions = concat(local.read, local.write, local.delete), resources = ["${local.pictures}*"] },
      { actions = local.list_with_uploads, resources = [var.pictures_bucket_arn] },
    ]
    # An original is never touched. Renditions are written, and removed again where their original has gone meanwhile.
    worker = [
      { actions = local.read, resources = ["${local.pictures}*/original"] },
      { actions = ["s3:PutObject", "s3:DeleteObject"], resources = ["${local.pictures}*.jpg"] },
      { actions = local.list, resources = [var.pictures_bucket_arn] },
    ]
    modelServer = [
      { actions = local.read, resources = ["${local.models}*"] },
      { actions = local.list, resources = [var.models_bucket_arn] },
    ]
    # Versions of models never change, and it deletes none.
    controller = [
      { actions = concat(local.read, local.write), resources = ["${local.models}*"] },
      { actions = local.list, resources = [var.models_bucket_arn] },
    ]
    mlflow = [
      { actions = concat(local.read, local.write, local.delete), resources = ["${local.mlflow}*"] },
      { actions = local.list, resources = [var.models_bucket_arn] },
    ]
    # It ends backups that are older than the number to keep.
    backup = [
      { actions = local.read, resources = ["${local.pictures}*"] },
      { actions = concat(local.read, local.write, local.delete), resources = ["${local.backups}*"] },
      { actions = local.list, resources = [var.pictures_bucket_arn] },
      { actions = local.list_with_uploads, resources = [var.backups_bucket_arn] },
    ]
    # The other way round, once after a disaster; nothing is deleted on either side.
    restore = [
      { actions = concat(local.read, local.write), resources = ["${local.pictures}*"] },
      { actions = local.read, resources = ["${local.backups}*"] },
      { actions = local.list_with_uploads, resources = [var.pictures_bucket_arn] },
      { actions = local.list, resources = [var.backups_bucket_arn] },
    ]
  }
}

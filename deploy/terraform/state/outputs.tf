output "backend" {
  description = "What `terraform init -backend-config=FILE` of the environments takes: write it into a file."
  value       = <<-EOT
    bucket     = "${module.bucket.name}"
    region     = "${var.region}"
    kms_key_id = "${aws_kms_key.this.arn}"
  EOT
}

# Copy it to terraform.tfvars, which git does not take, and fill it in. Passwords have no place here: they are made.

region     = "eu-central-1"
account_id = "123456789012"

administrators = ["arn:aws:iam::123456789012:role/platform"]
deployers      = ["arn:aws:iam::123456789012:role/vitrine-deploy"]

# Your office or your pipeline's way out. Without any, kubectl works from within the network alone.
public_access_cidrs = ["203.0.113.0/28"]

hosts = ["photos.example.org"]

# The network of one installation: in each of two or three zones a public subnet (load balancers, NAT), a private one (nodes
# and their pods) and an isolated one (database, broker: no route out).
#
# Pods have addresses of the VPC, so each private subnet takes a quarter of it. The last quarter holds the others, in
# sixteenths: public 0 to 2, isolated 4 to 6; the rest is free. Of 10.20.0.0/16, with three zones:
#
#   private   10.20.0.0/18    10.20.64.0/18   10.20.128.0/18
#   public    10.20.192.0/22  10.20.196.0/22  10.20.200.0/22
#   isolated  10.20.208.0/22  10.20.212.0/22  10.20.216.0/22

data "aws_caller_identity" "current" {}

data "aws_partition" "current" {}

data "aws_region" "current" {}

data "aws_availability_zones" "available" {
  # checkov:skip=CKV_AWS_394:the first two or three in order are used, and a zone that AWS adds comes behind them
  state = "available"
  # EKS has no control plane there.
  exclude_zone_ids = ["use1-az3", "usw1-az2", "cac1-az3"]

  filter {
    name   = "opt-in-status"
    values = ["opt-in-not-required"]
  }

  lifecycle {
    postcondition {
      condition     = length(self.names) >= var.zones
      error_message = "This region has fewer zones than are asked for."
    }
  }
}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.name
  zone_names = slice(sort(data.aws_availability_zones.available.names), 0, min(var.zones, length(data.aws_availability_zones.available.names)))

  last_quarter = cidrsubnet(var.cidr, 2, 3)
  private      = { for place, zone in local.zone_names : zone => cidrsubnet(var.cidr, 2, place) }
  public       = { for place, zone in local.zone_names : zone => cidrsubnet(local.last_quarter, 4, place) }
  isolated     = { for place, zone in local.zone_names : zone => cidrsubnet(local.last_quarter, 4, 4 + place) }
}

resource "aws_vpc" "this" {
  cidr_block           = var.cidr
  enable_dns_support   = true
  enable_dns_hostnames = true
  tags                 = merge(var.tags, { Name = var.name })
}

# Nobody's: what forgets to name a security group reaches nothing.
resource "aws_default_security_group" "this" {
  vpc_id = aws_vpc.this.id
  tags   = merge(var.tags, { Name = "${var.name}-default-not-to-be-used" })
}

resource "aws_subnet" "public" {
  for_each = local.public

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  # Load balancers and NAT gateways bring addresses of their own.
  map_public_ip_on_launch = false
  tags                    = merge(var.tags, { Name = "${var.name}-public-${each.key}", "kubernetes.io/role/elb" = "1" })
}

resource "aws_subnet" "private" {
  for_each = local.private

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = merge(var.tags, { Name = "${var.name}-private-${each.key}", "kubernetes.io/role/internal-elb" = "1" })
}

resource "aws_subnet" "isolated" {
  for_each = local.isolated

  vpc_id            = aws_vpc.this.id
  availability_zone = each.key
  cidr_block        = each.value
  tags              = merge(var.tags, { Name = "${var.name}-isolated-${each.key}" })
}

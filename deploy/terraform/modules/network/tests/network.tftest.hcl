mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }
  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
  mock_data "aws_region" {
    defaults = { name = "eu-central-1" }
  }
  mock_data "aws_availability_zones" {
    defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
  }
  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-central-1:123456789012:log-group:/aws/vpc/vitrine-test/flows" }
  }
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/vitrine-test-flow-logs" }
  }
}

variables {
  name  = "vitrine-test"
  cidr  = "10.20.0.0/16"
  zones = 3
  nat   = "each"
}

run "three_zones_with_three_kinds_of_subnets" {
  assert {
    condition     = [for subnet in aws_subnet.private : subnet.cidr_block] == ["10.20.0.0/18", "10.20.64.0/18", "10.20.128.0/18"]
    error_message = "pods get three quarters of the VPC"
  }
  assert {
    condition     = [for subnet in aws_subnet.public : subnet.cidr_block] == ["10.20.192.0/22", "10.20.196.0/22", "10.20.200.0/22"]
    error_message = "public subnets are as the comment says"
  }
  assert {
    condition     = [for subnet in aws_subnet.isolated : subnet.cidr_block] == ["10.20.208.0/22", "10.20.212.0/22", "10.20.216.0/22"]
    error_message = "isolated subnets are as the comment says"
  }
  assert {
    condition     = join(" ", output.zone_names) == "eu-central-1a eu-central-1b eu-central-1c"
    error_message = "one of each in every zone"
  }
  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch && subnet.tags["kubernetes.io/role/elb"] == "1"])
    error_message = "load balancers of the world are put there, and nothing gets a public address by itself"
  }
  assert {
    condition = alltrue([
      for subnet in aws_subnet.private : subnet.tags["kubernetes.io/role/internal-elb"] == "1" && !contains(keys(subnet.tags), "kubernetes.io/role/elb")
    ])
    error_message = "only load balancers of the house are put among the nodes"
  }
}

run "what_is_handed_out_is_what_it_says" {
  assert {
    condition     = output.private_subnet_ids == [for subnet in aws_subnet.private : subnet.id] && length(output.private_subnet_ids) == 3
    error_message = "nodes belong into private subnets"
  }
  assert {
    condition     = output.isolated_subnet_ids == [for subnet in aws_subnet.isolated : subnet.id]
    error_message = "database and broker belong into isolated subnets"
  }
  assert {
    condition     = output.public_subnet_ids == [for subnet in aws_subnet.public : subnet.id]
    error_message = "load balancers belong into public subnets"
  }
}

run "private_subnets_go_out_by_the_nat_of_their_zone" {
  assert {
    condition     = { for zone, route in aws_route.private : zone => route.nat_gateway_id } == { for zone, nat in aws_nat_gateway.this : zone => nat.id }
    error_message = "the end of one zone must not cut off another"
  }
  assert {
    condition     = alltrue([for route in aws_route.private : route.gateway_id == null || route.gateway_id == ""])
    error_message = "a route from private subnets to the internet gateway makes them public"
  }
  assert {
    condition = alltrue([
      for zone, nat in aws_nat_gateway.this : nat.subnet_id == aws_subnet.public[zone].id && nat.allocation_id == aws_eip.nat[zone].id
    ])
    error_message = "each NAT gateway lies in the public subnet of its zone"
  }
  assert {
    condition = alltrue([
      for zone, link in aws_route_table_association.private : link.route_table_id == aws_route_table.private[zone].id && link.subnet_id == aws_subnet.private[zone].id
    ])
    error_message = "each private subnet has the table of its zone"
  }
}

run "isolated_subnets_have_no_route_out" {
  assert {
    condition     = alltrue([for link in aws_route_table_association.isolated : link.route_table_id == aws_route_table.isolated.id])
    error_message = "isolated subnets share the table without routes"
  }
  assert {
    condition = !contains(
      concat([aws_route.public.route_table_id], [for route in aws_route.private : route.route_table_id]), aws_route_table.isolated.id
    )
    error_message = "a route leads out of database and broker"
  }
  assert {
    condition     = !contains(aws_vpc_endpoint.s3.route_table_ids, aws_route_table.isolated.id)
    error_message = "database and broker have nothing to do with S3 over this network"
  }
}

run "one_nat_serves_all_zones" {
  variables {
    nat = "one"
  }

  assert {
    condition     = keys(aws_nat_gateway.this) == ["eu-central-1a"] && length(output.nat_public_ips) == 1
    error_message = "one means one"
  }
  assert {
    condition     = [for route in aws_route.private : route.nat_gateway_id] == [for zone in output.zone_names : aws_nat_gateway.this["eu-central-1a"].id]
    error_message = "all zones go out by it"
  }
}

run "without_nat_nodes_reach_aws_by_endpoints" {
  variables {
    nat   = "none"
    zones = 2
  }

  assert {
    condition     = length(aws_nat_gateway.this) + length(aws_route.private) + length(aws_eip.nat) == 0
    error_message = "none means none"
  }
  assert {
    condition     = length(setsubtract(["ec2", "ecr.api", "ecr.dkr", "eks", "sts", "secretsmanager"], keys(aws_vpc_endpoint.interface))) == 0
    error_message = "nodes could not join, nor fetch images"
  }
  assert {
    condition = alltrue([
      for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled && toset(endpoint.security_group_ids) == toset([aws_security_group.endpoints[0].id]) &&
      toset(endpoint.subnet_ids) == toset(output.private_subnet_ids)
    ])
    error_message = "endpoints lie beside the nodes, under the names that programs know"
  }
  assert {
    condition = (
      aws_vpc_security_group_ingress_rule.endpoints[0].cidr_ipv4 == "10.20.0.0/16" && aws_vpc_security_group_ingress_rule.endpoints[0].from_port == 443 &&
      aws_vpc_security_group_ingress_rule.endpoints[0].to_port == 443
    )
    error_message = "only HTTPS, only from the VPC"
  }
  assert {
    condition     = length(output.private_subnet_ids) == 2 && length(output.private_route_table_ids) == 2
    error_message = "two zones are two"
  }
}

run "nobody_uses_the_default_security_group" {
  assert {
    condition     = length(aws_default_security_group.this.ingress) + length(aws_default_security_group.this.egress) == 0
    error_message = "it has to be empty"
  }
}

run "the_way_to_s3_leads_into_buckets_of_this_account" {
  variables {
    readable_buckets = ["arn:aws:s3:::public-pictures"]
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement :
      statement.Resource == "*" ? statement.Condition.StringEquals["aws:ResourceAccount"] == "123456789012" : statement.Action == ["s3:GetObject"]
    ])
    error_message = "bytes could be carried into a bucket of somebody else"
  }
  assert {
    condition = contains(
      flatten([for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : statement.Resource]), "arn:aws:s3:::prod-eu-central-1-starport-layer-bucket/*"
    )
    error_message = "nodes could fetch no image from ECR"
  }
  assert {
    condition = contains(
      flatten([for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : statement.Resource]), "arn:aws:s3:::public-pictures/*"
    )
    error_message = "what is named may be read"
  }
  assert {
    condition     = !anytrue(flatten([for statement in jsondecode(aws_vpc_endpoint.s3.policy).Statement : [for action in statement.Action : strcontains(action, "*")]]))
    error_message = "an action with a wildcard"
  }
  assert {
    condition     = toset(aws_vpc_endpoint.s3.route_table_ids) == toset(output.private_route_table_ids)
    error_message = "all nodes go that way"
  }
}

run "flows_are_kept_for_a_year_and_written_by_nobody_else" {
  assert {
    condition     = aws_flow_log.this.traffic_type == "ALL" && aws_flow_log.this.log_destination == aws_cloudwatch_log_group.flows.arn
    error_message = "refused connections and taken ones"
  }
  assert {
    condition     = aws_cloudwatch_log_group.flows.retention_in_days == 365
    error_message = "a year"
  }
  assert {
    condition     = jsondecode(aws_iam_role.flows.assume_role_policy).Statement[0].Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    error_message = "another account could write by this role"
  }
  assert {
    condition     = alltrue(flatten([for statement in jsondecode(aws_iam_role_policy.flows.policy).Statement : [for resource in statement.Resource : startswith(resource, "arn:aws:logs:eu-central-1:123456789012:log-group:")]]))
    error_message = "only logs of this account"
  }
}

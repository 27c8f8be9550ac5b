output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "cidr" {
  description = "Its addresses."
  value       = aws_vpc.this.cidr_block
}

output "zone_names" {
  description = "Zones that are used."
  value       = local.zone_names
}

output "public_subnet_ids" {
  description = "Subnets of load balancers, in the order of the zones."
  value       = [for zone in local.zone_names : aws_subnet.public[zone].id]
}

output "private_subnet_ids" {
  description = "Subnets of nodes and pods, in the order of the zones."
  # Whoever starts nodes waits for their way out and for the way to S3.
  value      = [for zone in local.zone_names : aws_subnet.private[zone].id]
  depends_on = [aws_route.private, aws_route_table_association.private, aws_vpc_endpoint.s3, aws_vpc_endpoint.interface]
}

output "isolated_subnet_ids" {
  description = "Subnets of database and broker, in the order of the zones: no route leads out."
  value       = [for zone in local.zone_names : aws_subnet.isolated[zone].id]
  depends_on  = [aws_route_table_association.isolated]
}

output "private_route_table_ids" {
  description = "Route tables of the private subnets, in the order of the zones."
  value       = [for zone in local.zone_names : aws_route_table.private[zone].id]
}

output "nat_public_ips" {
  description = "Addresses under which nodes show in the world."
  value       = [for zone in local.nat_zones : aws_eip.nat[zone].public_ip]
}

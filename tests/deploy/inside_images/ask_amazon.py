"""Runs in a container: botocore knows of storage, and of every way to come by credentials."""

from __future__ import annotations

import botocore.session

session = botocore.session.Session()
for service in ("s3", "sts", "sso", "sso-oidc", "signin"):
    print(session.create_client(service, region_name="eu-west-1").meta.endpoint_url)

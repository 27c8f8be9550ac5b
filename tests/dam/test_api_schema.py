"""Whatever anybody sends, the API answers as its description says."""

from __future__ import annotations

import pytest
import schemathesis
from django.core.signals import request_finished, request_started
from django.db import close_old_connections
from hypothesis import HealthCheck, settings
from knox.models import AuthToken
from schemathesis.checks import (
    content_type_conformance,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from dam.wsgi import application
from tests.dam.factories import AssetFactory, StaffFactory, TagFactory

pytestmark = pytest.mark.django_db

schema = schemathesis.openapi.from_wsgi("/api/schema/", application)


CHECKS = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
)


@pytest.fixture
def one_transaction():
    """Between requests the connection stays open, as the test client sees to."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


@pytest.fixture
def headers(one_transaction):
    staff = StaffFactory()
    AssetFactory(uploaded_by=staff, tags=[TagFactory(name="dog")])
    return {"Authorization": f"Bearer {AuthToken.objects.create(user=staff)[1]}"}


@schema.parametrize()
@settings(
    max_examples=4, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
)
def test_every_answer_is_as_described(case, headers):
    if isinstance(case.body, dict) and "predict" in case.path:
        case.body["wait"] = 0  # nobody answers here
    case.call_and_validate(headers=headers, checks=CHECKS)

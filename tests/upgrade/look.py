"""What this version makes of a database that an earlier one filled: looks, then does the work that was left.

A program of its own, because the settings of a process know one database; writes one JSON object:
``python look.py FILE``.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "dam.settings")
django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.test import Client  # noqa: E402

from dam.assets.models import Asset  # noqa: E402
from dam.jobs.ledger import ledger  # noqa: E402
from dam.jobs.models import TaggingJob  # noqa: E402
from dam.jobs.publishing import jobs_publish  # noqa: E402
from pipeline.ports import Message, Transport  # noqa: E402
from pipeline.topology import RESULTS  # noqa: E402
from pipeline.transports import transport_from_url  # noqa: E402
from tests.dam.answers import record_all, requests, tagged_answer  # noqa: E402


def pages(client: Client) -> dict[str, int]:
    """Address of a page → the status with which it answers."""
    fixed = ["/", "/?q=beagle", "/cards/", "/tags/?q=do", "/models/", "/status/", "/try/", "/readyz"]
    api = ["/api/v1/assets/?q=dog", "/api/v1/tags/", "/api/v1/ledger/", "/api/v1/rollout/", "/api/v1/models/"]
    admin = ["/admin/", "/admin/assets/asset/", "/admin/jobs/taggingjob/", "/admin/jobs/deadletter/"]
    each = [f"/assets/{asset}/" for asset in Asset.objects.values_list("pk", flat=True)]
    return {path: client.get(path).status_code for path in (*fixed, *api, *admin, *each)}


def found(client: Client, question: str) -> list[str]:
    """File names of what that search finds."""
    answer = client.get("/api/v1/assets/", {"q": question, "limit": 100}).json()
    return sorted(hit["filename"] for hit in answer["results"])


def work() -> list[str]:
    """Publish, answer and record whatever is open; the states of all jobs then."""
    with transport_from_url(settings.QUEUE_URL) as broker:
        broker.declare()
        with broker.publisher() as publisher:
            jobs_publish(publisher=publisher)
        answer_all(broker)
        record_all(broker)
    return sorted(TaggingJob.objects.values_list("state", flat=True))


def answer_all(broker: Transport) -> None:
    asked = requests(broker)
    with broker.publisher() as publisher:
        publisher.publish([Message(RESULTS, tagged_answer(one), str(one.job_id)) for one in asked])


def main() -> None:
    settings.ALLOWED_HOSTS = ["testserver"]
    client = Client()
    client.force_login(User.objects.get(username="admin"))
    told: dict[str, Any] = {
        "ledger": asdict(ledger()) | {"agrees": ledger().agrees},
        "pages": pages(client),
        "signs in": Client().login(username="curator", password="curator-passw0rd"),
        "found": {question: found(client, question) for question in ("dog", "espresso", "-dog", "flower")},
    }
    told["jobs"] = work()
    told["ledger after"] = asdict(ledger()) | {"agrees": ledger().agrees}
    Path(sys.argv[1]).write_text(json.dumps(told))


main()

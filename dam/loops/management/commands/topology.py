from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from psycopg.conninfo import conninfo_to_dict
from rich.console import Console
from rich.table import Table

from pipeline.ports import DependencyDownError
from pipeline.rabbitmq.queues import arguments as rabbitmq_arguments
from pipeline.topology import QUEUES, QueueSpec
from pipeline.transports import transport_from_url


class Command(BaseCommand):
    help = "The queues, their limits and dead-letter queues, on the broker of VITRINE_QUEUE_URL."
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--declare", action="store_true", help="declare them on the broker first")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        if options["declare"]:
            try:
                with transport_from_url(settings.QUEUE_URL) as transport:
                    transport.declare()
            except (DependencyDownError, ValueError) as error:
                raise CommandError(f"not declared: {error}") from error
        facts = {
            "broker": _broker(settings.QUEUE_URL),
            "declared_now": options["declare"],
            "queues": [_facts(queue, is_rabbitmq=_is_rabbitmq(settings.QUEUE_URL)) for queue in QUEUES],
        }
        self.stdout.write(json.dumps(facts) if options["json"] else _table(facts))


def _is_rabbitmq(url: str) -> bool:
    return url.partition("://")[0] in {"amqp", "amqps"}


def _facts(queue: QueueSpec, *, is_rabbitmq: bool) -> dict[str, Any]:
    facts = asdict(queue) | {"dead_letters": queue.dead_letters}
    # The other transport keeps its limits in a table, under the same names.
    return facts | {"arguments": rabbitmq_arguments(queue)} if is_rabbitmq else facts


def _broker(url: str) -> str:
    """Where the broker is; user, password and options are left out."""
    if _is_rabbitmq(url):
        parts = urlsplit(url)
        port = parts.port or (5671 if parts.scheme == "amqps" else 5672)
        return f"{parts.scheme}://{parts.hostname}:{port}, virtual host {unquote(parts.path[1:]) or '/'}"
    known = {name: value for name, value in conninfo_to_dict(url).items() if value}
    server = f"{known.get('host', 'localhost')}:{known.get('port', 5432)}"
    return f"postgresql on {server}, database {known.get('dbname', 'of the user')}"


def _table(facts: dict[str, Any]) -> str:
    console = Console(width=120, force_terminal=False)
    with console.capture() as captured:
        table = Table(title=facts["broker"], title_justify="left")
        table.add_column("queue")
        table.add_column("deliveries at most", justify="right")
        table.add_column("messages at most", justify="right")
        table.add_column("dead letters")
        for queue in facts["queues"]:
            table.add_row(
                queue["name"], str(queue["delivery_limit"]), f"{queue['max_length']:,}", queue["dead_letters"]
            )
        console.print(table)
        for queue in facts["queues"]:
            for name, arguments in queue.get("arguments", {}).items():
                console.print(f"\n{name}", highlight=False)
                for argument, value in arguments.items():
                    console.print(f"  {argument} = {json.dumps(value)}", highlight=False)
    return captured.get().rstrip("\n")

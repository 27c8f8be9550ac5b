from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from rest_framework.renderers import JSONRenderer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dam.api.asset_json import assets_json
from dam.assets.accounts import NoSuchUserError, acting_user
from dam.assets.models import Asset
from dam.search.language import SearchError
from dam.search.paging import SORTS
from dam.search.reasons import Reason, reasons_for
from dam.search.selectors import Page, search_assets, shown_claims

_PAGE = 200
# What begins with one dash is a word that pictures shall not have, but for -h, -v and -v 0 to -v 3.
_WITHOUT = re.compile(r"-(?!-)(?!(h|v[0-3]?)$)")


class _QueryParser(CommandParser):
    """Takes ``-cat`` for a part of the query, wherever it stands; after ``--``, all that follows."""

    def parse_args(self, args: Sequence[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]  # no overloads
        words = _told_apart(sys.argv[1:] if args is None else args)
        return self.parse_intermixed_args(list(words), namespace)


def _told_apart(words: Sequence[str]) -> Iterator[str]:
    """With a space before what belongs to the query: so argparse takes none of it for an option."""
    words = list(words)
    end = words.index("--") if "--" in words else len(words)
    for word in words[:end]:
        yield f" {word}" if _WITHOUT.match(word) else word
    for word in words[end + 1 :]:
        yield f" {word}"


class Command(BaseCommand):
    help = (
        "Find pictures, as the search field does: vitrine search 'dog -cat'. Quotes or not, a word with one "
        "dash before it is one that the pictures shall not have; after -- this holds for -h and -v, too."
    )

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's, reading dashes as searches do."""
        usual = super().create_parser(prog_name, subcommand, **kwargs)
        return _QueryParser(
            prog=usual.prog,
            description=usual.description,
            formatter_class=usual.formatter_class,
            called_from_command_line=usual.called_from_command_line,
            parents=[usual],
            add_help=False,
        )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "query",
            nargs="*",
            type=str.strip,
            help='words, "exact words", begin*, tag:name, width:>2000, -not, OR; nothing: all',
        )
        parser.add_argument(
            "--as",
            "--user",
            dest="user",
            metavar="USER",
            help="who searches, and sees what they may see (default: the first administrator)",
        )
        parser.add_argument("--sort", choices=SORTS, default="newest")
        parser.add_argument("--limit", type=int, default=20, help="how many at most (default: 20)")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        query = " ".join(options["query"])
        if options["limit"] < 1:
            raise CommandError("--limit is at least 1")
        try:
            user = acting_user(options["user"])
            assets, last = _collect(user, query, options["sort"], options["limit"])
        except NoSuchUserError as error:
            raise CommandError(str(error)) from None
        except SearchError as error:
            place = f"\n  {query}\n  {' ' * (error.column - 1)}^" if error.column else ""
            raise CommandError(f"{error.message}{place}") from None
        for notice in last.notices:
            self.stderr.write(notice)
        more = last.next_cursor is not None
        why = reasons_for(reading=last.reading, assets=assets)
        if options["json"]:
            matched = {pk: [reason.in_json() for reason in reasons] for pk, reasons in why.items()}
            body = {
                "results": assets_json(assets, matched=matched),
                "notices": list(last.notices),
                "more": more,
            }
            self.stdout.write(JSONRenderer().render(body).decode())
        else:
            self.stdout.write(_table(assets, why, more=more))


def _collect(user: Any, query: str, sort: str, limit: int) -> tuple[list[Asset], Page]:
    """Up to ``limit`` assets, page by page, and the last of the pages."""
    assets: list[Asset] = []
    cursor = None
    while True:
        page = search_assets(
            user=user, query=query, sort=sort, cursor=cursor, limit=min(_PAGE, limit - len(assets))
        )
        assets += page.assets
        cursor = page.next_cursor
        if cursor is None or len(assets) >= limit:
            return assets, page


def _table(assets: list[Asset], why: dict[int, list[Reason]], *, more: bool) -> str:
    if not assets:
        return "Nothing was found."
    console = Console(width=120, force_terminal=False)
    with console.capture() as captured:
        table = Table()
        table.add_column("id", justify="right")
        for title in ("name", "state", "tags", *(["matched"] if why else [])):
            table.add_column(title, overflow="fold")
        for asset in assets:
            tags = ", ".join(claim.tag.name for claim in shown_claims(asset))
            matched = [Text(_matched(why.get(asset.pk, [])))] if why else []
            table.add_row(str(asset.pk), Text(asset.filename), asset.state, Text(tags), *matched)
        console.print(table)
        if more:
            console.print("There are more; --limit shows them.")
    return captured.get().rstrip("\n")


def _matched(reasons: list[Reason]) -> str:
    """The best few, without what stands in the table beside them already."""
    said = [reason.via or f"{reason.kind}: {reason.text}" for reason in reasons if reason.kind != "filename"]
    return "; ".join(said[:3])

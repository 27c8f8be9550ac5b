import json
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from rich.console import Console
from rich.progress import Progress

from dam.rollout.errors import ConflictError
from dam.rollout.models import Step
from dam.rollout.selectors import VersionStanding, versions_list
from dam.rollout.services import version_take_back, version_undo
from dam.tagging.models import ModelVersion
from dam.tagging.undo import version_assets_left, version_follow


class Command(BaseCommand):
    help = (
        "Undo everything that a model version did: what people see follows from other answers, or is tagged "
        "again; decisions stay. The champion is rolled back. It takes effect at once: Ctrl-C stops nothing "
        "but the watching."
    )
    # The checks would import every page and view, which takes longer than the work.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("version", type=int, help="its number on the model servers")
        parser.add_argument("--name", default="", help="of the model, if several have this number")
        parser.add_argument("--reason", default="", help="why, for the history; needed unless --take-back")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--take-back", action="store_true", help="reinstate a version that was undone")
        parser.add_argument("--json", action="store_true", help="one JSON object on standard output")

    def handle(self, *_args: Any, **options: Any) -> None:
        version = _version(options["version"], options["name"])
        reason = options["reason"].strip()
        if not options["take_back"] and not reason:
            raise CommandError("say why: --reason TEXT")
        if not options["yes"]:
            _ask(version, take_back=options["take_back"])
        try:
            step = (
                version_take_back(version=version, user=None, reason=reason)
                if options["take_back"]
                else version_undo(version=version, user=None, reason=reason)
            )
        except ConflictError as error:
            raise CommandError(str(error)) from error
        version.refresh_from_db()
        try:
            assets = _follow(version, quiet=options["json"])
        except KeyboardInterrupt:
            self.stderr.write("It is in effect; what is left follows while Vitrine runs.")
            raise SystemExit(130) from None
        if options["json"]:
            told = {"version": version.version, "name": version.name, "step": step.pk, "kind": step.kind}
            self.stdout.write(json.dumps({**told, "state": step.state, "assets": assets}))
            return
        self.stdout.write(f"{step.get_kind_display()}: {version}; {assets:,} assets followed.")
        if step.kind == Step.Kind.ROLL_BACK:
            self.stdout.write("New pictures go to the version before; the controller moves the labels.")


def _version(number: int, name: str) -> ModelVersion:
    found = list(ModelVersion.objects.filter(version=number, **({"name": name} if name else {})))
    if not found:
        raise CommandError(f"there is no model version {number}{f' of “{name}”' if name else ''}")
    if len(found) > 1:
        names = ", ".join(sorted(version.name for version in found))
        raise CommandError(f"several models have a version {number}: say --name, one of {names}")
    return found[0]


def _ask(version: ModelVersion, *, take_back: bool) -> None:
    standing: VersionStanding = versions_list(version_id=version.pk)[0]
    what = "Reinstate" if take_back else "Undo"
    question = (
        f"{what} {version}? It answered {standing.predictions} times; {standing.claims} of its tags are "
        f"shown. What people decided on them ({standing.decisions}) stays. [y/N] "
    )
    try:
        answer = input(question)
    except EOFError:
        raise CommandError("nobody is there to ask: --yes") from None
    if answer.strip().lower() not in {"y", "yes"}:
        raise CommandError("nothing was done")


def _follow(version: ModelVersion, *, quiet: bool) -> int:
    """Derive what follows, beside the relays, which do the same; how many assets it was for."""
    total = version_assets_left(version=version)
    with Progress(console=Console(stderr=True), disable=quiet, transient=True) as progress:
        bar = progress.add_task("assets follow", total=total)
        while version.followed_to is not None:
            if not version_follow(version=version):
                _wait_for_the_other(version)
            version.refresh_from_db(fields=["followed_to"])
            progress.update(bar, completed=total - version_assets_left(version=version))
    return total


def _wait_for_the_other(version: ModelVersion) -> None:
    """A relay derives the next assets at this moment and holds the row meanwhile."""
    with transaction.atomic():
        ModelVersion.objects.select_for_update(no_key=True).get(pk=version.pk)

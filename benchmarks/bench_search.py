"""Search through the REST API, on made-up libraries of 10,000, 100,000 and 1,000,000 pictures.

gunicorn with two workers serves one client that asks one thing after the other, as somebody who may see 60 of
200 collections. The database is the embedded one as the embedded system runs it. Each request is made once
uncounted, then the given number of rounds. VITRINE_BENCH_SIZES names other sizes (``10000,50000``),
VITRINE_BENCH_LIBRARIES a folder in which the libraries stay for the next time (``FOLDER/1000000``).
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psycopg

from benchmarks.library_million import USER, fill, server
from benchmarks.library_million_rows import APART, EVENT, leaves_by_rank, vocabulary
from tests.plugins.ports import free_ports
from tests.plugins.processes import is_ready, wait_for

SIZES = "10000,100000,1000000"
ROUNDS = 5
DEEP_PAGE, PAGE = 1_000, 60
SIMILAR, K = 150, 10
_WITHIN_S = 60
TARGETS_MS = {"page": 60, "facets": 200, "autocomplete": 20, "similar": 25}
RECALL = 0.97


@dataclass
class Api:
    """The REST API, asked by one person over one connection; by a client that costs little itself."""

    connection: HTTPConnection
    token: str

    def timed(self, path: str, **parameters: object) -> tuple[float, Any]:
        """Milliseconds until the last byte of the answer, and the answer."""
        place = f"/api/v1/{path}?{urlencode(parameters)}"
        began = time.perf_counter()
        self.connection.request("GET", place, headers={"Authorization": f"Bearer {self.token}"})
        answer = self.connection.getresponse()
        body = answer.read()
        took = 1000 * (time.perf_counter() - began)
        if answer.status != HTTPStatus.OK:
            raise RuntimeError(f"{place}: {answer.status} {body.decode()}")
        return took, json.loads(body)


def main() -> None:
    sizes = [int(size) for size in (os.environ.get("VITRINE_BENCH_SIZES") or SIZES).split(",")]
    kept = os.environ.get("VITRINE_BENCH_LIBRARIES")
    with tempfile.TemporaryDirectory(prefix="vitrine-bench-") as scratch:
        for size in sizes:
            home = Path(kept or scratch) / str(size)
            print(f"\n{size:,} pictures", flush=True)
            with server(home) as url:
                fill(url, assets=size)
                _tell_database(url)
                with serving(url, home) as api:
                    measure(api, size)


@contextmanager
def serving(url: str, home: Path) -> Iterator[Api]:
    """The pages as they are served, and a token of the user who may see some of the collections."""
    from django.contrib.auth.models import User  # noqa: PLC0415
    from knox.models import AuthToken  # noqa: PLC0415

    _, token = AuthToken.objects.create(user=User.objects.get(username=USER))
    (port,) = free_ports(1)
    command = [sys.executable, "-m", "gunicorn", "--config", "python:dam.gunicorn_conf"]
    command += ["--bind", f"127.0.0.1:{port}", "dam.wsgi:application"]
    environment = {**os.environ, "DATABASE_URL": url, "VITRINE_HOME": str(home)}
    with (home / "gunicorn.log").open("ab") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        wait_for(lambda: is_ready(f"http://127.0.0.1:{port}/healthz"), _WITHIN_S, "the pages")
        with closing(HTTPConnection("127.0.0.1", port, timeout=_WITHIN_S)) as connection:
            yield Api(connection, token)
    finally:
        process.terminate()
        process.wait(_WITHIN_S)


def measure(api: Api, size: int) -> None:
    queries = searches()
    per_query(api, "page", "assets/", queries, limit=PAGE)
    per_query(api, "facets", "assets/facets/", queries)
    autocomplete(api)
    for sort in ("newest", "name"):
        deep_paging(api, sort)
    similar(api, size)


def searches() -> dict[str, str]:
    """Boolean searches of every kind: common and rare, side by side, alternatives, without."""
    words = {word.number: word for word in vocabulary()}
    ranked = [words[int(number)].name for number in leaves_by_rank()]
    above = words[words[int(leaves_by_rank()[3])].ancestors[0]].name

    def tag(place: int) -> str:
        return f'tag:"{ranked[place]}"'

    return {
        "everything": "",
        "very common": f'tag:"{above}"',
        "common": tag(0),
        "two common": f"{tag(0)} {tag(1)}",
        "three common": f"{tag(0)} {tag(2)} {tag(4)}",
        "in the middle": tag(60),
        "rare": tag(1_200),
        "rare and common": f"{tag(700)} {tag(0)}",
        "one without another": f"{tag(2)} -{tag(0)}",
        "without": f"-{tag(0)} -{tag(1)}",
        "either of two": f"{tag(20)} OR {tag(30)}",
        "brackets": f"({tag(3)} OR {tag(9)}) -{tag(0)} {tag(1)}",
        "never together": f"{tag(APART[0])} {tag(APART[1])}",
        "long ago": tag(EVENT),
        "bare words": f"{ranked[5]} {ranked[0]}",
        "tag and type": f"{tag(1)} type:png",
        "tag and side": f"{tag(6)} orientation:portrait",
        "tag and colour": f"{tag(2)} color:red",
        "tag and date": f"{tag(0)} taken:2020-05..2021-02",
        "tag and large": f"{tag(1)} width:>5000",
    }


def per_query(api: Api, name: str, path: str, queries: dict[str, str], **parameters: object) -> None:
    spent: dict[str, list[float]] = {}
    for query in queries.values():
        api.timed(path, q=query, **parameters)
    for _ in range(ROUNDS):
        for label, query in queries.items():
            spent.setdefault(label, []).append(api.timed(path, q=query, **parameters)[0])
    medians = {label: statistics.median(times) for label, times in spent.items()}
    slowest = max(medians, key=lambda label: medians[label])
    told(name, [took for times in spent.values() for took in times])
    print(f"    slowest: {slowest}, median {medians[slowest]:.0f} ms")


def autocomplete(api: Api) -> None:
    rng = random.Random(3)
    names = [word.name for word in rng.sample(vocabulary(), 40)]
    typed = [name[:length] for name in names for length in (1, 2, 3, 5)]
    repeat(api, "autocomplete", [("tags/", {"q": text, "limit": 10}) for text in typed])


def deep_paging(api: Api, sort: str) -> None:
    """Page 1 and page 1,000, or the last full one, in turns."""
    cursor, passed = "", 0
    while passed < (DEEP_PAGE - 1) * PAGE:
        limit = min(3 * PAGE, (DEEP_PAGE - 1) * PAGE - passed)
        _, answer = api.timed("assets/", sort=sort, cursor=cursor, limit=limit)
        if answer["next"] is None:
            break
        cursor, passed = answer["next"], passed + limit
    first, deep = [], []
    for number in range(4 * ROUNDS + 1):
        shallow, _ = api.timed("assets/", sort=sort, limit=PAGE)
        far, answer = api.timed("assets/", sort=sort, cursor=cursor, limit=PAGE)
        if number:
            first.append(shallow)
            deep.append(far)
    page = passed // PAGE + 1
    print(f"  by {sort}: page 1 {figures(first)}; page {page:,} ({len(answer['results'])}) {figures(deep)}")


def similar(api: Api, size: int) -> None:
    """Ten most similar pictures to one, and how many of them the exact comparison finds, too."""
    from django.contrib.auth.models import User  # noqa: PLC0415

    from dam.assets.selectors import assets_visible_to  # noqa: PLC0415
    from dam.search.similar import exactly_similar  # noqa: PLC0415

    user = User.objects.get(username=USER)
    seen = assets_visible_to(user).filter(likeness__isnull=False)
    rng = random.Random(5)
    ids: list[int] = []
    while len(ids) < SIMILAR:
        wanted = [rng.randint(1, size) for _ in range(SIMILAR)]
        ids += seen.filter(pk__in=wanted).values_list("pk", flat=True)
    ids = ids[:SIMILAR]
    repeat(api, "similar", [(f"assets/{pk}/similar/", {"limit": K}) for pk in ids], rounds=1)
    shares = []
    for pk in ids:
        _, answer = api.timed(f"assets/{pk}/similar/", limit=K)
        found = [result["similarity"] for result in answer["results"]]
        least = exactly_similar(user=user, asset_id=pk, limit=K)[-1][1]
        # As similar as the tenth is as good as the tenth: half precision knows ties.
        shares.append(sum(similarity >= least - 1e-6 for similarity in found) / K)
    recall = statistics.mean(shares)
    print(f"    recall@{K} against exact, n={SIMILAR}: {recall:.3f} (target: at least {RECALL})", flush=True)


def repeat(api: Api, name: str, asked: Sequence[tuple[str, dict[str, Any]]], rounds: int = 2) -> None:
    for path, parameters in asked:
        api.timed(path, **parameters)
    told(name, [api.timed(path, **parameters)[0] for _ in range(rounds) for path, parameters in asked])


def told(name: str, spent: list[float]) -> None:
    print(
        f"  {name}, n={len(spent)}: {figures(spent)} (target: p95 at most {TARGETS_MS[name]} ms)", flush=True
    )


def figures(spent: list[float]) -> str:
    p95 = sorted(spent)[int(0.95 * (len(spent) - 1))]
    return f"median {statistics.median(spent):.1f} ms, p95 {p95:.1f} ms"


def _tell_database(url: str) -> None:
    with psycopg.connect(url) as connection:

        def one(statement: str) -> Any:
            row = connection.execute(statement).fetchone()
            assert row is not None
            return row[0]

        size = one("SELECT pg_size_pretty(pg_database_size(current_database()))")
        tags = one("SELECT avg(cardinality(tag_ids))::numeric(4, 1) FROM assets_asset WHERE id % 100 = 1")
        print(
            f"  PostgreSQL {one('SHOW server_version')}, shared_buffers {one('SHOW shared_buffers')}, "
            f"work_mem {one('SHOW work_mem')}; {size}, {tags} tag ids each",
            flush=True,
        )

import os, csv, io, base64, random, time
import numpy as np
from datetime import UTC, datetime, timedelta, date
from pathlib import Path
from tests.dam.library_browser.scene import MARKS, MODEL
from dam.assets.models import Asset, Level
from dam.assets.services import asset_create, root_collection
from dam.assets.storage import blob_store
from dam.assets import collections as C, albums as A, grants as G, trash as T, editing as E
from dam.curation.models import DuplicatePair
from dam.tagging.models import Likeness
from dam.search.saved import search_save, recent_search_note
from dam.sharing.services import share_create
from dam.jobs.models import TaggingJob
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import *
from pipeline.messages import PictureFacts, LabelScore, Outcome, Purpose, Rendition, TagResult
from tests.dam.factories import TagFactory, UserFactory
from PIL import Image
import pytest

pytestmark = [*MARKS, pytest.mark.timeout(900)]
OUT = "/tmp/K/shots"
P = Path("/work/shared/data/photos")


def answer(asset, emb, fp, colours, scores, content):
    job = TaggingJob.objects.get(asset=asset, generation=asset.generation)
    key = asset.current_version.blob.key
    stored = blob_store().put_renditions(key, {"grid.jpg": content, "preview.jpg": content})
    s = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").resize((16, 12)).save(s, "JPEG")
    ph = "data:image/jpeg;base64," + base64.b64encode(s.getvalue()).decode()
    result_record(
        result=TagResult(
            job_id=job.pk,
            generation=job.generation,
            purpose=Purpose.LIVE,
            outcome=Outcome.TAGGED,
            model=MODEL,
            scores=tuple(LabelScore(label=k.replace(" ", "-"), score=v) for k, v in scores.items()),
            embedding_f32=base64.b64encode(emb.astype("<f4").tobytes()).decode(),
            picture=PictureFacts(
                width=asset.width, height=asset.height, placeholder=ph, fingerprint=fp, colours=colours
            ),
            renditions=tuple(
                Rendition(name=n, key=stored[f"{n}.jpg"], width=asset.width, height=asset.height)
                for n in ("grid", "preview")
            ),
        ),
        words=vocabulary(),
    )


def test_shots(open_page, anna, browser):
    os.makedirs(OUT, exist_ok=True)
    anna.is_superuser = True
    anna.last_name = "Berg"
    anna.save()
    ben = UserFactory(username="ben", first_name="Ben")
    rows = [
        r
        for r in csv.DictReader((P / "labels.csv").open())
        if r["set"] == "coco" and 2 <= len(r["labels"].split(";")) <= 5
    ][:46]
    rng = np.random.default_rng(1)
    rnd = random.Random(3)
    for r in rows:
        for l in r["labels"].split(";"):
            TagFactory(name=l)
    lib = root_collection()
    travel = C.collection_create(
        parent=lib, name="Travel", user=anna, description="From all over, kept by the desk."
    )
    italy = C.collection_create(parent=travel, name="Italy 2025", user=anna)
    norway = C.collection_create(parent=travel, name="Norway", user=anna)
    press = C.collection_create(parent=lib, name="Press pictures", user=anna, default_licence="CC-BY-4.0")
    C.collection_create(parent=press, name="Portraits of the board", user=anna)
    G.grant_set(collection=travel, user=anna, level=Level.CURATE, to_user=ben)
    assets = []
    for i, r in enumerate(rows):
        content = (P / "images" / r["file"]).read_bytes()
        a = asset_create(
            stream=io.BytesIO(content),
            filename=f"DSC_{4000 + i * 7}.jpg",
            user=anna,
            collection=[lib, travel, italy, norway, press][i % 5],
        ).asset
        e = rng.normal(size=320)
        e /= np.linalg.norm(e)
        answer(
            a,
            e,
            int(rng.integers(-(2**62), 2**62)),
            tuple(rnd.sample(["blue", "green", "grey", "brown", "white", "black", "orange"], 3)),
            {l: round(rnd.uniform(0.55, 0.99), 2) for l in r["labels"].split(";")},
            content,
        )
        at = datetime(2023 + i % 3, 1 + i % 12, 3, tzinfo=UTC)
        Asset.objects.filter(pk=a.pk).update(
            taken_at=at, created_at=at + timedelta(days=20), camera=["Canon EOS R5", "NIKON Z 6"][i % 2]
        )
        a.refresh_from_db()
        assets.append(a)
    a = assets[-1]
    E.asset_update(
        asset=a,
        user=anna,
        title="Morning at the market",
        description="Light falls through the awnings while the stalls open.",
        licence="CC-BY-4.0",
        copyright_holder="Anna Berg",
        credit="Photo: Anna Berg",
        expires_on=date.today() + timedelta(days=12),
    )
    Asset.objects.filter(pk=assets[-3].pk).update(expires_on="2020-01-01")
    Asset.objects.filter(pk=assets[-4].pk).update(embargo_until="2035-01-01")
    al = A.album_create(
        name="Spring issue",
        user=anna,
        description="Picks for the cover story",
        asset_ids=[x.pk for x in assets[-9:]],
    )
    A.album_create(name="To ask about rights", user=anna)
    T.assets_trash(asset_ids=[x.pk for x in assets[:5]], user=anna)
    DuplicatePair.objects.create(first=assets[10], second=assets[11], distance=2)
    search_save(user=anna, name="Dogs outdoors", query="tag:dog", sort="newest", shared=True)
    for q in ("dog", "tag:person taken:2024"):
        recent_search_note(user=anna, query=q)
    sh = share_create(
        user=anna,
        kind="album",
        album=al,
        title="For the paper",
        message="By Friday, please.",
        may_download=True,
        fields=["title", "credit", "licence"],
    )
    share_create(user=anna, kind="collection", collection=travel, title="", password="abcdef")
    page = open_page("/")
    page.set_default_timeout(30000)
    base = page.url.rstrip("/")

    def shot(name, full=False):
        page.screenshot(path=f"{OUT}/{name}.png", full_page=full)

    def go(url):
        page.goto(base + url)
        page.wait_for_selector("html[data-ready]")
        page.wait_for_load_state("networkidle")

    errors = []

    def step(name, fn):
        try:
            fn()
        except Exception as ex:
            errors.append((name, str(ex)[:400]))
            print("STEP", name, str(ex)[:400], flush=True)

    only = os.environ.get("ONLY", "").split()
    for scheme in os.environ.get("SCHEMES", "light dark").split():
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 860})
            s = f"{scheme}-{width}"

            def wall():
                go("/?q=-donut")
                shot(f"wall-{s}")
                if width == 390:
                    page.get_by_role("link", name="Filters").click()
                    page.wait_for_selector("[data-facet]")
                    shot(f"facets-{s}")
                    page.locator("[data-facets-close]").click()
                page.get_by_role("button", name="As a list").click()
                shot(f"list-{s}")
                page.get_by_role("button", name="As a grid").click()

            def select():
                go("/")
                page.keyboard.press("ArrowRight")
                page.keyboard.press("ArrowRight")
                page.keyboard.press("x")
                page.keyboard.press("Shift+ArrowRight")
                shot(f"selected-{s}")
                for key in "tmaesd":
                    page.keyboard.press(key)
                    page.wait_for_selector("dialog[open]")
                    page.wait_for_load_state("networkidle")
                    shot(f"dialog-{key}-{s}")
                    for _ in range(2):
                        if page.locator("dialog[open]").count():
                            page.keyboard.press("Escape")

            def lightbox():
                go("/")
                page.keyboard.press("ArrowRight")
                page.keyboard.press("Enter")
                page.wait_for_selector("#lightbox[open]")
                page.wait_for_load_state("networkidle")
                shot(f"lightbox-{s}")
                page.keyboard.press("i")
                page.wait_for_selector("#lightbox-info h3")
                shot(f"lightbox-info-{s}")

            def search():
                go("/")
                page.keyboard.press("/")
                page.wait_for_selector("[role=option]")
                shot(f"search-{s}")
                page.keyboard.type("p")
                page.wait_for_load_state("networkidle")
                page.wait_for_timeout(300)
                shot(f"search-p-{s}")

            step("wall", wall)
            step("select", select)
            step("lightbox", lightbox)
            step("search", search)
            for name, url in {
                "collections": "/collections/",
                "collection": f"/collections/{travel.pk}/",
                "albums": "/albums/",
                "album": f"/albums/{al.pk}/",
                "asset": f"/assets/{a.pk}/",
                "shares": "/shares/",
                "trash": "/trash/",
                "duplicates": "/duplicates/",
                "rights": "/rights/",
                "history": "/history/",
                "searches": "/searches/",
            }.items():

                def one():
                    go(url)
                    shot(f"{name}-{s}", full=name == "asset")

                step(name, one)

            def share():
                page.goto(f"{base}/s/{sh.key}/")
                page.wait_for_selector("html[data-ready]")
                page.wait_for_load_state("networkidle")
                shot(f"share-{s}")
                page.locator(".share-link").first.click()
                page.wait_for_load_state("networkidle")
                shot(f"share-box-{s}")

            step("share", share)
    print("ERRORS", errors)

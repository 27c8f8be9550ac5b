"""The pages in a real browser: what people do with mouse, keyboard and files.

The catalogue has no worker here; where a test needs an answer, it records one as the results writer would.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from PIL import Image
from playwright.sync_api import BrowserContext, Page, Route, expect

from dam.assets.models import Asset
from dam.assets.services import asset_create
from dam.assets.storage import blob_store
from dam.jobs.models import TaggingJob
from dam.tagging.models import Claim, Tag
from dam.tagging.services import result_record
from dam.tagging.vocabulary import vocabulary
from pipeline.messages import (
    FailureReason,
    LabelScore,
    ModelIdentity,
    Outcome,
    PictureFacts,
    Purpose,
    Rendition,
    TagResult,
)
from tests.dam.factories import AssetFactory, TagFactory, UserFactory
from tests.plugins.browser import Console

# The root collection comes from a migration, so the database is put back as the migrations left it.
pytestmark = [
    pytest.mark.django_db(transaction=True, serialized_rollback=True),
    pytest.mark.slow,
    pytest.mark.timeout(240),
]

MODEL = ModelIdentity(name="tagger", version=1, preprocess_id="p", vocabulary_id="v", embedding_id="e")

DROP = """
async files => {
    const data = new DataTransfer();
    for (const {name, type, bytes} of files)
        data.items.add(new File([Uint8Array.from(atob(bytes), char => char.charCodeAt(0))], name, {type}));
    const event = kind => new DragEvent(kind, {dataTransfer: data, bubbles: true, cancelable: true});
    document.body.dispatchEvent(event("dragenter"));
    await new Promise(requestAnimationFrame);
    const veil = !document.getElementById("drop-veil").hidden;
    document.body.dispatchEvent(event("dragover"));
    document.body.dispatchEvent(event("drop"));
    return veil;
}
"""


NAMELESS = """() => [...document.querySelectorAll("a, button, input, summary, [role=listbox]")]
    .filter(node => node.type !== "hidden" && node.type !== "file")
    .filter(node => !node.textContent.trim() && !node.getAttribute("aria-label") && !node.labels?.length)
    .map(node => node.outerHTML)"""


def jpeg(colour: str = "teal", width: int = 320, height: int = 240) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(stream, "JPEG")
    return stream.getvalue()


def answer(asset: Asset, **scores: float) -> None:
    """Record what a worker would have answered: these tags, and both renditions."""
    job = TaggingJob.objects.get(asset=asset, generation=asset.generation)
    key = asset.current_version.blob.key
    renditions = tuple(
        Rendition(
            name=name,
            key=blob_store().put_rendition(key, f"{name}.jpg", blob_store().read(key)),
            width=asset.width,
            height=asset.height,
        )
        for name in ("grid", "preview")
    )
    result_record(
        result=TagResult(
            job_id=job.pk,
            generation=job.generation,
            purpose=Purpose.LIVE,
            outcome=Outcome.TAGGED,
            model=MODEL,
            scores=tuple(LabelScore(label=slug, score=score) for slug, score in scores.items()),
            picture=PictureFacts(width=asset.width, height=asset.height),
            renditions=renditions,
        ),
        words=vocabulary(),
    )


@pytest.fixture
def anna(transactional_db: None, django_db_serialized_rollback: None) -> User:
    return UserFactory(username="anna", first_name="Anna", is_staff=True)


@pytest.fixture
def tags(anna: User) -> dict[str, Tag]:
    return {name: TagFactory(name=name) for name in ("dog", "donut", "bench", "cat")}


@pytest.fixture
def add(anna: User, tags: dict[str, Tag]) -> Callable[..., Asset]:
    """``add("walk.jpg", dog=0.9)``: a picture of its own colour in the library."""
    made: list[Asset] = []

    def add_one(name: str, *, width: int = 320, height: int = 240, **scores: float) -> Asset:
        number = len(made)
        content = jpeg(f"rgb({number * 7 % 256}, {number * 31 % 256}, 120)", width, height)
        asset = asset_create(stream=io.BytesIO(content), filename=name, user=anna).asset
        made.append(asset)
        if scores:
            answer(asset, **scores)
        return asset

    return add_one


@pytest.fixture
def open_page(live_server, anna: User, browser_context: BrowserContext, client) -> Callable[[str], Page]:
    """Open an address as Anna."""
    client.force_login(anna)
    browser_context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    page = browser_context.new_page()

    def open_address(address: str = "/") -> Page:
        page.goto(live_server.url + address)
        page.wait_for_selector("html[data-ready]")
        return page

    return open_address


def drop(page: Page, **files: bytes) -> bool:
    """Drop files on the page; whether it showed that they may be dropped."""
    named = [
        {"name": name.replace("_", "."), "type": "image/jpeg", "bytes": base64.b64encode(content).decode()}
        for name, content in files.items()
    ]
    return bool(page.evaluate(DROP, named))


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('[data-asset-id]')?.dataset.assetId ?? ''"))


# ------------------------------------------------------------------ upload


def test_dropped_files_are_uploaded_and_each_is_told_what_became_of_it(
    open_page: Callable[..., Page], add: Callable[..., Asset], console: Console
) -> None:
    console.expect("status of 4(00|15)")  # the two that are refused
    add("here.jpg", dog=0.9)
    page = open_page()
    assert drop(
        page, new_jpg=jpeg("orange"), same_jpg=jpeg("rgb(0, 0, 120)"), notes_jpg=b"text", empty_jpg=b""
    )
    parcel = page.locator(".parcel")
    expect(parcel.filter(has_text="new.jpg")).to_contain_text("Being tagged")
    expect(parcel.filter(has_text="same.jpg")).to_contain_text("Already in the library")
    expect(parcel.filter(has_text="notes.jpg")).to_have_attribute("data-phase", "refused")
    expect(parcel.filter(has_text="empty.jpg")).to_have_attribute("data-phase", "refused")
    expect(page.locator("#tray-sub")).to_have_text("1 being tagged · 1 already here · 2 refused")
    expect(page.locator("#drop-veil")).to_be_hidden()

    # It joins the wall by itself, and so do its tags.
    fresh = Asset.objects.get(filename="new.jpg")
    card = page.locator(f'.card[data-asset-id="{fresh.pk}"]')
    expect(card).to_have_attribute("data-state", "pending")
    expect(page.locator(".results-count")).to_have_text("2 pictures")
    answer(fresh, dog=0.8)
    expect(card).to_have_attribute("data-state", "tagged")
    expect(parcel.filter(has_text="new.jpg")).to_contain_text("dog")
    expect(parcel.filter(has_text="new.jpg").get_by_role("link")).to_have_attribute(
        "href", f"/assets/{fresh.pk}/"
    )


def test_the_first_upload_replaces_the_empty_library(open_page: Callable[..., Page], tmp_path: Path) -> None:
    picture = tmp_path / "first.jpg"
    picture.write_bytes(jpeg("gold"))
    page = open_page()
    page.on("filechooser", lambda chooser: chooser.set_files(picture))
    open_page()  # Playwright has taken over the dialogue by the time that a page was loaded
    expect(page.get_by_text("Your library is empty")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator(".card")).to_have_count(1)
    expect(page.get_by_text("Your library is empty")).to_have_count(0)


def test_an_upload_that_the_network_lost_can_be_tried_again(
    open_page: Callable[..., Page], console: Console
) -> None:
    console.expect("net::ERR_FAILED")
    page = open_page()
    page.route("**/api/v1/assets/", lambda route: route.abort())
    drop(page, lost_jpg=jpeg())
    parcel = page.locator(".parcel")
    expect(parcel).to_have_attribute("data-phase", "lost")
    page.unroute("**/api/v1/assets/")
    parcel.get_by_role("button", name="Try again").click()
    expect(parcel).to_have_attribute("data-phase", "pending")


def test_uploads_go_on_while_one_looks_at_other_pages_and_leaving_is_warned_of(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("here.jpg", dog=0.9)
    page = open_page()
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/api/v1/assets/", hold)
    drop(page, slow_jpg=jpeg("pink"))
    expect(page.locator('.parcel[data-phase="sending"]')).to_have_count(1)
    page.get_by_role("link", name="Tags").click()
    expect(page.get_by_role("heading", name="Tags", exact=True)).to_be_visible()
    assert page.evaluate("!dispatchEvent(new Event('beforeunload', {cancelable: true}))")
    held[0].continue_()
    expect(page.locator('.parcel[data-phase="pending"]')).to_have_count(1)
    assert page.evaluate("dispatchEvent(new Event('beforeunload', {cancelable: true}))")


# ----------------------------------------------------------------- library


def test_rows_are_of_equal_height_and_fill_the_width(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    for number in range(24):
        add(f"{number}.jpg", width=120 + 40 * (number % 7), height=160, dog=0.9)
    page = open_page()
    rows = page.evaluate("""() => {
        const wall = document.getElementById('wall').getBoundingClientRect();
        const rows = new Map();
        for (const card of document.querySelectorAll('.card')) {
            const box = card.getBoundingClientRect();
            const row = rows.get(box.top) ?? {heights: new Set(), right: 0};
            row.heights.add(box.height);
            row.right = Math.max(row.right, box.right);
            rows.set(box.top, row);
        }
        return [...rows.values()].map(row => [row.heights.size, Math.abs(wall.right - row.right)]);
    }""")
    assert len(rows) > 2
    assert all(heights == 1 for heights, _ in rows)
    assert all(left_over < 1 for _, left_over in rows[:-1])


def test_more_pictures_come_while_one_scrolls_and_one_returns_to_the_same_place(
    open_page: Callable[..., Page], anna: User
) -> None:
    for number in range(130):
        AssetFactory(filename=f"{number:03}.jpg", uploaded_by=anna)
    page = open_page()
    expect(page.locator(".card")).to_have_count(60)
    page.mouse.move(700, 500)
    for count in (120, 130):
        page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
        expect(page.locator(".card")).to_have_count(count)
    expect(page.locator("[data-more]")).to_have_count(0)
    ids = page.evaluate("[...document.querySelectorAll('.card')].map(card => card.dataset.assetId)")
    assert len(set(ids)) == 130

    page.locator(".card").nth(100).click()
    expect(page.locator("article.asset")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator(f'article[data-asset="{ids[101]}"]')).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".card")).to_have_count(130)
    assert focused(page) == ids[101]
    assert page.evaluate("scrollY") > 0


def test_pictures_are_walked_through_and_opened_by_keyboard(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    assets = [add(f"{number:02}.jpg", dog=0.9) for number in range(20)][::-1]
    page = open_page()
    for key, place in (("ArrowRight", 0), ("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1)):
        page.keyboard.press(key)
        assert focused(page) == str(assets[place].pk)
    top = page.evaluate("document.activeElement.getBoundingClientRect().top")
    page.keyboard.press("ArrowDown")
    assert page.evaluate("document.activeElement.getBoundingClientRect().top") > top
    page.keyboard.press("ArrowUp")
    assert focused(page) == str(assets[1].pk)
    page.keyboard.press("Enter")
    expect(page.locator(f'article[data-asset="{assets[1].pk}"]')).to_be_visible()
    page.go_back()
    expect(page.locator(".card")).to_have_count(20)
    assert focused(page) == str(assets[1].pk)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_tags_complete_what_is_typed_and_chips_take_it_back(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("a.jpg", dog=0.9)
    add("b.jpg", cat=0.9)
    page = open_page()
    page.keyboard.press("/")
    field = page.get_by_role("combobox", name="Search pictures")
    expect(field).to_be_focused()
    page.keyboard.type("-do")
    option = page.get_by_role("option")
    expect(option).to_have_count(1)  # no picture is a donut
    expect(field).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Escape")
    expect(option).to_have_count(0)
    page.keyboard.press("ArrowDown")
    expect(option).to_have_count(1)
    page.keyboard.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile(r"\?q=-tag%3Adog$"))
    expect(page.locator(".card")).to_have_count(1)
    page.get_by_role("link", name="Remove not dog from the search").click()
    expect(page.locator(".card")).to_have_count(2)
    expect(field).to_have_value("")


def test_a_query_that_cannot_be_understood_says_where(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("a.jpg", dog=0.9)
    page = open_page()
    page.get_by_role("combobox").fill("dog (cat")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("This bracket is not closed.")
    expect(page.get_by_role("alert")).to_contain_text("Column 5")


def test_the_sort_and_the_search_stay_in_the_address(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    add("b.jpg", dog=0.9)
    add("a.jpg", dog=0.9)
    page = open_page("/?q=dog")
    page.locator(".results-tools summary").click()
    page.get_by_role("link", name="Name").click()
    page.wait_for_url(re.compile(r"\?q=dog&sort=name$"))
    page.reload()
    expect(page.locator(".card img").first).to_have_attribute("alt", "a.jpg: dog")


# -------------------------------------------------------------- asset page


def test_tags_are_accepted_rejected_undone_and_added_by_keyboard(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("walk.jpg", dog=0.9, bench=0.6)
    page = open_page(f"/assets/{asset.pk}/")
    dog, bench = page.locator("#claim-dog"), page.locator("#claim-bench")
    page.keyboard.press("ArrowDown")
    expect(dog).to_be_focused()
    page.keyboard.press("a")
    expect(dog).to_contain_text("Accepted by Anna")
    expect(dog).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(bench).to_be_focused()
    page.keyboard.press("r")
    expect(page.get_by_text("1 rejected")).to_be_visible()
    page.get_by_text("1 rejected").click()
    bench.get_by_role("button", name="Undo for bench").click()
    expect(bench).to_have_attribute("data-state", "suggested")
    page.keyboard.press("t")
    page.keyboard.type("Golden Hour")
    page.keyboard.press("Enter")
    added = page.locator("#claim-golden-hour")
    expect(added).to_contain_text("Added by Anna")
    expect(page.locator("#new-tag")).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("Added Golden Hour")
    page.keyboard.type("ca")
    page.keyboard.press("ArrowDown")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#claim-cat")).to_contain_text("Added by Anna")
    said = dict(Claim.objects.filter(asset=asset).values_list("tag__slug", "state"))
    assert said == {"dog": "accepted", "bench": "suggested", "golden-hour": "accepted", "cat": "accepted"}


def test_a_pending_picture_shows_its_tags_as_soon_as_they_are_there(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("soon.jpg")
    page = open_page(f"/assets/{asset.pk}/")
    expect(page.get_by_text("Being tagged.")).to_be_visible()
    answer(asset, dog=0.9)
    expect(page.locator("#claim-dog")).to_be_visible()
    expect(page.get_by_text("Being tagged.")).to_have_count(0)


def test_a_failed_picture_has_a_reason_instead_of_a_broken_image(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("broken.jpg")
    job = TaggingJob.objects.get(asset=asset)
    result_record(
        result=TagResult(
            job_id=job.pk,
            generation=job.generation,
            purpose=Purpose.LIVE,
            outcome=Outcome.FAILED,
            reason=FailureReason.CORRUPT,
        ),
        words=vocabulary(),
    )
    page = open_page(f"/assets/{asset.pk}/")
    expect(page.get_by_text("The file is damaged")).to_be_visible()
    expect(page.locator(".stage img")).to_have_count(0)
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("Being tagged.")).to_be_visible()
    assert Asset.objects.get().state == Asset.State.PENDING


# ------------------------------------------------------------- other pages


def test_a_picture_can_be_tried_without_being_kept(
    open_page: Callable[..., Page], tags: dict[str, Tag], tmp_path: Path
) -> None:
    picture = tmp_path / "try.jpg"
    picture.write_bytes(jpeg("violet"))
    page = open_page("/try/")
    with page.expect_request("**/api/v1/predict/**"):
        page.locator("#try-file").set_input_files(picture)
    expect(page.get_by_alt_text("The picture that you chose")).to_be_visible()
    expect(page.locator(".skeleton-lines")).to_be_visible()
    with page.expect_response(re.compile(r"/predict/\d+/")):
        pass
    job = TaggingJob.objects.get(purpose="try")
    result_record(
        result=TagResult(
            job_id=job.pk,
            generation=job.generation,
            purpose=Purpose.TRY,
            outcome=Outcome.TAGGED,
            model=MODEL,
            scores=(LabelScore(label="dog", score=0.93),),
        ),
        words=vocabulary(),
    )
    expect(page.locator(".try-tag")).to_have_text(re.compile(r"dog\s*93 %"))
    assert not Asset.objects.exists()


def test_a_chosen_theme_is_remembered_and_the_system_s_is_the_default(open_page: Callable[..., Page]) -> None:
    def paper(page: Page) -> str:
        return str(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))

    page = open_page()
    light = paper(page)
    page.emulate_media(color_scheme="dark")
    dark = paper(page)
    assert dark != light
    page.get_by_label("Account of Anna").click()
    page.get_by_role("button", name="Light").click()
    assert paper(page) == light
    page.reload()
    assert paper(page) == light
    page.get_by_label("Account of Anna").click()
    page.get_by_role("button", name="As the system").click()
    assert paper(page) == dark


@pytest.mark.parametrize("width", [390, 2560])
def test_no_page_is_wider_than_the_screen(
    width: int, open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("a-name-that-goes-on-and-on-" * 8 + ".jpg", width=900, height=100, dog=0.9, bench=0.6)
    add("tall.jpg", width=100, height=900, cat=0.9)
    for address in (
        "/",
        "/?q=" + "unbreakable" * 30,
        "/?q=(dog",
        f"/assets/{asset.pk}/",
        "/tags/",
        "/try/",
        "/account/tokens/",
        "/account/password/",
    ):
        page = open_page(address)
        page.set_viewport_size({"width": width, "height": 844})
        expect(page.locator("#main")).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, address


def test_every_control_has_a_name_and_every_picture_a_text(
    open_page: Callable[..., Page], add: Callable[..., Asset]
) -> None:
    asset = add("walk.jpg", dog=0.9)
    for address in ("/", f"/assets/{asset.pk}/", "/tags/", "/try/", "/account/tokens/"):
        page = open_page(address)
        nameless = page.evaluate(NAMELESS)
        assert nameless == [], address
        assert page.evaluate("[...document.images].filter(image => !image.hasAttribute('alt')).length") == 0
        assert page.evaluate("document.querySelectorAll('h1').length") == 1, address

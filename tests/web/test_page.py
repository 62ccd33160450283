"""The page in a real Chromium, against a live service.

RAG_SCREENSHOTS=DIR keeps pictures: that is how those in docs/screenshots are made.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright
from reportlab.lib.pagesizes import A4
from reportlab.pdfgen.canvas import Canvas

from rag.errors import GeneratorDown
from tests.api.toy import Live, Script, add, make_key, wait

pytestmark = [pytest.mark.browser, pytest.mark.slow]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
expect.set_options(timeout=20_000)
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync"
SHOTS = os.environ.get("RAG_SCREENSHOTS")
QUESTION = "How high may the pump pressure of the Otter be?"
SAID = "The pump pressure is 42 bar at most [1]. Above that the relief valve opens [1]. It may be raised to 50 bar for a test."


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: `make browser` installs it, or apt-get install chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS.split())
        yield started
        started.close()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("home")
    add(
        home,
        {
            "年假制度.md": "全职员工每年有 23 天年假，最多可结转 5 天到次年三月底。",
            "travel.md": "Hotels in Oslo: up to 2,150 kroner a night.",
        },
    )
    report = home / "reports" / "golden" / "report.json"
    report.parent.mkdir(parents=True)
    metrics = {
        name: {"metrics": {"f1": {"mean": m, "low": m - 0.05, "high": m + 0.05, "n": 150}}}
        for name, m in (("base", 0.21), ("rag", 0.78))
    }
    report.write_text(
        json.dumps(
            {
                "arms": metrics,
                "verdicts": [
                    {
                        "kind": "number",
                        "better": "rag",
                        "text": "RAG is better by 0.57 (0.50 to 0.64).",
                        "text_zh": "RAG 高 0.57。",
                    },
                    {
                        "kind": "zh",
                        "better": "undecided",
                        "text": "Undecided on Chinese questions.",
                        "text_zh": "中文问题未分高下。",
                    },
                ],
            }
        )
    )
    (report.parent / "report.html").write_text("<!doctype html><title>All of it</title>")
    with Live(
        home, Script(words=SAID.split(), seconds=0.03, verdicts=("supported", "partly", "unsupported"))
    ) as started:
        started.client.post("/documents", files={"file": ("Otter P200 manual.pdf", manual())})
        wait(lambda: started.client.get("/documents").json()["total"] == 3, 60)
        yield started


@pytest.fixture
def page(browser: Browser, live: Live, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page on the service that must not say anything on its console, a breach of the policy least of all."""
    options: dict[str, Any] = getattr(request, "param", {})
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 820}, "locale": "en-GB", **options})
    context.set_default_timeout(20_000)
    opened = context.new_page()
    said: list[str] = []
    expected = {"Failed to load resource"}  # the browser's own line for every request that is refused or fails
    opened.on("console", lambda m: None if any(e in m.text for e in expected) else said.append(m.text))
    opened.on("pageerror", lambda e: said.append(str(e)))
    opened.goto(live.url)
    opened.wait_for_selector("#main > *")
    yield opened
    context.close()
    assert said == []


@pytest.fixture
def chinese(live: Live) -> Iterator[None]:
    words, live.script.words = live.script.words, SAID_ZH.split()
    yield
    live.script.words = words


SAID_ZH = "全职员工每年有 23 天年假 [1]。最多可结转 5 天到次年三月底 [1]。没有休完的年假可以折算成工资。"
PHONE = {"viewport": {"width": 390, "height": 780}, "locale": "zh-CN", "has_touch": True}
DARK = {"color_scheme": "dark", "locale": "zh-CN"}


def manual() -> bytes:
    out = io.BytesIO()
    canvas = Canvas(out, pagesize=A4)
    for number, lines in enumerate(
        (
            ["Otter P200 service manual", "", "Contents"],
            [
                "2 Operation",
                "",
                "The pump pressure of the Otter is 42 bar at most.",
                "The relief valve opens above that.",
            ],
        ),
        1,
    ):
        text = canvas.beginText(72, 760)
        for i, line in enumerate(lines):
            text.setFont("Helvetica-Bold" if i == 0 else "Helvetica", 18 if i == 0 else 11)
            text.textLine(line)
        canvas.drawText(text)
        canvas.drawString(72, 40, f"Page {number}")
        canvas.showPage()
    canvas.save()
    return out.getvalue()


def shot(page: Page, name: str) -> None:
    if SHOTS:
        page.wait_for_timeout(400)
        page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))


def ask(page: Page, question: str = QUESTION) -> None:
    page.fill("#question", question)
    page.keyboard.press("Enter")


def test_a_question_is_answered_word_by_word_with_support_and_sources(page: Page) -> None:
    expect(page.locator("h1")).to_have_text("What would you like to know?")
    shot(page, "welcome")
    ask(page)
    expect(page.locator(".preview")).to_contain_text("The pump")
    assert page.locator(".sources").count() == 0, "nothing was streamed"
    expect(page.locator(".sources .card").first).to_contain_text("Otter P200")
    for verdict in ("supported", "partly", "unsupported"):
        expect(page.locator(f".s.{verdict}")).to_have_count(1)
    expect(page.locator(".legend")).to_contain_text("not supported by a source")
    shot(page, "answer")


def test_a_citation_opens_the_page_with_the_quote_and_escape_closes_it(page: Page) -> None:
    ask(page)
    page.locator(".cite").first.click()
    picture = page.locator("#source img.page")
    expect(picture).to_be_visible()
    wait(lambda: page.evaluate("document.querySelector('#source img.page').naturalWidth") > 300)
    expect(page.locator(".turner")).to_contain_text("2 of 2")
    shot(page, "source-page")
    page.get_by_role("button", name="Text").click()
    expect(page.locator("#source mark").first).to_contain_text("pump pressure")
    shot(page, "source-text")
    page.keyboard.press("Escape")
    expect(page.locator("#source")).to_be_hidden()
    assert page.evaluate("document.activeElement.className") == "cite"


def test_a_follow_up_knows_what_was_said(page: Page, live: Live) -> None:
    ask(page)
    page.wait_for_selector(".actions")
    ask(page, "And the pump valve?")
    expect(page.locator(".actions")).to_have_count(2)
    history = live.script.asked[-1].search.history
    assert [(m.role, m.content[:20]) for m in history] == [("user", QUESTION[:20]), ("assistant", SAID[:20])]
    page.get_by_role("button", name="New conversation").click()
    expect(page.locator(".turn")).to_have_count(0)


def test_stop_stops_the_model(page: Page, live: Live) -> None:
    words, live.script.words = live.script.words, ["word"] * 500
    try:
        ask(page)
        expect(page.locator(".preview")).to_contain_text("word word")
        page.get_by_role("button", name="Stop").click()
        expect(page.locator(".status")).to_have_text("Stopped.")
        assert wait(lambda: live.script.active == 0) < 2
    finally:
        live.script.words = words


def test_a_refusal_is_an_answer_and_becomes_a_gap(page: Page, live: Live) -> None:
    ask(page, "Zebra race winner?")
    expect(page.locator(".reply.abstained")).to_contain_text("do not say")
    wait(lambda: bool(live.client.get("/gaps").json()["gaps"]))
    page.get_by_role("link", name="Gaps").click()
    row = page.locator("tbody tr", has_text="Zebra race")
    expect(row).to_contain_text("not in the documents")
    shot(page, "gaps")
    row.get_by_role("button", name="Settled").click()
    expect(row).to_have_count(0)


def test_a_judgement_with_a_comment_is_kept(page: Page, live: Live) -> None:
    ask(page)
    page.get_by_role("button", name="Not helpful").click()
    page.get_by_label("What was wrong, or missing?").fill("The 2026 manual says 40 bar.")
    page.locator(".comment").get_by_role("button", name="Send").click()
    expect(page.locator("#notice")).to_have_text("Thank you. It was noted.")
    given = live.client.get("/feedback").json()["feedback"][0]
    assert (given["rating"], given["comment"], given["question"]) == ("down", "The 2026 manual says 40 bar.", QUESTION)
    assert given["answer"] == SAID


def test_an_upload_shows_its_progress_and_can_be_removed(page: Page, live: Live, tmp_path: Path) -> None:
    file = tmp_path / "Canteen.md"
    file.write_text("# Canteen\n\nSoup is served from noon.\n")
    page.get_by_role("link", name="Documents", exact=True).last.click()
    expect(page.locator("tbody tr")).to_have_count(3)
    page.set_input_files("#files", str(file))
    expect(page.locator(".jobs .done")).to_contain_text("Ready")
    expect(page.locator("tbody tr", has_text="Canteen")).to_have_count(1)
    shot(page, "documents")
    page.on("dialog", lambda d: d.accept())
    page.get_by_role("button", name="Remove: Canteen").click()
    expect(page.locator("tbody tr", has_text="Canteen")).to_have_count(0)
    assert live.client.get("/documents").json()["total"] == 3


def test_an_upload_that_cannot_be_read_says_why(page: Page, tmp_path: Path) -> None:
    file = tmp_path / "broken.pdf"
    file.write_bytes(b"%PDF-1.7 nothing")
    page.goto(f"{page.url.partition('#')[0]}#documents")
    page.set_input_files("#files", str(file))
    expect(page.locator(".jobs .failed")).to_contain_text("Failed")


def test_when_the_model_is_down_the_passages_are_shown(page: Page, live: Live) -> None:
    live.script.error = GeneratorDown("Ollama does not answer")
    try:
        ask(page)
        expect(page.get_by_role("alert")).to_contain_text("Ollama does not answer")
        expect(page.locator(".sources .card").first).to_contain_text("42 bar")
        shot(page, "model-down")
    finally:
        live.script.error = None
        live.service.breaker.succeeded()
    page.get_by_role("button", name="Try again").click()
    page.wait_for_selector(".actions")


def test_a_service_that_is_gone_is_said(page: Page) -> None:
    page.route("**/ask", lambda route: route.abort())
    ask(page)
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")


def test_text_of_documents_and_models_is_never_markup(page: Page, live: Live) -> None:
    words, live.script.words = live.script.words, ["<img", "src=x", "onerror=alert(1)>", "<b>bold</b>", "[1]."]
    try:
        ask(page, "pump <script>alert(1)</script>")
        page.wait_for_selector(".actions")
        assert page.locator(".turn img, .turn script, .turn .text b").count() == 0
        expect(page.locator(".turn .text")).to_contain_text("<b>bold</b>")
    finally:
        live.script.words = words


def test_the_newest_evaluation_is_shown(page: Page) -> None:
    page.get_by_role("link", name="Evaluation").click()
    expect(page.locator(".verdicts li", has_text="RAG is better by 0.57")).to_be_visible()
    expect(page.get_by_text("Undecided on Chinese questions")).to_be_hidden()
    page.get_by_text("Undecided (1)").click()
    expect(page.get_by_text("Undecided on Chinese questions")).to_be_visible()
    expect(page.locator(".chart")).to_contain_text("0.730 – 0.830")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the whole report").click()
    assert "All of it" in download.value.path().read_text()
    shot(page, "evaluation")


def test_it_can_be_used_without_a_mouse(page: Page) -> None:
    page.locator("body").press("/")
    assert page.evaluate("document.activeElement.id") == "question"
    page.keyboard.type(QUESTION)
    page.keyboard.press("Shift+Enter")
    assert page.input_value("#question").endswith("\n")
    page.keyboard.press("Enter")
    page.wait_for_selector(".actions")
    page.locator(".cite").first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#source")).to_be_visible()
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Close"


def test_enter_of_an_input_method_does_not_send(page: Page) -> None:
    page.fill("#question", "泵的压力")
    page.evaluate(
        "document.getElementById('question').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, bubbles: true}))"
    )
    expect(page.locator(".turn")).to_have_count(0)


@pytest.mark.parametrize("page", [PHONE], indirect=True)
def test_it_fits_a_phone_and_speaks_chinese(page: Page, chinese: None) -> None:
    expect(page.locator("h1")).to_have_text("您想了解什么？")
    ask(page, "年假有多少天？")
    page.wait_for_selector(".actions")
    expect(page.locator(".legend")).to_contain_text("没有出处支持")
    shot(page, "phone-zh")
    for view in ("chat", "documents", "gaps", "report"):
        page.goto(f"{page.url.partition('#')[0]}#{view}")
        page.wait_for_timeout(150)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{view} is wider than the phone"
    page.goto(f"{page.url.partition('#')[0]}#chat")
    page.locator(".cite").first.click()
    box = page.locator("#source").bounding_box()
    assert box is not None
    assert (box["x"], box["width"]) == (0, 390)
    page.get_by_role("button", name="关闭").click()
    page.locator("#language").click()
    expect(page.locator("nav")).to_contain_text("Documents")


@pytest.mark.parametrize("page", [DARK], indirect=True)
def test_it_is_dark_where_the_reader_wants_it(page: Page, chinese: None) -> None:
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 25, 28)"
    ask(page, "年假有多少天？")
    page.wait_for_selector(".actions")
    shot(page, "dark-zh")


def test_the_interface_is_documented_without_a_foreign_server(page: Page) -> None:
    page.goto(f"{page.url.partition('#')[0]}docs")
    page.wait_for_selector(".opblock")
    assert page.locator(".opblock").count() > 20


def test_with_keys_the_page_asks_for_one(browser: Browser, tmp_path: Path) -> None:
    home = tmp_path / "home"
    add(home, {"clock.md": "The tower clock was built in 1874."}, ["hr"])
    key = make_key(home, "hr")
    with Live(home) as live:
        context = browser.new_context(locale="en-GB")
        page = context.new_page()
        page.goto(live.url)
        expect(page.locator("h1")).to_have_text("This service needs a key.")
        page.fill("#key", "wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not valid")
        page.fill("#key", key)
        page.keyboard.press("Enter")
        page.wait_for_selector("#question")
        assert "Gaps" not in page.locator("nav").inner_text(), "the gaps are for admins"
        ask(page, "When was the tower clock built?")
        expect(page.locator(".card")).to_contain_text("1874")
        page.reload()
        page.wait_for_selector("#question")
        page.get_by_role("button", name="Forget the key").click()
        expect(page.locator("h1")).to_have_text("This service needs a key.")
        context.close()

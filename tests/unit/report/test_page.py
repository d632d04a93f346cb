"""The page and the drawing: whole, well formed, safe, and complete."""

from __future__ import annotations

import copy
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from valija import report
from valija.messages import use_language
from valija.report import html, session, session_svg

DATA = Path(__file__).parents[1] / "data" / "results.json"
VOID = {"meta", "br", "link", "hr", "img", "input"}


@pytest.fixture
def results() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(DATA.read_text("utf-8"))
    return loaded


class Tree(HTMLParser):
    """Fails on a tag that is not closed in order; collects ids, links to them, and the text."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        assert len(values) == len(attrs), f"an attribute twice in {tag}"
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in ("href", "src") and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data


def parsed(text: str) -> Tree:
    tree = Tree()
    tree.feed(text)
    tree.close()
    assert tree.open == []
    return tree


def test_write_leaves_a_page_and_a_drawing_and_nothing_else(results: dict[str, Any], tmp_path: Path) -> None:
    path = report.write(results, tmp_path / "new")
    assert path == tmp_path / "new" / "report.html"
    assert sorted(one.name for one in path.parent.iterdir()) == ["report.html", "session.svg"]


def test_the_page_is_well_formed_and_its_links_hold(results: dict[str, Any], tmp_path: Path) -> None:
    tree = parsed(report.write(results, tmp_path).read_text("utf-8"))
    assert len(tree.ids) == len(set(tree.ids))
    for link in tree.links:
        assert link.removeprefix("#") in tree.ids or link.startswith("https://www.rfc-editor.org/rfc/"), link


def test_the_page_needs_no_other_file(results: dict[str, Any]) -> None:
    page = html.page(results)
    assert not re.search(r"<(link|img|iframe|script src)|url\(|@import", page)


def test_the_page_holds_every_check_reason_and_line(results: dict[str, Any]) -> None:
    text = parsed(html.page(results)).text
    for check in results["checks"]:
        assert check["title"].replace("`", "") in text
        assert check["reason"] in text
        for transcript in check["transcripts"]:
            for line in transcript["lines"]:
                assert line["text"] in text
    assert "1 of 11 checks failed." in text
    assert "Take the network of this client out of mynetworks" in text
    assert "From here under TLSv1.3" in text
    assert text.index("What failed") < text.index("The tutorial, step by step")


def test_the_variants_of_a_check_stand_together_in_their_step(results: dict[str, Any]) -> None:
    check = next(check for check in results["checks"] if check["id"] == "A-20")
    check["title"] = "Run `it` & look"
    for word in ("NOOP", "HELP"):
        results["checks"].append({**check, "nodeid": f"test_x.py::test_verbs[{word}]"})
    page = html.page(results)
    assert page.count("Run <code>it</code> &amp; look:") == 1
    assert re.search(r'<a class="variant passed" href="#check-\d+">HELP</a>', page)


def test_a_green_run_has_no_section_of_failures(results: dict[str, Any]) -> None:
    results["checks"] = [check for check in results["checks"] if check["outcome"] == "passed"]
    results["summary"] = {"passed": len(results["checks"]), "failed": 0, "waiting": 0, "skipped": 0}
    text = parsed(html.page(results)).text
    assert "Every check that ran passed: 10." in text
    assert "What failed" not in text
    assert "What this page does not show" not in text


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            [
                "1 of 11 checks failed.",
                "The tutorial, step by step",
                "Names one recipient of the message.",
                "from outside",
            ],
        ),
        (
            "es",
            [
                "Ha fallado 1 de 11 comprobaciones.",
                "El tutorial, paso a paso",
                "Nombra un destinatario del mensaje.",
                "desde fuera",
                "MTA",
                "Buzón",
            ],
        ),
    ],
)
def test_the_page_is_in_the_chosen_language(
    language: str, words: list[str], results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "C")
    use_language(language)
    try:
        text = html.page(results, session_svg(session.main_transcripts(results)))
    finally:
        use_language("en")
    assert f'<html lang="{language}">' in text
    tree = parsed(text)
    assert [word for word in words if word not in tree.text] == []


def test_a_spanish_page_has_no_english_of_the_catalogue(
    results: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LANGUAGE", "C")
    template = (html.templates() / "report.html.j2").read_text("utf-8")
    headings = re.findall(r'<(?:h2|h3|dt)>\{\{ _\("([^"]+)"\) \}\}', template)
    use_language("es")
    try:
        text = html.page(results)
    finally:
        use_language("en")
    assert len(headings) > 10
    assert [heading for heading in headings if re.search(f"<(?:h2|h3|dt)>{heading}<", text)] == ["Host"]


def test_a_run_without_checks_is_not_green(results: dict[str, Any], tmp_path: Path) -> None:
    results |= {"checks": [], "summary": {"passed": 0, "failed": 0, "waiting": 0, "skipped": 0}}
    assert "No check was run." in report.write(results, tmp_path).read_text("utf-8")
    assert not (tmp_path / "session.svg").exists()


def test_what_a_server_says_is_text_and_never_markup(results: dict[str, Any], tmp_path: Path) -> None:
    evil = "250 2.0.0 </text></svg><script>alert(1)</script>\x07\ud800&amp;"
    for check in results["checks"]:
        check["title"] = check["message"] = check["reason"] = evil
        for transcript in check["transcripts"]:
            transcript["server"] = transcript["client"] = evil
            transcript["lines"] = [{**line, "text": f"{line['text']} {evil}"} for line in transcript["lines"]]
    page = report.write(results, tmp_path).read_text("utf-8")
    parsed(page)
    assert page.count("<script") == 1
    assert "alert(1)</script>" not in page
    ElementTree.fromstring((tmp_path / "session.svg").read_text("utf-8"))


def texts(svg: str) -> list[str]:
    root = ElementTree.fromstring(svg)
    return ["".join(one.itertext()) for one in root.iter("{http://www.w3.org/2000/svg}text")]


def test_the_drawing_tells_the_journey_in_order(results: dict[str, Any]) -> None:
    shown = texts(session_svg(session.main_transcripts(results)))
    story = [
        "Client", "MTA", "MDA", "Mailbox", "IMAP client", "220 mail.example.test ESMTP", "EHLO control.example.net",
        "250 mail.example.test and 8 extensions", "RCPT TO:<valija-probe-2@example.test>", "DATA",
        "Subject: The tutorial's message", ".", "250 2.0.0 Ok: queued as 4gB7Zk1m3Tz2x", "(messages after this one: 1)",
        "QUIT", "221 2.0.0 Bye", "4gB7Zk1m3Tz2x", "Maildir/new", "LOGIN valija-probe ********",
        "the message, 812 octets", "OK FETCH completed.",
    ]  # fmt: skip
    places = [shown.index(line) for line in story]
    assert places == sorted(places)


def test_the_drawing_stays_inside_its_frame_and_words_do_not_collide(results: dict[str, Any]) -> None:
    root = ElementTree.fromstring(session_svg(session.main_transcripts(results)))
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    for one in root.iter("{http://www.w3.org/2000/svg}text"):
        assert 0 < float(one.get("x", -1)) < width
        assert 0 < float(one.get("y", -1)) < height


def test_long_lines_are_cut_in_the_drawing_alone(results: dict[str, Any]) -> None:
    transcripts = copy.deepcopy(session.main_transcripts(results))
    transcripts[0]["lines"][1]["text"] = "EHLO " + "x" * 100  # type: ignore[index]
    assert max(len(line) for line in texts(session_svg(transcripts)) if line.startswith("EHLO")) == 42


def test_the_drawing_prefers_the_tutorials_passed_session(results: dict[str, Any]) -> None:
    first = session.main_transcripts(results)
    assert [one["protocol"] for one in first] == ["smtp", "imap", "pop3"]
    results["checks"].reverse()
    assert session.main_transcripts(results) == first


def test_a_site_without_a_sent_message_has_no_drawing(results: dict[str, Any]) -> None:
    results["checks"] = [check for check in results["checks"] if check["id"] != "A-20"]
    assert session.main_transcripts(results) == []

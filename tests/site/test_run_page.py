"""The pages of runs and comparisons, read as a browser's parser reads them: no browser."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from attack_records import LINK, attack_comparison, attack_record, document_with_nan
from beambench.site.comparison_page import render_comparison, with_same_base
from beambench.site.run_page import render_run
from beambench.site.templating import Page, environment
from beambench.store.summaries import HistoryRun
from published_runs import run_record

PAGE = Page("../", "2026-02-01T00:00:00Z")


class Elements(HTMLParser):
    """Elements with their attributes, and the text of the element with an id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, str] = {}
        self.inside: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag in ("pre", "h1", "dl"):
            self.inside.append(attributes.get("id") or attributes.get("class") or tag)
            self.texts[self.inside[-1]] = ""

    def handle_endtag(self, tag):
        if tag in ("pre", "h1", "dl"):
            self.inside.pop()

    def handle_data(self, data):
        for name in self.inside:
            self.texts[name] += data


@pytest.fixture(scope="module")
def templates():
    return environment()


def run_page(templates, record, document=None):
    document = document or record.model_dump_json()
    return render_run(templates, HistoryRun.model_validate_json(document), document, PAGE)


def comparison_page(templates, comparison, runs=()):
    runs = {run.run_id: run for run in runs}
    return render_comparison(
        templates, comparison, PAGE, runs=runs, candidates=[comparison], pages=runs
    )


def test_a_run_has_its_numbers_command_and_whole_record(templates):
    record = run_record(1)
    page = Elements(run_page(templates, record))
    assert json.loads(page.texts["record-json"]) == record.model_dump(mode="json")
    assert page.texts["command"] == "beambench run"
    assert page.texts["h1"] == "published-tests, 2026-01-31 10:00 UTC"
    assert "3,169 1/s" in page.texts["headline"]
    assert "3,000 1/s – 3,300 1/s, n = 6" in re.sub(r"\s+", " ", page.texts["headline"])


def test_a_command_is_quoted_for_the_shell(templates):
    record = run_record(1, command=["beambench", "run", "--label", "note=a b;$(c)"])
    page = Elements(run_page(templates, record))
    assert page.texts["command"] == "beambench run --label 'note=a b;$(c)'"


def is_safe(page: Elements) -> bool:
    """Whether there is no element, attribute or link but those of templates."""
    scripts = [attributes for tag, attributes in page.elements if tag == "script"]
    links = [attributes.get("href") or "" for _, attributes in page.elements]
    names = {name for _, attributes in page.elements for name in attributes}
    return (
        all(attributes == {"src": "../assets/record.js"} for attributes in scripts)
        and "img" not in {tag for tag, _ in page.elements}
        and not any(name.startswith("on") or name == "style" for name in names)
        and not any(re.match(r"\s*(javascript|https?):", link) for link in links)
    )


def test_an_attack_stays_text(templates):
    record = attack_record()
    page = Elements(run_page(templates, record))
    assert is_safe(page)
    assert json.loads(page.texts["record-json"]) == json.loads(record.model_dump_json())
    assert "window.attacked" in page.texts["h1"]
    assert "49" not in page.texts["h1"].replace("7*7", "")
    comparison = attack_comparison(record)
    assert is_safe(Elements(comparison_page(templates, comparison, [record])))


def test_what_steers_the_direction_of_writing_is_shown_as_its_code(templates):
    text = run_page(templates, attack_record()).partition('id="record-json"')[0]
    assert "\\u202etxt.exe" in text
    assert not set("\u202e\u2066\u200b\x07\x1b") & set(text)


def test_a_record_with_no_number_is_shown_as_it_is(templates):
    document = document_with_nan(attack_record())
    page = Elements(run_page(templates, attack_record(), document))
    assert page.texts["record-json"] == document


def test_a_huge_text_stands_on_the_page_once(templates):
    record = attack_record()
    size = len(run_page(templates, record))
    assert size < 2 * len(record.model_dump_json())


def test_no_link_is_made_of_a_text(templates):
    page = Elements(run_page(templates, attack_record()))
    assert not [tag for tag, attributes in page.elements if attributes.get("href") == LINK]


def test_candidates_of_one_base_stand_beside_each_other(templates):
    record = run_record(1)
    one = attack_comparison(record, comparison_id="one")
    two = attack_comparison(record, comparison_id="two")
    other = attack_comparison(run_record(2), comparison_id="three")
    candidates = with_same_base(one, [one, two, other])
    assert [each.comparison_id for each in candidates] == ["one", "two"]
    text = render_comparison(templates, one, PAGE, runs={}, candidates=candidates, pages=())
    assert 'href="../comparisons/two.html"' in text
    assert "(this page)" in text


def test_pairs_of_a_duet_ran_at_once(templates):
    record = run_record(1)
    duet = comparison_page(templates, attack_comparison(record, schedule="duet"))
    assert "ran at the same time" in duet
    assert "at once</title>" in duet
    assert "ran first" not in duet
    in_turns = comparison_page(templates, attack_comparison(record))
    assert "ran next to each other" in in_turns
    assert "base first</title>" in in_turns

"""The filters that render configuration, as a template calls them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleFilterError
from ansible_collections.valija.mailserver.plugins.filter.grammar import FilterModule

FILTERS = FilterModule().filters()
FOLDER = Path(__file__).parents[4] / "plugins" / "filter"


def test_main_cf_is_one_filter_call() -> None:
    assert FILTERS["main_cf"]({"biff": False}) == "biff = no\n"


def test_a_value_that_the_grammar_refuses_is_the_templates_error() -> None:
    with pytest.raises(AnsibleFilterError, match="relayhost: white space around the value, or a line break in it"):
        FILTERS["main_cf"]({"relayhost": "a\nb"})


@pytest.mark.parametrize("name", sorted(FILTERS))
def test_each_filter_has_its_page(name: str) -> None:
    page = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    assert page["DOCUMENTATION"]["name"] == name
    assert page["EXAMPLES"]
    assert page["RETURN"]["_value"]["description"]

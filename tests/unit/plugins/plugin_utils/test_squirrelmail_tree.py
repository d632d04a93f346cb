"""What is taken out of SquirrelMail's source and what is closed in it, on a small source of the same form."""

from __future__ import annotations

import re

import pytest
from ansible_collections.valija.mailserver.plugins.plugin_utils import squirrelmail_tree
from ansible_collections.valija.mailserver.plugins.plugin_utils.squirrelmail_tree import UnexpectedSourceError

COMPOSE = b"""<?php
    $mtdata = unserialize($mailtodata);
    $attachments = unserialize($attachments);
    $attachments = unserialize($attachments);
    addHidden('attachments', serialize($attach_array));
"""

SOURCE = {
    "functions/strings.php": b"<?php\n$version = '1.4.23 [SVN]';\n$t = unserialize($tokens);\n",
    "src/compose.php": COMPOSE,
    "src/addrbook_search_html.php": b"<?php echo addHidden('attachments', serialize($composeMessage->entities));\n",
    "src/login.php": b"<?php // \xe9t\xe9\n",
    "src/configtest.php": b"<?php\n",
    "images/sm_logo.png": b"\x89PNG",
    "config/conf.pl": b"#!/usr/bin/perl\n",
    "config/config_default.php": b"<?php\n",
    "contrib/RPM/config.php.redhat": b"",
    "doc/ReleaseNotes": b"",
    "plugins/calendar/setup.php": b"<?php\n",
    "plugins/test/setup.php": b"<?php\n",
    "po/squirrelmail.pot": b"",
    ".gitignore": b"",
    "configure": b"#!/bin/sh\n",
}


def changed(path: str, before: bytes, after: bytes) -> dict[str, bytes]:
    """The source with one file edited."""
    assert before in SOURCE[path]
    return {**SOURCE, path: SOURCE[path].replace(before, after)}


def test_only_what_a_host_needs_is_left() -> None:
    assert sorted(squirrelmail_tree.prepared(SOURCE)) == [
        "config/config.php",
        "config/config_default.php",
        "functions/client_data.php",
        "functions/strings.php",
        "images/sm_logo.png",
        "plugins/calendar/setup.php",
        "src/addrbook_search_html.php",
        "src/compose.php",
        "src/login.php",
    ]


def test_faults_that_php_8_shows_are_repaired_where_they_stand() -> None:
    source = {
        **SOURCE,
        "src/right_main.php": b"if (!isset($startMessage) || ($startMessage == '')) {",
        "functions/abook_local_file.php": b"$this->writable   = false; $this->writeable = true;",
    }
    files = squirrelmail_tree.prepared(source)
    assert files["src/right_main.php"] == b"if (!isset($startMessage) || $startMessage < 1) {"
    assert files["functions/abook_local_file.php"] == b"$this->writeable  = false; $this->writeable = true;"


def test_the_settings_are_the_hosts() -> None:
    config = squirrelmail_tree.prepared(SOURCE)["config/config.php"].decode()
    assert f"require '{squirrelmail_tree.HOST_CONFIG}';" in config


def test_nothing_from_the_browser_becomes_an_object() -> None:
    compose = squirrelmail_tree.prepared(SOURCE)["src/compose.php"].decode()
    assert "unserialize" not in compose
    assert compose.count("client_attachments($attachments)") == 2
    assert "client_mailto($mailtodata)" in compose
    assert "client_attachments_field($attach_array)" in compose


def test_no_call_of_unserialize_is_left_that_could_make_an_object() -> None:
    for path, content in squirrelmail_tree.prepared(SOURCE).items():
        for call in re.findall(r"unserialize\(.*", content.decode("latin-1")):
            assert "'allowed_classes' => false" in call, f"{path}: {call}"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("unserialize($a)", "unserialize($a, array('allowed_classes' => false))"),
        ("@unserialize (f(g($a), 1));", "@unserialize (f(g($a), 1), array('allowed_classes' => false));"),
        ("unserialize($a, ['allowed_classes' => ['B']])", "unserialize($a, ['allowed_classes' => ['B']])"),
        ("asearch_unserialize($a)", "asearch_unserialize($a)"),
        ("$this->unserialize($a)", "$this->unserialize($a)"),
    ],
)
def test_each_form_of_the_call_is_known(before: str, after: str) -> None:
    source = {**SOURCE, "functions/prefs.php": f"<?php {before} ?>".encode()}
    assert squirrelmail_tree.prepared(source)["functions/prefs.php"].decode() == f"<?php {after} ?>"


@pytest.mark.parametrize(
    ("source", "named"),
    [
        (changed("src/compose.php", b"unserialize($mailtodata)", b"json_decode($mailtodata)"), r"src/compose\.php"),
        (changed("src/compose.php", b"serialize($attach_array)", b"f($attach_array)"), r"src/compose\.php"),
        ({**SOURCE, "src/compose.php": COMPOSE + b"unserialize($attachments);"}, r"src/compose\.php.*3 times, not 2"),
        (changed("functions/strings.php", b"$tokens);", b"$tokens;"), r"functions/strings\.php"),
        ({k: v for k, v in SOURCE.items() if "addrbook" not in k}, r"src/addrbook_search_html\.php"),
    ],
)
def test_a_source_that_the_changes_do_not_fit_is_refused_by_file(source: dict[str, bytes], named: str) -> None:
    with pytest.raises(UnexpectedSourceError, match=named):
        squirrelmail_tree.prepared(source)


def test_bytes_that_are_not_utf_8_survive() -> None:
    assert squirrelmail_tree.prepared(SOURCE)["src/login.php"] == SOURCE["src/login.php"]


@pytest.mark.parametrize(
    ("path", "content", "version"),
    [
        ("functions/strings.php", b"$version = '1.4.23 [SVN]';", "1.4.23 [SVN]"),
        ("include/constants.php", b"define('SM_VERSION', '1.5.2 [SVN]');", "1.5.2 [SVN]"),
    ],
)
def test_the_version_is_the_sources_own_word(path: str, content: bytes, version: str) -> None:
    assert squirrelmail_tree.version({path: content}) == version


def test_a_source_without_a_version_is_not_squirrelmails() -> None:
    with pytest.raises(UnexpectedSourceError, match=r"functions/strings\.php"):
        squirrelmail_tree.version({"README": b""})

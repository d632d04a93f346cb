"""`valija check` on a good site; and on each broken one in `tests/data/broken_inventories/`, with `valija apply`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from valija.skeleton import SiteHost, write_site

ROOT = Path(__file__).parents[3]
CASES = sorted((ROOT / "tests" / "data" / "broken_inventories").glob("*.yml"))

# What is wrong with files, or keeps Ansible from beginning; the others are found by one action plugin for all verbs.
BY_THE_COMMAND = {
    *("hosts_as_a_list", "key_twice", "no_mail_hosts", "not_utf8", "tab", "template_without_quotes"),
    *("vault_without_password", "yaml_syntax"),
}


@dataclass(frozen=True)
class Answer:
    """What the command printed and how it ended."""

    code: int
    output: str
    errors: str


def check(site: Path, *arguments: str, where: Path | None = None, verb: str = "check") -> Answer:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
    done = subprocess.run(
        [sys.executable, "-m", "valija", verb, "-i", "." if where is None else str(site), *arguments],
        cwd=where or site,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def good_site(directory: Path) -> Path:
    write_site(
        directory,
        domain="example.org",
        hosts=[SiteHost("mail.example.org", "192.0.2.10")],
        accounts=[{"name": "alice", "password": "correct horse"}],
        postmaster="alice",
    )
    return directory


def broken_site(directory: Path, case: Path) -> Path:
    site = good_site(directory)
    content = yaml.safe_load(case.read_text(encoding="utf-8"))
    for path, text in content["files"].items():
        (site / path).write_bytes(text.encode(content.get("encoding", "utf-8")))
    return site


@pytest.fixture(scope="module")
def answer_to(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Callable[[str, Path], Answer]]:
    """What a verb says to a case.

    Each answer starts an Ansible of its own, so the selected cases are asked side by side, unless pytest-xdist does so.
    """
    folder = tmp_path_factory.mktemp("broken")
    pool = ThreadPoolExecutor(max_workers=os.cpu_count())
    asked: dict[tuple[str, Path], Future[Answer]] = {}

    def ask(verb: str, case: Path) -> Future[Answer]:
        if (verb, case) not in asked:
            asked[verb, case] = pool.submit(check, broken_site(folder / verb / case.stem, case), verb=verb)
        return asked[verb, case]

    if "PYTEST_XDIST_WORKER" not in os.environ:
        for item in request.session.items:
            if isinstance(item, pytest.Function) and "answer_to" in item.fixturenames:
                case = item.callspec.params["case"]
                assert isinstance(case, Path)
                ask("apply" if "apply" in item.name else "check", case)
    yield lambda verb, case: ask(verb, case).result()
    pool.shutdown(cancel_futures=True)


def expected(case: Path) -> list[str]:
    lines: list[str] = yaml.safe_load(case.read_text(encoding="utf-8"))["expect"]
    return lines


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.stem)
def test_a_broken_inventory_is_told_with_file_value_and_remedy(
    case: Path, answer_to: Callable[[str, Path], Answer]
) -> None:
    answer = answer_to("check", case)
    assert answer.output.splitlines() == expected(case), answer.errors
    assert answer.code == 2


@pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.stem, marks=[] if case.stem in BY_THE_COMMAND else pytest.mark.slow) for case in CASES],
)
def test_apply_refuses_a_broken_inventory_in_the_same_words(
    case: Path, answer_to: Callable[[str, Path], Answer]
) -> None:
    answer = answer_to("apply", case)
    said = [line.strip() for line in (answer.output + answer.errors).splitlines()]
    assert [line for line in said if line in expected(case)] == expected(case), said
    assert answer.code == 2, said


def test_a_site_that_init_writes_has_no_findings(tmp_path: Path) -> None:
    answer = check(good_site(tmp_path / "site"), where=tmp_path)
    assert (answer.code, answer.output, answer.errors) == (0, "1 host, no findings\n", "")


def test_the_example_site_has_no_findings() -> None:
    answer = check(ROOT / "inventories" / "example", where=ROOT)
    assert (answer.code, answer.output) == (0, "1 host, no findings\n")


def test_findings_are_written_as_json(tmp_path: Path) -> None:
    site = good_site(tmp_path / "site")
    with (site / "group_vars/all/mail.yml").open("a", encoding="utf-8") as file:
        file.write("mail_domian: example.net\n")
    answer = check(site, "--json", where=tmp_path)
    (finding,) = json.loads(answer.output)["findings"]
    assert finding["file"] == str(site / "group_vars/all/mail.yml") or finding["file"] == "site/group_vars/all/mail.yml"
    assert finding["text"] == "mail_domian: is not known. Did you mean mail_domain?"
    assert answer.code == 2


def test_a_missing_inventory_is_named(tmp_path: Path) -> None:
    answer = check(tmp_path / "nowhere", where=tmp_path)
    assert answer.code == 2
    assert str(tmp_path / "nowhere") in answer.output
    assert "valija init" in answer.output


def test_a_value_of_the_command_line_is_told_with_its_place(tmp_path: Path) -> None:
    answer = check(good_site(tmp_path / "site"), "-e", "mail_webmail=roundcub", where=tmp_path)
    assert "mail_webmail: is not one of squirrelmail, roundcube, none: 'roundcub'" in answer.output
    assert "-e" in answer.output.split(":")[0]


def test_one_finding_is_told_once_for_many_hosts(tmp_path: Path) -> None:
    site = good_site(tmp_path / "site")
    (site / "hosts.yml").write_text("mail: {hosts: {a.example.org: , b.example.org: }}\n", encoding="utf-8")
    (site / "host_vars").mkdir()
    (site / "host_vars/b.example.org.yml").write_text("mail_hostname: b\n", encoding="utf-8")
    answer = check(site, "-e", "mail_doman=x", where=site)
    assert len(answer.output.splitlines()) == 2, answer.output

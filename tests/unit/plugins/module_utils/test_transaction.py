"""A transaction lands whole or not at all, wherever it is killed; real files, no daemons."""

from __future__ import annotations

import base64
import io
import os
import socket
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest
from ansible_collections.valija.mailserver.plugins.module_utils import landing, services, trees
from ansible_collections.valija.mailserver.plugins.module_utils.checking import Refused
from ansible_collections.valija.mailserver.plugins.module_utils.request import Request, mask, request_of
from ansible_collections.valija.mailserver.plugins.module_utils.transaction import configure

ME = {"owner": str(os.getuid()), "group": str(os.getgid())}


class Host:
    """A folder that plays the host: a configuration in editions, which differ in every kind of thing there is."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"

    def request(self, edition: str, *, good: bool = True, secret: bool = False, **more: Any) -> Request:
        etc = self.root / "etc"
        table = {"command": ["cp", f"{etc}/table", f"{etc}/table.db"], "output": [f"{etc}/table.db"]}
        files = [
            {"path": f"{etc}/main.cf", "content": f"edition = {edition}\n", "mode": "0640", "secret": secret, **ME},
            {"path": f"{etc}/table", "content": f"{edition} x\n", "compile": table, **ME},
            {"path": f"{etc}/{edition}/deep", "state": "directory", "mode": "0750", **ME},
            {"path": f"{etc}/current", "state": "link", "target": edition},
            {"path": f"{etc}/obsolete", "state": "absent"},
            # The folder that the tree below comes to, which lands before the files.
            {"path": f"{self.root}/share", "state": "directory", "mode": "0750", **ME},
            {"path": f"{self.root}/share/app/config.php", "content": f"{edition};\n", **ME},
        ]
        archive, digest = self.archive(edition)
        tree = {"path": f"{self.root}/share/app", "archive_base64": archive, "digest": digest, **ME}
        check = ["true"] if good else ["sh", "-c", "echo it is bad >&2; exit 1"]
        return request_of({"owner_role": "test", "files": files, "trees": [tree], "checks": [check], **more})

    def archive(self, edition: str) -> tuple[str, str]:
        path = self.root / f"{edition}.tar"
        with tarfile.open(path, "w") as tar:
            member = tarfile.TarInfo("index.php")
            member.size = len(edition)
            tar.addfile(member, io.BytesIO(edition.encode()))
        return base64.b64encode(path.read_bytes()).decode(), trees.digest_of_archive(path)

    def configure(self, request: Request, **more: Any) -> dict[str, Any]:
        return configure(request, state=self.state, stage=self.root / "stage", **more)

    def seen(self) -> dict[str, str]:
        """Everything below etc and share: type, permissions and content."""
        found = {}
        for top in ("etc", "share"):
            for path in sorted((self.root / top).rglob("*")):
                what = (
                    f"-> {path.readlink()}" if path.is_symlink() else path.read_text() if path.is_file() else "folder"
                )
                found[str(path.relative_to(self.root))] = f"{path.lstat().st_mode:o} {what}"
        return found

    @property
    def journal_is_there(self) -> bool:
        return (self.state / "rollback/test").exists()

    def killed(self, step: int, request: Request) -> bool:
        """Run in a process of its own that is killed before its nth durable step; False when it ended before."""
        child = os.fork()
        if child == 0:
            left = step

            def count(real: Any) -> Any:
                def stepped(*args: Any, **more: Any) -> Any:
                    nonlocal left
                    left -= 1
                    if not left:
                        os._exit(9)
                    return real(*args, **more)

                return stepped

            for module, name in ((os, "fsync"), (os, "sync"), (subprocess, "run"), (Path, "rename"), (Path, "unlink")):
                setattr(module, name, count(getattr(module, name)))
            try:
                self.configure(request)
            except Refused:
                os._exit(0)
            os._exit(0)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.fixture
def host(tmp_path: Path) -> Host:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/obsolete").write_text("by the package")
    return Host(tmp_path)


def test_the_second_time_nothing_changes(host: Host) -> None:
    first = host.configure(host.request("one"))
    assert first["changed"] and f"{host.root}/etc/table.db" in first["paths"]
    second = host.configure(host.request("one"))
    assert not second["changed"] and not second["paths"] and not second["diff"]
    assert not host.journal_is_there


def test_check_mode_tells_the_same_and_touches_nothing(host: Host) -> None:
    before = host.seen()
    told = host.configure(host.request("one"), check_mode=True)
    assert host.seen() == before and not host.state.exists()
    done = host.configure(host.request("one"))
    assert (told["paths"], told["diff"]) == (done["paths"], done["diff"])


def test_a_refused_configuration_is_put_back_whole(host: Host) -> None:
    host.configure(host.request("one"))
    before = host.seen()
    with pytest.raises(Refused, match="it is bad") as refused:
        host.configure(host.request("two", good=False))
    assert "put back" in str(refused.value) and f"{host.root}/etc/main.cf" in str(refused.value)
    assert host.seen() == before
    assert not host.journal_is_there


def test_what_did_not_answer_before_need_not_come_back(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    running = services.Unit(load="loaded", active="active", sub="running", file_state="disabled", active_since=1.0)
    seen = {"daemon": services.Pair(running, running)}
    starts = iter((services.ServiceError("it does not start"), None, None, None))

    def act(_steps: services.Steps) -> None:
        if problem := next(starts):
            raise problem

    monkeypatch.setattr(services, "read", lambda _wanted: seen)
    monkeypatch.setattr(services, "act", act)
    monkeypatch.setattr(services, "last_words", lambda *_units: "")
    daemon = {"name": "daemon", "unit": "daemon.service", "state": "started", "enabled": True}
    with socket.create_server(("127.0.0.1", 0)) as old, socket.create_server(("127.0.0.1", 0)) as gone:
        new_port = gone.getsockname()[1]
        gone.close()
        health = [{"port": old.getsockname()[1]}, {"port": new_port, "within_seconds": 0.5}]
        request = host.request("blue", services=[daemon], health=health)
        with pytest.raises(Refused, match=r"(?s)it does not start.*Running with it again: daemon"):
            host.configure(request)


def test_a_file_refused_on_the_stage_never_lands(host: Host) -> None:
    stage = [["sh", "-c", "! grep two {stage}" + str(host.root) + "/etc/main.cf >&2"]]
    host.configure(host.request("one", stage_checks=stage))
    before = host.seen()
    for check_mode in (True, False):
        with pytest.raises(Refused, match=r"edition = two"):
            host.configure(host.request("two", stage_checks=stage), check_mode=check_mode)
    assert host.seen() == before


def test_a_warning_can_refuse_too(host: Host) -> None:
    warning = {"command": ["sh", "-c", "echo warning: unused >&2"], "fails_on": "^warning"}
    with pytest.raises(Refused, match="Nothing was changed"):
        host.configure(host.request("one", stage_checks=[warning]))


def test_a_failed_compilation_puts_back(host: Host) -> None:
    before = host.seen()
    failing = {"command": ["false"], "output": [f"{host.root}/etc/x.db"]}
    request = request_of(
        {"owner_role": "test", "files": [{"path": f"{host.root}/etc/x", "content": "x", "compile": failing, **ME}]}
    )
    with pytest.raises(Refused, match="cannot be compiled"):
        host.configure(request)
    assert host.seen() == before


def test_a_table_is_compiled_again_when_it_is_gone_or_older(host: Host) -> None:
    host.configure(host.request("one"))
    table = host.root / "etc/table.db"
    table.unlink()
    assert host.configure(host.request("one"))["paths"] == [str(table)]
    os.utime(table, (1, 1))
    assert host.configure(host.request("one"))["paths"] == [str(table)]
    assert not host.configure(host.request("one"))["changed"]


def tabled(host: Host, script: str, edition: str) -> Request:
    """A table of this edition that a shell script compiles: $0 is its source."""
    path = f"{host.root}/etc/aliases"
    compiled = {"command": ["sh", "-c", script, path], "output": [f"{path}.db"]}
    wanted = {"path": path, "content": edition, "compile": compiled, **ME}
    return request_of({"owner_role": "test", "files": [wanted]})


def test_a_table_is_whole_before_it_has_its_name_and_is_there_before_its_source(host: Host) -> None:
    etc, log = host.root / "etc", host.root / "log"
    look = f"cd {etc}; cat aliases.db aliases >>{log} 2>/dev/null; echo , >>{log}"
    script = f'printf half >"$0.db"; {look}; cp "$0" "$0.db"'
    host.configure(tabled(host, script, "one"))
    inode = (etc / "aliases.db").stat().st_ino
    host.configure(tabled(host, script, "two"))
    assert log.read_text() == ",\noneone,\n"  # what stands under their names while the second is made
    assert (etc / "aliases.db").read_text() == "two"
    assert (etc / "aliases.db").stat().st_ino != inode
    assert [path.name for path in etc.iterdir() if "valija-new" in path.name] == []


def test_a_table_of_a_source_that_never_came_is_made_again(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    host.configure(tabled(host, 'cp "$0" "$0.db"', "one"))
    child = os.fork()
    if child == 0:
        monkeypatch.setattr(landing, "land", lambda _change: os._exit(9))  # killed between the table and its source
        host.configure(tabled(host, 'cp "$0" "$0.db"', "two"))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9
    assert (host.root / "etc/aliases.db").read_text() == "two"
    host.configure(tabled(host, 'cp "$0" "$0.db"', "one"))
    assert (host.root / "etc/aliases.db").read_text() == "one"


def test_a_table_that_no_service_loads_is_judged_by_its_compiler_alone(host: Host) -> None:
    host.configure(host.request("one"))
    never = ["sh", "-c", f"echo checked >>{host.root}/log"]
    path = f"{host.root}/etc/table"
    table = {"command": ["cp", path, f"{path}.db"], "output": [f"{path}.db"]}
    wanted = {"path": path, "content": "two\n", "compile": table, **ME}
    more = {"owner_role": "test", "stage_checks": [{"command": never}], "checks": [never]}
    host.configure(request_of({"files": [wanted], **more}))
    assert (host.root / "etc/table.db").read_text() == "two\n"
    assert not (host.root / "log").exists()
    plain = {"path": f"{host.root}/etc/main.cf", "content": "edition = two\n", **ME}
    host.configure(request_of({"files": [{**wanted, "content": "three\n"}, plain], **more}))
    assert (host.root / "log").read_text() == "checked\nchecked\n"


def test_no_program_has_to_wait_until_a_new_file_is_old_enough(host: Host) -> None:
    old = f'find "$0" "{{stage}}{host.root}/etc/main.cf" -newermt "-2 seconds" | grep . && exit 1; true'
    check = {"command": ["sh", "-c", old, f"{host.root}/etc/main.cf"]}
    host.configure(host.request("one"))
    host.configure(host.request("two", stage_checks=[check], checks=[["sh", "-c", old, f"{host.root}/etc/main.cf"]]))
    assert (host.root / "etc/main.cf").read_text() == "edition = two\n"


def test_strangers_files_and_trees_are_kept_once(host: Host) -> None:
    (host.root / "etc/main.cf").write_text("theirs")
    (host.root / "share/app").mkdir(parents=True)
    (host.root / "share/app/theirs.php").touch()
    host.configure(host.request("one"))
    host.configure(host.request("two"))
    assert (host.root / "etc/main.cf.before-valija").read_text() == "theirs"
    assert (host.root / "etc/obsolete.before-valija").read_text() == "by the package"
    assert (host.root / "share/app.before-valija/theirs.php").exists()
    assert sorted(path.name for path in (host.root / "etc").glob("*.before-valija")) == [
        "main.cf.before-valija",
        "obsolete.before-valija",
    ]


def test_an_owner_who_is_not_there_is_refused_before_anything(host: Host) -> None:
    before = host.seen()
    request = request_of(
        {
            "owner_role": "test",
            "files": [
                {"path": f"{host.root}/etc/a", "content": "a", **ME},
                {"path": f"{host.root}/etc/b", "content": "b", "owner": "nobody-of-that-name"},
            ],
        }
    )
    assert host.configure(request, check_mode=True)["changed"]
    with pytest.raises(Refused, match="nobody-of-that-name"):
        host.configure(request)
    assert host.seen() == before


def test_a_tree_without_its_archive_is_asked_for(host: Host) -> None:
    tree = {"path": f"{host.root}/share/app", "digest": "0" * 64, **ME}
    request = request_of({"owner_role": "test", "trees": [tree]})
    assert host.configure(request) == {"changed": False, "needs": [f"{host.root}/share/app"]}
    assert host.configure(request, check_mode=True)["changed"]


def test_a_run_killed_anywhere_is_completed_by_the_next(host: Host) -> None:
    host.configure(host.request("one"))
    host.configure(host.request("two"))
    wanted = host.seen()
    for step in range(1, 200):
        host.configure(host.request("one"))
        if not host.killed(step, host.request("two")):
            assert step > 20
            return
        host.configure(host.request("two"))
        assert host.seen() == wanted, f"killed before step {step}"
        assert not host.journal_is_there
    raise AssertionError("it never ended")


def test_after_a_killed_run_a_refusal_goes_back_to_the_last_good_configuration(host: Host) -> None:
    host.configure(host.request("one"))
    good = host.seen()
    for step in range(1, 200):
        if not host.killed(step, host.request("two", good=False)):
            assert step > 20
            return
        with pytest.raises(Refused):
            host.configure(host.request("three", good=False))
        assert host.seen() == good, f"killed before step {step}"
        assert not host.journal_is_there
    raise AssertionError("it never ended")


def test_a_secret_that_a_checker_quotes_is_masked(host: Host) -> None:
    request = host.request("one", secret=True)
    assert mask("line 1: edition = one is bad", request) == "line 1: (secret content) is bad"

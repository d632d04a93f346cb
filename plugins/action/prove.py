# Copyright: The Valija developers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
"""The control node's part of prove: resolve what is to be true, make the probe accounts, run the suite, clean up."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.template import trust_as_template
from ansible.utils.display import Display
from ansible_collections.valija.mailserver.plugins.plugin_utils import accounts_file, prove_site, role_specs, tls_files

display = Display()

# The files that the checks parse back and compare.
COMPARED = {"postfix": ("etc/postfix/main.cf", "etc/postfix/master.cf")}

# What the suite writes into its report folder.
WRITTEN = ("results.json", "junit.xml", "report.html", "session.svg")

_ID = re.compile(r"[A-Z]{1,2}-\d+")


class ActionModule(ActionBase):
    TRANSFERS_FILES = False
    _requires_connection = True
    _VALID_ARGS = frozenset({"tier", "only", "report_dir", "peer", "addresses"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        variables = task_vars or {}
        result: dict[str, Any] = super().run(tmp, variables)
        host = str(variables["inventory_hostname"])
        if self._task.check_mode:
            return {**result, "skipped": True, "msg": "The checks send mail; they do not run in check mode."}
        site = self._site(host, variables)
        report = Path(str(self._task.args.get("report_dir") or f"reports/{host}")).absolute()
        if variables.get("ansible_play_hosts_all", [host]) != [host]:
            report = report / host
        report.mkdir(parents=True, exist_ok=True)
        for name in WRITTEN:  # a suite that dies early must not leave an older run's results behind
            (report / name).unlink(missing_ok=True)
        with _interrupted_in_order():
            if self._old:
                self._accounts("absent", [{"name": name} for name in self._old], variables)
            try:
                self._accounts("present", site["probe"], variables)
                code, seconds = self._converse(site, report, host, variables)
            finally:
                self._accounts("absent", site["probe"], variables)
        return {**result, **self._verdict(code, seconds, report)}

    # what is to be true

    def _site(self, host: str, variables: dict[str, Any]) -> dict[str, Any]:
        answer = self._low_level_execute_command(prove_site.SURVEY_COMMAND)
        release, own = prove_site.read_survey(answer["stdout"])
        self._old = prove_site.old_probes(answer["stdout"])
        known = {**variables.get("ansible_facts", {})}
        known["valija"] = {**known.get("valija", {}), "release": release, "addresses": own}
        ours = role_specs.variables_of_all(list(prove_site.ROLES))
        templar = self._templar.copy_with_new_env(available_variables={**ours, **variables, "ansible_facts": known})
        value = self._value = templar.resolve_variable_expression
        names = [name for name in role_specs.options_of("mail") if name in ours or name in variables]
        mail = {name: value(name) for name in names}
        roles = [
            role for role in prove_site.ROLES if role not in prove_site.WEBMAILS or role == mail.get("mail_webmail")
        ]
        listed = accounts_file.load(str(mail.get("mail_accounts_file") or ""), variables, self._loader)
        declared = {role: value(f"__{role}_listens") for role in roles if f"__{role}_listens" in ours}
        try:
            ssh = prove_site.ssh_block(self._connection, bool(self._play_context.become))
        except ValueError as error:
            raise AnsibleActionFail(f"prove: {error}") from error
        local = bool(ssh.get("local"))
        addresses = prove_site.reached_at(None if local else ssh["host"], own, self._task.args.get("addresses") or None)
        if not addresses:
            raise AnsibleActionFail(
                f"prove: no address of {host} is known. Set prove_addresses: {{ipv4: ..., ipv6: ...}} for this host."
            )
        return {
            "schema": 1,
            "name": host,
            "release": release,
            "domain": mail["mail_domain"],
            "hostname": mail["mail_hostname"],
            "addresses": addresses,
            "ssh": ssh,
            "outside": not local,
            "mail": prove_site.without_secrets(mail),
            "accounts": prove_site.account_names(mail.get("mail_accounts") or [], listed.accounts),
            "listens": prove_site.listeners(declared),
            "probe": prove_site.probe_accounts(mail["mail_domain"]),
            "tls": prove_site.tls_block(mail, self._root(host, mail, variables)),
            "peer": prove_site.peer_block(self._task.args.get("peer") or {}),
            "files": {
                f"/{name}": self._rendered(role, name, templar) for role, files in COMPARED.items() for name in files
            },
        }

    def _root(self, host: str, mail: dict[str, Any], variables: dict[str, Any]) -> str:
        """The root of the site's own authority, as people import it, or from the host where it was not kept here.

        Of the other sources it is what their files bring along, which prepare has judged.
        """
        if mail.get("mail_tls_source") != "selfsigned":
            return tls_files.trusted(mail, variables, self._loader)
        kept = accounts_file.path_of(f"certificates/{host}.pem", variables)
        if kept.is_file():
            return kept.read_text("utf-8")
        return str(self._low_level_execute_command("cat /etc/valija/tls/ca.pem")["stdout"])

    def _rendered(self, role: str, name: str, templar: Any) -> str | None:
        """A file as the role writes it; None when the role has no such template."""
        template = role_specs.ROLES / role / "templates" / f"{name}.j2"
        if not template.exists():
            return None
        text: str = templar.template(trust_as_template(template.read_text("utf-8")))
        return text

    # the probe accounts

    def _accounts(self, state: str, probe: list[dict[str, str]], variables: dict[str, Any]) -> None:
        """Make the probe accounts, or take them away with their mail; the host's lock is held for this alone."""
        accounts = [
            {"name": one["name"], "password": one["password"], "full_name": "Valija's checks", "state": "present"}
            if state == "present"
            else {"name": one["name"], "state": "absent", "purge": True}
            for one in probe
        ]
        task = self._task.copy()
        task.args = {
            "accounts": accounts,
            "group": self._value("accounts_group"),
            "home": self._value("accounts_home"),
            "password_policy": "enforced",
            "report_unlisted": False,
            "release_lock": True,
        }
        action = self._shared_loader_obj.action_loader.get(
            "valija.mailserver.accounts",
            task=task,
            connection=self._connection,
            play_context=self._play_context,
            loader=self._loader,
            templar=self._templar,
            shared_loader_obj=self._shared_loader_obj,
        )
        answer = action.run(task_vars=variables)
        if answer.get("failed"):
            raise AnsibleActionFail(
                f"prove: the probe accounts could not be made {state}: {answer.get('msg')}", result=answer
            )

    # the conversation

    def _converse(self, site: dict[str, Any], report: Path, host: str, variables: dict[str, Any]) -> tuple[int, float]:
        """Run the suite, its output shown as it comes; its exit code and how many seconds it took."""
        several = len(variables.get("ansible_play_hosts", [host])) > 1
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="valija-prove-") as folder:
            path = Path(folder) / "site.json"  # the folder is 0700
            path.write_text(json.dumps(site), "utf-8")
            command = [sys.executable, "-m", "valija.checks", "--with-parent", "--site", str(path)]
            command += ["--report-dir", str(report)]
            command += ["--junitxml", str(report / "junit.xml"), "--tier", str(self._task.args.get("tier") or "quick")]
            command += _selection(str(self._task.args.get("only") or ""))
            with subprocess.Popen(
                command,
                stdin=subprocess.PIPE,  # the suite ends when this end is gone, however we end
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            ) as suite:
                assert suite.stdout is not None
                try:
                    for line in suite.stdout:
                        display.display((f"{host} | " if several else "") + line.rstrip("\n"))
                    suite.wait()
                except BaseException:
                    suite.send_signal(signal.SIGINT)  # it writes what it has so far
                    raise
        return suite.returncode, time.monotonic() - begun

    def _verdict(self, code: int, seconds: float, report: Path) -> dict[str, Any]:
        results = report / "results.json"
        try:
            summary = json.loads(results.read_text("utf-8"))["summary"]
        except (OSError, ValueError, KeyError):
            summary = {}
        told = ", ".join(f"{count} {name}" for name, count in summary.items())
        answer = {"changed": False, "summary": summary, "report_dir": str(report), "seconds": round(seconds, 1)}
        if code == 0:
            return {**answer, "msg": f"{told} in {seconds:.0f} s; {report}"}
        if code == 1 and summary and not summary["failed"]:
            return {
                **answer,
                "failed": True,
                "msg": f"Nothing is proved, for no check was passed: {told}; see {report}",
            }
        if code in (4, 5) and (only := str(self._task.args.get("only") or "")):  # pytest's: wrong usage, no test
            msg = f"--only {only}: selects no check that is known and in this tier; see the output above."
            return {**answer, "failed": True, "msg": msg, "valija_refused": "inventory"}
        if code == 1:
            return {**answer, "failed": True, "msg": f"A check failed: {told}; see {report}"}
        return {
            **answer,
            "failed": True,
            "msg": f"The suite itself ended with code {code}, see its output above; {report}",
        }


@contextlib.contextmanager
def _interrupted_in_order() -> Iterator[None]:
    """Let the signals by which Ansible ends its workers unwind as an exception, so that what was made is taken away.

    From the first signal on both are ignored: the way out takes seconds, and Ansible's main process does not wait.
    """
    numbers = (signal.SIGINT, signal.SIGTERM)

    def interrupt(_number: int, _frame: object) -> None:
        for number in numbers:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    try:
        before = [(number, signal.signal(number, interrupt)) for number in numbers]
    except ValueError:  # not the main thread: a task with a timeout
        yield
        return
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _selection(only: str) -> list[str]:
    """The suite's options for `A-20`, `A-20,B-01` or an expression of pytest's -k."""
    words = only.replace(",", " ").split()
    if words and all(_ID.fullmatch(word) for word in words):
        return [part for word in words for part in ("--check", word)]
    return ["-k", only] if only.strip() else []

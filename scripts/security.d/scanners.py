"""The scanners: how each is called, and what is read out of its answer."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# The ports that speak TLS to the outside, each with the protocol of its STARTTLS.
PORTS = {25: "smtp", 587: "smtp", 465: "", 993: "", 995: "", 443: ""}

# What testssl.sh gives a finding that is not as it should be, the worst first.
SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW")
# A scan that waits for ever is of no use.
MOST_SECONDS = 900


class ScanError(Exception):
    """A scanner did not do its work; the text says what to do."""


@dataclass(frozen=True)
class Target:
    """A mail host: its address, its name, and the file with the CA that signed its certificate."""

    address: str
    name: str
    ca_file: Path


@dataclass(frozen=True)
class Scan:
    """What one scanner found at one port; `findings` are `severity: text` or a sentence."""

    scanner: str
    port: str
    verdict: str
    findings: tuple[str, ...] = field(default=())


def run(command: list[str], *, codes: range | None = None) -> str:
    """Standard output of a scanner; ScanError when it leaves with another code than those of a scan that was done."""
    print("+", " ".join(command), file=sys.stderr, flush=True)
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=MOST_SECONDS, stdin=subprocess.DEVNULL
    )
    if codes is not None and done.returncode not in codes:
        raise ScanError(f"{command[0]} left with {done.returncode}: {(done.stderr or done.stdout).strip()[-600:]}")
    return done.stdout


def needed(*names: str) -> str:
    """The path of the first of these programs; ScanError when there is none."""
    for name in names:
        if path := shutil.which(name):
            return path
    raise ScanError(f"{names[0]} is missing: apt-get install {names[-1]}")


def sslyze_program(folder: Path) -> str:
    """The path of sslyze, in an environment of its own below `folder`: it is no dependency of ours."""
    program = folder / "bin" / "sslyze"
    if not program.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", "sslyze"], check=True)
    return str(program)


def testssl(target: Target) -> Iterator[Scan]:
    """testssl.sh at every port: what it gives a severity."""
    program = needed("testssl", "testssl.sh")
    for port, protocol in PORTS.items():
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "found.json"
            starttls = ["--starttls", protocol] if protocol else []
            # Its exit code counts its findings.
            run(
                [
                    *(program, "--quiet", "--color", "0", "--warnings", "off", "--add-ca", str(target.ca_file)),
                    *("--jsonfile", str(file), "--ip", target.address, *starttls, f"{target.name}:{port}"),
                ]
            )
            found = json.loads(file.read_text()) if file.exists() else []
        if not any(item["id"] == "TLS1_2" for item in found):
            raise ScanError(f"testssl.sh did not come through at port {port}: {found[-1:]}")
        yield judged("testssl.sh", str(port), found)


def judged(scanner: str, port: str, found: list[dict[str, str]]) -> Scan:
    """A scan of testssl.sh from its JSON: each finding with its severity, the worst first."""
    bad = [item for severity in SEVERITIES for item in found if item["severity"] == severity]
    counts = {severity: sum(item["severity"] == severity for item in bad) for severity in SEVERITIES}
    said = ", ".join(f"{count} {severity.lower()}" for severity, count in counts.items() if count) or "nothing"
    return Scan(
        scanner,
        port,
        said,
        tuple(f"{item['severity'].lower()}: {item['id']}: {shortened(item['finding'])}" for item in bad),
    )


def shortened(text: str, most: int = 160) -> str:
    text = " ".join(text.split())
    return text if len(text) <= most else f"{text[:most]}..."


def sslyze(target: Target, folder: Path) -> Iterator[Scan]:
    """sslyze at every port: whether it complies with Mozilla's intermediate profile, and what it is vulnerable to."""
    program = sslyze_program(folder)
    for port, protocol in PORTS.items():
        starttls = ["--starttls", protocol] if protocol else []
        said = run(
            [
                *(program, "--mozilla_config", "intermediate", "--certinfo_ca_file", str(target.ca_file), *starttls),
                f"{target.name}:{port}{{{target.address}}}",
            ]
        )
        yield read_sslyze(str(port), said)


def read_sslyze(port: str, said: str) -> Scan:
    """The verdict under COMPLIANCE, with its reasons; and every line that speaks of something vulnerable."""
    _before, mark, after = said.partition("COMPLIANCE AGAINST")
    verdict = re.search(r":\d+: (OK|FAILED) - (.+)", after)
    if not mark or verdict is None:
        raise ScanError(f"sslyze did not come through at port {port}: {said[-600:]}")
    reasons = [" ".join(line.split(maxsplit=1)[1].split()) for line in re.findall(r"^ +\* .+", after, re.M)]
    open_to = [" ".join(line.split()) for line in said.splitlines() if re.search(r"VULNERABLE -|NOT OK", line)]
    return Scan("sslyze", port, "compliant" if verdict[1] == "OK" else "not compliant", (*reasons, *open_to))


def nmap_relay(target: Target) -> Scan:
    """nmap's open-relay script on the three ports that take mail."""
    said = run(
        [
            needed("nmap"),
            "-Pn",
            "-p",
            "25,465,587",
            "--script",
            "smtp-open-relay",
            *family(target.address),
            target.address,
        ],
        codes=range(1),
    )
    lines = re.findall(r"smtp-open-relay: (.+)", said)
    opened = [line for line in lines if "is an open relay" in line.lower()]
    states = re.findall(r"^(\d+)/tcp +open", said, re.M)
    if len(states) < 3:
        raise ScanError(f"nmap sees no open port: {said}")
    return Scan("nmap smtp-open-relay", "25, 465, 587", "open relay" if opened else "no open relay", tuple(lines))


def family(address: str) -> list[str]:
    return ["-6"] if ":" in address else []


def versions(folder: Path) -> dict[str, str]:
    """What was used, in which release."""
    path = os.environ.get("PATH", "")
    testssl_said = subprocess.run(
        [needed("testssl", "testssl.sh"), "--version"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": path, "TERM": "dumb"},
    ).stdout
    found = re.search(r"testssl(?:\.sh)?\s+(?:version\s+)?(\d[\w.]+)", re.sub(r"\x1b\[[\d;]*m", "", testssl_said))
    listed = subprocess.run([str(folder / "bin" / "pip"), "show", "sslyze"], capture_output=True, text=True, check=True)
    return {
        "testssl.sh": found[1] if found else "unknown",
        "sslyze": re.search(r"^Version: (\S+)", listed.stdout, re.M)[1],  # type: ignore[index]
        "nmap": run([needed("nmap"), "--version"]).split()[2],
    }

"""What scripts/security reads out of the scanners' answers, and how its page keeps what a person wrote."""

from __future__ import annotations

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

FOLDER = Path(__file__).parents[3] / "scripts" / "security.d"

COMPLIANT = """
 COMPLIANCE AGAINST TLS CONFIGURATION
 ------------------------------------

    Checking results against Mozilla's "intermediate" configuration.

    mail.example.test:993: OK - Compliant.
"""
NOT_COMPLIANT = """
 * Session Renegotiation:
       Client Renegotiation DoS Attack:   VULNERABLE - Server honors client-initiated renegotiations
       Secure Renegotiation:              OK - Supported

 COMPLIANCE AGAINST TLS CONFIGURATION
 ------------------------------------

    mail.example.test:993: FAILED - Not compliant.
        * certificate_lifespan: Certificate life span is 397 days, should be less than 366.
"""


@pytest.fixture(scope="module")
def parts() -> dict[str, ModuleType]:
    """The script's modules, which are no package; `page` imports `scanners` by its bare name."""
    loaded: dict[str, ModuleType] = {}
    for name in ("scanners", "page"):
        spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
        assert spec is not None and spec.loader is not None
        before = sys.modules.get(name)
        sys.modules[name] = loaded[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(loaded[name])
        if name == "page":
            del sys.modules["scanners"]
        if before is not None:
            sys.modules[name] = before
    sys.modules.pop("page", None)
    return loaded


def test_sslyze_s_verdict_has_its_reasons_and_what_is_vulnerable(parts: dict[str, ModuleType]) -> None:
    read = parts["scanners"].read_sslyze
    assert (read("993", COMPLIANT).verdict, read("993", COMPLIANT).findings) == ("compliant", ())
    scan = read("993", NOT_COMPLIANT)
    assert scan.verdict == "not compliant"
    assert scan.findings == (
        "certificate_lifespan: Certificate life span is 397 days, should be less than 366.",
        "Client Renegotiation DoS Attack: VULNERABLE - Server honors client-initiated renegotiations",
    )


def test_a_scan_that_did_not_come_through_is_no_verdict(parts: dict[str, ModuleType]) -> None:
    with pytest.raises(parts["scanners"].ScanError):
        parts["scanners"].read_sslyze("993", "Error: could not connect")


def test_testssl_s_findings_stand_with_the_worst_first(parts: dict[str, ModuleType]) -> None:
    found = [
        {"id": "TLS1_2", "severity": "OK", "finding": "offered"},
        {"id": "DNS_CAArecord", "severity": "LOW", "finding": "--"},
        {"id": "secure_client_renego", "severity": "MEDIUM", "finding": "VULNERABLE,\n potential DoS threat"},
    ]
    scan = parts["scanners"].judged("testssl.sh", "993", found)
    assert scan.verdict == "1 medium, 1 low"
    assert scan.findings == ("medium: secure_client_renego: VULNERABLE, potential DoS threat", "low: DNS_CAArecord: --")
    assert parts["scanners"].judged("testssl.sh", "993", found[:1]).verdict == "nothing"


def test_the_page_keeps_what_a_person_wrote_and_says_each_finding_once(
    parts: dict[str, ModuleType], tmp_path: Path
) -> None:
    page, scan = parts["page"], parts["scanners"].Scan
    path = tmp_path / "security.md"
    path.write_text(f"# Head\n\n{page.BEGIN}\nold\n{page.END}\n\nFoot.\n")
    scans = {
        "debian-13": [scan("sslyze", "993", "not compliant", ("x: y",)), scan("sslyze", "995", "compliant", ("x: y",))]
    }
    page.write(path, scans, {"sslyze": "6.3.1"}, datetime(2026, 1, 2, tzinfo=UTC))
    text = path.read_text()
    assert text.startswith("# Head\n") and text.endswith("Foot.\n") and "old" not in text
    assert "2026-01-02, with sslyze 6.3.1" in text and "- sslyze, 993, 995: `x: y`" in text
    path.write_text("# no marks\n")
    with pytest.raises(SystemExit):
        page.write(path, scans, {}, datetime(2026, 1, 2, tzinfo=UTC))

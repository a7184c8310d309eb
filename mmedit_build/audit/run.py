"""One audit from the name of a dataset to the files that tell of it."""

from __future__ import annotations

from pathlib import Path

from mmedit_build.audit.dataset import Target
from mmedit_build.audit.page import render
from mmedit_build.audit.report import Report, audit_target
from mmedit_build.audit.targets import open_target
from mmedit_build.store import write_atomic


def run_audit(target: str, json_path: Path | None = None, page_path: Path | None = None) -> Report:
    """Audit what the target names, and write the numbers as JSON and as a page where asked to."""
    return write_audit(open_target(target), json_path, page_path)


def write_audit(opened: Target, json_path: Path | None = None, page_path: Path | None = None) -> Report:
    """The same of what was opened already."""
    report = audit_target(opened)
    if json_path is not None:
        write_atomic(json_path, report.to_json().encode("utf-8", errors="backslashreplace"))
    if page_path is not None:
        write_atomic(page_path, render(opened, report))
    return report

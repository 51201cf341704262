"""The benchmarks compare like with like; what they measure is not for a test."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from servers import found

BENCH = Path(__file__).parents[1] / "bench"


@pytest.mark.slow
@pytest.mark.skipif(not found(), reason="no PostgreSQL was found")
def test_the_arms_on_postgresql_leave_the_same_rows() -> None:
    command = [sys.executable, str(BENCH / "postgres.py"), "--even"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stderr
    assert "leave the same rows" in done.stderr

"""What people install is the wheel, not this folder: it must hold every file that the package reads."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_holds_every_file_of_the_package(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if name.startswith("sycee/")}
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "src/sycee"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    ours = {name.removeprefix("src/") for name in listed.stdout.split() if (ROOT / name).exists()}
    assert packed == ours
    assert {Path(name).suffix for name in ours} >= {".py", ".toml", ".jinja", ".css"}


def test_the_wheel_runs_by_itself(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    script = (
        "import sys; sys.path.insert(0, sys.argv[1]); import sycee; assert sycee.__file__.startswith(sys.argv[1]);"
        "from sycee.programmes.definition import load; print(load('luohu-2020').budget_minor)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "installed")], check=True, capture_output=True, text=True
    )
    assert ran.stdout.strip() == "1000000000"


def test_each_user_of_a_read_only_wheel_has_kernels_of_their_own(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    for path in [installed, *installed.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    keys = set()
    for user in ("ann", "bob"):
        kept = {key: value for key, value in os.environ.items() if key not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
        subprocess.run(
            [sys.executable, "-B", "-c", "import sycee.programmes.sha256"],
            # Root may write to a read-only folder: bytecode of the workers is not what is looked for.
            env=kept | {"HOME": str(tmp_path / user), "PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
            check=True,
            capture_output=True,
        )
        (folder,) = (tmp_path / user / ".cache" / "sycee" / "kernels").iterdir()
        assert list(folder.glob("sha256._compress-*.nbc"))
        keys.add(folder.name)
    assert len(keys) == 1
    assert {path: path.stat().st_mtime_ns for path in installed.rglob("*")} == before
    for path in [installed, *installed.rglob("*")]:
        path.chmod(0o755)

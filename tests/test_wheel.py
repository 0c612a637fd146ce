"""Users install the wheel, not this folder: it holds every file of the package, and its core needs no extra."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from tests import small_kernel

from sycee.core.extras import install_line

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture
def installed(wheel: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "installed")
    return tmp_path / "installed"


def test_the_wheel_holds_every_file_of_the_package(wheel: Path) -> None:
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


def run_installed(installed: Path, script: str, *arguments: str) -> str:
    begin = (
        "import sys; sys.path.insert(0, sys.argv.pop(1)); import sycee; assert sycee.__file__.startswith(sys.path[0]);"
    )
    command = [sys.executable, "-c", begin + script, str(installed), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=installed.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_wheel_runs_alone(installed: Path) -> None:
    script = "from sycee.programmes.definition import load; print(load('luohu-2020').budget_minor)"
    assert run_installed(installed, script).strip() == "1000000000"


# --- extras ---


def distribution(requirement: str) -> str:
    return re.split(r"[<>=\[]", requirement)[0]


MODULES = {
    "python-dateutil": "dateutil",
    "python-multipart": "python_multipart",
    "opentelemetry-exporter-otlp-proto-http": "opentelemetry",
    "salib": "SALib",
}


def extra_modules() -> list[str]:
    """Libraries that the core must not need."""
    extras = {distribution(each) for extra in PROJECT["optional-dependencies"].values() for each in extra} - {"sycee"}
    return sorted({MODULES.get(each, each.removesuffix("-sdk").replace("-", "_")) for each in extras})


def test_extras_share_nothing_with_the_core() -> None:
    assert extra_modules() == [
        *(
            "SALib",
            "alembic",
            "anyascii",
            "authlib",
            "cleanco",
            "confusable_homoglyphs",
            "dateutil",
            "duckdb",
            "fastapi",
            "fastapi_offline",
            "highspy",
            "httptools",
            "httpx",
            "ipfn",
            "itsdangerous",
        ),
        *(
            "joserfc",
            "limits",
            "lxml",
            "matplotlib",
            "opentelemetry",
            "prometheus_client",
            "psycopg",
            "pyabc",
            "pyarrow",
        ),
        *("python_multipart", "rapidfuzz", "reportlab", "scoringrules", "segno", "sqlalchemy", "uvicorn", "uvloop"),
        "webauthn",
    ]
    assert not set(extra_modules()) & set(map(distribution, PROJECT["dependencies"]))


def test_the_extra_all_brings_every_library() -> None:
    every = {distribution(each) for extra in PROJECT["optional-dependencies"].values() for each in extra} - {"sycee"}
    brought: dict[str, set[str]] = {name: set() for name in PROJECT["optional-dependencies"]}
    for requirement in metadata.requires("sycee") or []:
        named = re.search(r"extra == '(\w+)'", requirement)
        if named:
            brought[named[1]].add(distribution(requirement.partition(";")[0]))
    assert brought["all"] == every
    assert brought["client"] | brought["compliance"] | brought["pilot"] < brought["bank"]
    assert brought["bank"] == brought["clearing"] & brought["research"]


QUOTED_EXTRA = re.compile(r"""(?:with |, )extra\("(\w+)"\)|\bextras?\s+[`"](\w+)[`"]|pip install [^`\n]*\[(\w+)\]\"""")


@pytest.mark.fast
def test_code_and_pages_name_extras_that_exist() -> None:
    files = [*ROOT.glob("src/**/*.py"), *ROOT.glob("docs/**/*.md"), ROOT / "README.md"]
    texts = {file.relative_to(ROOT).as_posix(): file.read_text(encoding="utf-8") for file in files}
    named = [(file, "".join(found)) for file, text in texts.items() for found in QUOTED_EXTRA.findall(text)]
    assert len(named) > 60
    assert [each for each in named if each[1] not in PROJECT["optional-dependencies"]] == []


def describe(folder: Path, direct_url: dict[str, Any] | None) -> None:
    """Write the description of an installed Sycee, as installers do; `direct_url` is None for one from an index."""
    info = folder / "sycee-0.1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.4\nName: sycee\nVersion: 0.1.0\n", encoding="utf-8")
    if direct_url is not None:
        (info / "direct_url.json").write_text(json.dumps(direct_url), encoding="utf-8")


@pytest.mark.parametrize(
    ("direct_url", "installed"),
    [
        (None, '"sycee[bank]"'),
        ({"url": "file:///srv/a%20clone", "dir_info": {}}, '"/srv/a clone[bank]"'),
        ({"url": "file:///srv/clone", "dir_info": {"editable": True}}, '-e "/srv/clone[bank]"'),
        ({"url": "file:///srv/s.whl", "archive_info": {}}, '"sycee[bank] @ file:///srv/s.whl"'),
        (
            {"url": "https://host.example/s.git", "vcs_info": {"vcs": "git", "commit_id": "12ab"}},
            '"sycee[bank] @ git+https://host.example/s.git@12ab"',
        ),
    ],
)
def test_the_line_to_paste_follows_the_installation(
    direct_url: dict[str, Any] | None, installed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    describe(tmp_path, direct_url)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))  # without pip
    assert install_line("bank") == f"{sys.executable} -m pip install {installed}"


def test_the_line_is_short_in_the_clone_and_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    describe(tmp_path, {"url": tmp_path.as_uri(), "dir_info": {}})
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "pip").touch(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    assert install_line("bank") == 'pip install ".[bank]"'


# Calls the command line for each list of words in argv[1], without the libraries named in argv[2].
CALLS = """
import contextlib, io, json
sys.modules.update(dict.fromkeys(json.loads(sys.argv[2])))
from sycee import cli
results = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(words)
    results.append([code, out.getvalue(), err.getvalue()])
print(json.dumps(results))
"""


def test_the_core_commands_need_no_extra(installed: Path) -> None:
    account = "01751788-2600-718a-a5a1-04eb7ea64aba"
    example = str(ROOT / "examples" / "two-regimes")
    works = [
        ["pilot", "luohu", "--scale", "0.002", "--data", "little"],
        ["verify", "little", "--authority"],
        ["draw", "verify", "little/draw"],
        ["snapshot", "little"],
        ["restore", "little", "restored"],
        ["key", "new", "key.pem"],
        ["checkpoint", "create", "little", "--key", "key.pem", "--signer", account, "--out", "checkpoint.json"],
        ["simulate", "--histories", "1"],
    ]
    lacks = {
        "bank": [
            ["export", "little"],
            ["query", "little"],
            ["statement", "little", account, "--pdf", "x.pdf"],
            ["demo", "x"],
            ["serve", "x"],
            ["supply", "bank"],
            ["drop", "show", "bank", "x"],
            ["drop", "try", "x", "y", "--folder", "z"],
        ],
        "compliance": [
            ["compliance", "check", example],
            ["compliance", "test"],
            ["compliance", "screen", example, f"{example}/payment.xml"],
        ],
        "pilot": [["pilot", "luohu", "--scale", "0.002", "--report", "x.html"]],
    }
    calls = works + [words for each in lacks.values() for words in each]
    results: list[Any] = json.loads(run_installed(installed, CALLS, json.dumps(calls), json.dumps(extra_modules())))
    for words, (code, out, err) in zip(works, results[: len(works)], strict=True):
        assert code == 0, (words, err)
        assert out or words[:2] == ["checkpoint", "create"]
    at = len(works)
    for extra, each in lacks.items():
        for _ in each:
            code, out, err = results[at]
            at += 1
            assert (code, out) == (4, "")
            lacking, hint = err.splitlines()
            assert lacking.endswith(f' is not installed: it comes with the extra "{extra}"')
            assert hint.startswith("hint: ")
            assert hint.endswith(f'pip install "sycee[{extra}]"')
    assert not (installed.parent / "x.pdf").exists()


MISSING = [
    ("pyarrow", "import sycee.archive.export", "bank"),
    ("pyarrow", "import sycee.archive.exporter", "bank"),
    ("duckdb", "import sycee.archive.query", "bank"),
    ("duckdb", "import sycee.archive.check", "bank"),
    ("reportlab", "import sycee.archive.statement_pdf", "bank"),
    ("highspy", "import sycee.netting.optimise", "clearing"),
    ("lxml", "import sycee.iso20022.reading", "compliance"),
    ("rapidfuzz", "import sycee.compliance.judging.judge", "compliance"),
    ("cleanco", "import sycee.compliance.names", "compliance"),
    ("sqlalchemy", "import sycee.compliance.enforcement.service", "bank"),
    ("sqlalchemy", "import sycee.database.engines", "bank"),
    ("sqlalchemy", "import sycee.bank.bank", "bank"),
    ("alembic", "import sycee.database.migrations", "bank"),
    ("psycopg", "from sycee.database.engines import engine; engine('postgresql://host/name')", "bank"),
    ("matplotlib", "from sycee.report import chart; chart.svg(None, name='x', width=1, height=1)", "pilot"),
]
# Each library is missing in a child of its own; what all of them import is imported once.
IMPORTS = """
import json, os, sys
import numpy, sycee.core.documents, sycee.sequencer.embedded
from sycee.core.errors import UnavailableError
for missing, code in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        sys.modules[missing] = None
        try:
            exec(code)
        except ImportError as error:
            assert isinstance(error, UnavailableError)
            print(error.message, error.hint, sep="|", flush=True)
        os._exit(0)
    os.waitpid(child, 0)
"""


def test_python_names_the_missing_extra() -> None:
    calls = json.dumps([[missing, code] for missing, code, _ in MISSING])
    done = subprocess.run([sys.executable, "-c", IMPORTS, calls], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == [
        f'{missing} is not installed: it comes with the extra "{extra}"|{install_line(extra)}'
        for missing, _, extra in MISSING
    ]
    assert done.stderr == ""


def test_a_missing_module_of_ours_is_a_bug() -> None:
    from sycee.core.extras import extra

    with pytest.raises(ModuleNotFoundError, match=r"sycee\.nothing"), extra("bank"):
        import sycee.nothing  # noqa: F401


# --- compiled kernels ---


def test_each_user_of_a_read_only_wheel_has_kernels_of_their_own(installed: Path, tmp_path: Path) -> None:
    small_kernel.replace(installed / "sycee")
    before = {path: path.stat().st_mtime_ns for path in installed.rglob("*")}
    for path in [installed, *installed.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    keys = set()
    for user in ("ann", "bob"):
        kept = {key: value for key, value in os.environ.items() if key not in ("XDG_CACHE_HOME", "NUMBA_CACHE_DIR")}
        subprocess.run(
            [sys.executable, "-B", "-c", "import sycee.core.sha256"],
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

"""The command line's frame: what it imports, what it says, and its exit codes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import sycee
from sycee import cli
from sycee.core.errors import IntegrityError, SyceeError, UnavailableError, UsageError

pytestmark = pytest.mark.fast

HEAVY = (
    *("numba", "numpy", "matplotlib", "jinja2", "tree_sitter", "blake3"),
    *("duckdb", "pyarrow", "reportlab", "sqlalchemy", "alembic"),
)

MODULES_MAX = 400  # of all that --help imports; 330 to 336 in November 2026


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "import sys; from sycee.cli import main; sys.exit(main())", *arguments],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )


def test_help_imports_little_and_nothing_heavy() -> None:
    script = (
        "import sys; from sycee.cli import main; main(['--help']); "
        "print('HEAVY', *(set(sys.argv[1:]) & set(sys.modules))); print(len(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script, *HEAVY], capture_output=True, text=True, check=True)
    *_, heavy, modules = done.stdout.splitlines()
    assert heavy == "HEAVY"
    assert int(modules) < MODULES_MAX
    assert all(command in done.stdout for command in ("pilot", "verify", "draw", "compliance"))


def test_no_argument_prints_short_help() -> None:
    done = run()
    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage: sycee COMMAND" in done.stdout
    assert done.stdout.count("\n") < 2 * len(cli.COMMANDS) + 2 * len(cli.HEADINGS) + 10  # one or two lines a command
    assert set(cli.HEADINGS) <= set(cli.COMMANDS)
    assert all(f"─ {heading} ─" in done.stdout for heading in cli.HEADINGS.values())


def test_version() -> None:
    assert run("--version").stdout.strip() == f"sycee {sycee.__version__}"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["pilt"], 'error: there is no command "pilt"; did you mean "pilot"?'),
        (["verfy", "folder"], 'did you mean "verify"?'),
        (["mint-me-some"], "there are pilot, verify, draw"),
        (["--nope"], "there is no option --nope"),
    ],
)
def test_a_mistyped_command_is_a_usage_error(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert "hint: sycee --help lists commands and options\n" in err


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (SyceeError("no money"), 1, "error: no money\n"),
        (UsageError("bad text", hint="write 1.00"), 2, "error: bad text\nhint: write 1.00\n"),
        (IntegrityError("frame 12 is corrupt"), 3, "error: frame 12 is corrupt\n"),
        (UnavailableError("in use"), 4, "error: in use\n"),
        (PermissionError(13, "Permission denied", "ledger"), 4, "error: ledger: Permission denied\n"),
        (KeyboardInterrupt(), 130, "\ninterrupted; nothing was changed"),
    ],
)
def test_errors_become_exit_codes_and_lines(
    error: BaseException, code: int, says: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    assert cli.main(["verify", "x"]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(says)


def test_a_command_may_return_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    for result, code in [(None, 0), (0, 0), (3, 3), ("text", 0)]:
        monkeypatch.setattr(cli, "app", lambda *_, result=result, **__: result)
        assert cli.main([]) == code


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(ZeroDivisionError):
        cli.main([])


def test_no_color_is_plain_even_on_a_terminal() -> None:
    coloured = run("--help", FORCE_COLOR="1", NO_COLOR="")
    plain = run("--help", FORCE_COLOR="1", NO_COLOR="1")
    assert "\x1b[" in coloured.stdout
    assert "\x1b[" not in plain.stdout


def test_a_reader_that_stops_early_is_no_error() -> None:
    script = "import sys; from sycee.cli import main; sys.exit(main(['--help']))"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout
    assert child.stderr
    child.stdout.close()
    assert child.stderr.read() == b""
    child.stderr.close()
    assert child.wait() == 0


def test_the_help_of_a_group_is_in_the_order_of_its_steps(capsys: pytest.CaptureFixture[str]) -> None:
    from sycee.cli import drop

    assert {each for names in drop.STEPS.values() for each in names} == {
        each for each in drop.app if not each.startswith("-")
    }
    assert cli.main(["drop", "--help"]) == 0
    shown = capsys.readouterr().out
    steps = ("│ draft ", "│ register ", "│ freeze ", "│ draw ", "│ terms ", "│ drop ", "│ claim ", "│ close ")
    assert [shown.index(each) for each in steps] == sorted(shown.index(each) for each in steps)
    assert "--server" not in shown
    assert cli.main(["--help"]) == 0
    assert "--server URL" in capsys.readouterr().out


def test_a_reason_against_a_server_is_of_a_command_without_one() -> None:
    from tools.command_tables import commands

    from sycee.cli import remote, without_server

    on_folder, over_server = ({" ".join(words) for words in commands(each)} for each in (cli.app, remote.app))
    groups = {words.partition(" ")[0] for words in on_folder}
    assert without_server.REASONS.keys() <= on_folder | groups
    assert without_server.REASONS.keys() & over_server == set()

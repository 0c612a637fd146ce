"""The documentation is true: its blocks run, its links lead somewhere, and nothing that can be set is left out."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from cyclopts import App
from tests.docs.pages import ROOT, Page, commands, page, shows

from sycee import cli, data
from sycee.core.documents import DocumentError
from sycee.core.result_codes import Result
from sycee.programmes import definition, file_values, merchant_groups, published_results, schedule
from sycee.sandbox import assumptions

RUN_ELSEWHERE = (
    "make test",
    "make pilot",
    "pip install",
    "python3 -m venv",
    "sycee demo",
)  # the first would run itself; CI, test_wheel and tests/demo run the others
RUNNABLE = ("python", "console")
LANGUAGES = {"", "console", "diff", "json", "python", "text", "toml"}
READERS = {
    *("boolean", "choice", "currency", "integer", "integers", "money", "moment", "offer"),
    *("table", "tables", "text", "texts", "zone"),
}


@cache
def pages() -> tuple[str, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", "*.md"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    return tuple(sorted(name for name in set(listed.stdout.split("\0")) if name and (ROOT / name).is_file()))


def pages_to_run() -> list[str]:
    chosen = [name for name in pages() if name == "README.md" or name.startswith(("docs/guides/", "docs/reference/"))]
    return [name for name in chosen if any(block.language in RUNNABLE for block in page(name).blocks())]


# --- blocks run ---


def steps(of: Page) -> tuple[list[dict[str, str]], list[str | None]]:
    """What to run, and for each step the output shown, None where none is."""
    blocks = of.blocks()
    to_run: list[dict[str, str]] = []
    shown: list[str | None] = []
    for number, block in enumerate(blocks):
        if block.language not in RUNNABLE or block.not_run:
            continue
        if block.language == "console":
            pairs = commands(block.content)
            if pairs[0][0].startswith(RUN_ELSEWHERE):
                continue
            for command, output in pairs:
                to_run.append({"kind": "console", "content": command, "place": f"{of.name}:{block.line}"})
                shown.append(output)
        else:
            # Empty lines in front, so that a traceback names the page's own lines.
            content = "\n" * (block.line - 1) + block.content
            to_run.append({"kind": "python", "content": content, "place": of.name})
            after = blocks[number + 1] if number + 1 < len(blocks) else None
            is_output = after is not None and after.follows == number and after.language in ("", "text")
            shown.append(after.content if after is not None and is_output else None)
    return to_run, shown


@pytest.fixture(scope="module")
def warm() -> Iterator[Path]:
    """A folder with a `sycee` that costs no start of Python each time it is called."""
    with tempfile.TemporaryDirectory() as folder:  # the path of a socket may not be long, and pytest's own are
        command = [sys.executable, "-m", "tests.docs.warm", folder]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "ready\n"
            yield Path(folder)
            process.communicate()  # it ends with its stdin


@pytest.mark.parametrize("name", pages_to_run())
def test_blocks_run_and_say_what_is_shown(name: str, tmp_path: Path, warm: Path) -> None:
    to_run, shown = steps(page(name))
    # Pages name examples and tools by their path from the root of the repository.
    for folder in ("examples", "tools"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    for block in page(name).blocks():
        if block.info.startswith("title="):
            (tmp_path / block.info.removeprefix("title=")).write_text(block.content, encoding="utf-8")
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(warm), str(Path(sys.executable).parent), os.environ["PATH"]]),
        "COLUMNS": "80",
        "NO_COLOR": "1",
        "PYTHONUNBUFFERED": "1",  # what is said first is shown first, as on a terminal
    }
    done = subprocess.run(
        [str(warm / "sycee"), "run-page"],
        input=json.dumps(to_run),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    for step, result, expected in zip(to_run, results, shown, strict=False):
        assert not result["error"], result["error"]
        said = result["output"]
        if expected is not None:
            message = f"{step['place']}: {step['content'].strip()}\n--- shown\n{expected}--- said\n{said}"
            assert shows(expected, said), message
    assert len(results) == len(to_run)


def test_there_are_pages_to_run() -> None:
    assert {
        "README.md",
        "docs/guides/check-a-draw.md",
        "docs/guides/embedded-ledger.md",
        "docs/reference/cli.md",
    } <= set(pages_to_run())


def test_no_block_hides_behind_another_language() -> None:
    names = [name for name in pages() if name.startswith(("README", "docs/"))]
    blocks = [(name, block) for name in names for block in page(name).blocks()]
    odd = [f"{name}:{block.line}: {block.language}" for name, block in blocks if block.language not in LANGUAGES]
    assert odd == []


@pytest.mark.parametrize(
    ("expected", "found", "same"),
    [
        ("a\nb\n", "a\nb\n", True),
        ("a\n", "a\nb\n", False),
        ("a\n...\nd\n", "a\nb\nc\nd\n", True),
        ("a\n...\n", "a\n", True),
        ("...\nd\n", "a\n", False),
        ("took ... s\n", "took 0.12 s\n", True),
        ("took ... s\n", "took\n0.12 s\n", False),
        ("a\n", "\na  \n\n", True),
        ("a.c\n", "abc\n", False),
        ("", "something\n", False),
    ],
)
def test_the_ellipsis_rule(expected: str, found: str, same: bool) -> None:
    assert shows(expected, found) is same


# --- the command line is documented ---


def command_line() -> str:
    """The pages on commands, one after another."""
    names = [name for name in pages() if re.fullmatch(r"docs/reference/cli(-[a-z]+)?\.md", name)]
    return "\n".join(page(name).text for name in names)


def every_command(group: App, *words: str) -> Iterator[tuple[tuple[str, ...], App]]:
    for name in group:
        if name.startswith("-"):
            continue
        command = group[name]
        yield (*words, name), command
        yield from every_command(command, *words, name)


_ARGUMENTS: dict[tuple[tuple[str, ...], int], list[Any]] = {}  # all commands take 0.6 s of CPU, and several tests ask


def arguments_of(words: tuple[str, ...], command: App) -> list[Any]:
    """The arguments of a command, with the defaults of the groups it belongs to."""
    key = (words, id(command))
    if key not in _ARGUMENTS:
        with cli.app.app_stack(words):
            _ARGUMENTS[key] = list(command.assemble_argument_collection())
    return _ARGUMENTS[key]


def options_of(words: tuple[str, ...], command: App) -> set[str]:
    return {name for argument in arguments_of(words, command) for name in argument.names if name.startswith("--")}


def test_every_command_is_documented() -> None:
    text = command_line()
    found = [words for words, command in every_command(cli.app) if command.default_command]
    assert {("verify",), ("pilot", "luohu"), ("draw", "verify"), ("draw", "entry")} <= set(found)
    assert [words for words in found if f"## sycee {' '.join(words)}\n" not in text] == []


def test_every_option_is_documented_under_its_command() -> None:
    sections = command_line().split("\n## ")
    missing, seen = [], 0
    for words, command in every_command(cli.app):
        if not command.default_command:
            continue
        (section,) = (each for each in sections if each.startswith(f"sycee {' '.join(words)}\n"))
        for option in options_of(words, command) - {"--help", "--version"}:
            seen += 1
            # In brackets in the usage, unless it is needed.
            in_usage = f"[{option}" in section or f" {option} " in section.split("```")[1]
            if f"| `{option}" not in section or not in_usage:
                missing.append(f"{' '.join(words)} {option}")
    assert missing == []
    assert seen >= 9


def test_the_page_repeats_the_help_of_every_command_and_option() -> None:
    text = command_line()
    sections = text.split("\n## ")
    differ, seen = [], 0
    for words, command in every_command(cli.app):
        if not command.default_command or words[0] == "compliance":
            continue
        name = " ".join(words)
        help_text = command.help.partition("\n")[0].rstrip(".")
        (section,) = (each for each in sections if each.startswith(f"sycee {name}\n"))
        if not section.split("```\n")[2].strip().startswith(help_text):
            differ.append(f"{name}: {help_text}")
        if f"](#sycee-{'-'.join(words)}) | {help_text}. |" not in text:
            differ.append(f"the table of commands: {name}: {help_text}")
        rows = dict(re.findall(r"^\| `(--[\w-]+)[^|]*\|(?:[^|]*\|)?? ([^|]*) \|$", section, re.MULTILINE))
        for argument in arguments_of(words, command):
            if argument.names[0].startswith("--") and argument.parameter.help:
                seen += 1
                expected = argument.parameter.help.rstrip(".")
                if not rows.get(argument.names[0], "").startswith(expected):
                    differ.append(f"{name} {argument.names[0]}: {expected}")
    assert differ == []
    assert seen >= 30


def test_every_command_that_a_text_names_exists() -> None:
    options = {
        words: options_of(words, command) if command.default_command else set()
        for words, command in every_command(cli.app)
    }
    wrong, seen = [], 0
    for path in sorted((ROOT / "src").rglob("*.py")):
        for text in re.findall(r"`sycee ([a-z][^`|…\"\n]*)`", path.read_text(encoding="utf-8")):
            words = tuple(text.split())
            named = next((words[:size] for size in (2, 1) if words[:size] in options), ())
            seen += 1
            if not named or not {word for word in words if word.startswith("--")} <= options[named]:
                wrong.append(f"{path.name}: sycee {text}")
    assert wrong == []
    assert seen >= 100


def test_every_exit_code_is_documented() -> None:
    from sycee.core import errors

    classes = [each for each in vars(errors).values() if isinstance(each, type) and issubclass(each, errors.SyceeError)]
    codes = {0, cli.EXIT_INTERRUPTED, *(each.exit_code for each in classes)}
    documented = re.findall(r"^\| (\d+) \|", page("docs/reference/cli.md").text, re.MULTILINE)
    assert {int(code) for code in documented} == codes


def test_every_result_code_has_a_page_to_be_explained_on() -> None:
    text = page("docs/reference/result-codes.md").text
    assert [result.name for result in Result if f"`{result.name}`" not in text] == []


# --- what is read from outside is documented ---


def environment_variables() -> set[str]:
    """Names in os.environ[...], os.environ.get(...) and os.getenv(...), constants of the module looked up."""
    found = set()
    for path in (ROOT / "src" / "sycee").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        if "environ" not in text and "getenv" not in text:
            continue
        tree = ast.parse(text)
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(tree):
            key = None
            if isinstance(node, ast.Subscript) and ast.unparse(node.value) == "os.environ":
                key = node.slice
            elif isinstance(node, ast.Call) and ast.unparse(node.func) in ("os.environ.get", "os.getenv"):
                key = node.args[0]
            if isinstance(key, ast.Constant):
                found.add(key.value)
            elif key is not None:
                found.add(constants[ast.unparse(key)])
    return found


def test_every_environment_variable_is_documented() -> None:
    found = environment_variables()
    assert {"NO_COLOR", "NUMBA_CACHE_DIR"} <= found
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", page("docs/reference/cli.md").text, re.MULTILINE))
    assert documented == found | {"NUMBA_DISABLE_JIT"}  # which numba reads


def keys_asked_for(source: ModuleType, helpers: dict[str, int]) -> set[str]:
    """Every key that a module asks a table for, by the calls it makes; `helpers` take the key at that place."""
    tree = ast.parse(Path(str(source.__file__)).read_text(encoding="utf-8"))
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        is_reader = isinstance(node.func, ast.Attribute) and node.func.attr in READERS
        if is_reader and node.args and isinstance(node.args[0], ast.Constant):
            found.add(node.args[0].value)
        if isinstance(node.func, ast.Name) and node.func.id in helpers:
            key = node.args[helpers[node.func.id]]
            assert isinstance(key, ast.Constant)
            found.add(key.value)
    return found


def keys_read() -> set[str]:
    """Every key of a programme file."""
    readers = (definition, file_values, merchant_groups, published_results, schedule)
    asked = set().union(*(keys_asked_for(each, {"_minutes": 1, "limit": 1, "positive": 1}) for each in readers))
    return asked | set(published_results.COUNT_ROLES) | set(published_results.MONEY_ROLES)


def keys_of(values: Any) -> set[str]:
    if isinstance(values, list):
        return set().union(*(keys_of(each) for each in values))
    if not isinstance(values, dict):
        return set()
    return set(values).union(*(keys_of(each) for each in values.values()))


def documented_keys(heading: str) -> set[str]:
    section = page("docs/reference/programme.md").text.split(f"## {heading}\n")[1].split("\n## ")[0]
    names = set()
    for quoted in re.findall(r"`([^`]+)`", section):
        names.update(re.findall(r"[a-z_]+", quoted) if quoted.startswith("[") else [quoted])
    return names


def test_every_key_of_a_programme_is_documented() -> None:
    import tomllib

    read = keys_read()
    assert {"currency", "winners", "refund_order", "spent_own", "due"} <= read
    written = set().union(
        *(keys_of(tomllib.loads(data.content("pilots", name).decode())) for name in data.names("pilots"))
    )
    assert (read | written) - documented_keys("Every key") == set()


def test_every_key_of_a_replay_is_documented() -> None:
    read = keys_asked_for(assumptions, {"_weights": 1})
    assert {"pilot", "emptied", "hours", "each_max"} <= read
    assert read - documented_keys("What a replay assumes") == set()


def test_the_example_programme_has_every_key() -> None:
    import tomllib

    shown = keys_of(tomllib.loads(example_programme()))
    optional = {
        "source",
        "mark",
        "published",
        *("mode", "split", "least", "step", "zones"),
        *("per_payment_max", "payment_min"),
        *("sectors", "turnover_min", "turnover_max", "online", "chains"),
        *("schedule", "rule", "catch_up", "overlap", "beacon_period_s"),
        "sources",
        "address",
        "value",
        *published_results.COUNT_ROLES,
        *published_results.MONEY_ROLES,
    }
    assert keys_read() - optional - shown == set()


# --- the error gallery ---


def example_programme() -> str:
    (found,) = (block for block in page("docs/reference/programme.md").blocks() if block.info == "title=spring.toml")
    return found.content


def gallery() -> list[tuple[str, str]]:
    """(diff, message) in the order of the page."""
    blocks = page("docs/reference/programme.md").blocks()
    return [
        (block.content, blocks[number + 1].content)
        for number, block in enumerate(blocks)
        if block.language == "diff" and blocks[number + 1].follows == number
    ]


def changed(text: str, diff: str) -> str:
    """The text with the lines of a diff replaced; a line may be shown in part. Of several places the first."""
    removed = "\n".join(line[1:] for line in diff.splitlines() if line.startswith("-"))
    added = "\n".join(line[1:] for line in diff.splitlines() if line.startswith("+"))
    assert removed in text
    return text.replace(removed, added, 1)


def test_the_example_programme_is_right(tmp_path: Path) -> None:
    path = tmp_path / "spring.toml"
    path.write_text(example_programme(), encoding="utf-8")
    assert definition.load(path).draw.winners == 500


@pytest.mark.parametrize("number", range(len(gallery())))
def test_the_error_gallery_says_what_is_said(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diff, message = gallery()[number]
    (tmp_path / "spring.toml").write_text(changed(example_programme(), diff), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DocumentError) as caught:
        definition.load("spring.toml")
    assert f"error: {caught.value.message}\nhint: {caught.value.hint}\n" == message


def test_the_gallery_is_not_empty() -> None:
    assert len(gallery()) >= 8


# --- links ---


def test_links_lead_somewhere() -> None:
    broken = []
    for name, line, target in ((each, *link) for each in pages() for link in page(each).links()):
        if re.match(r"[a-z]+:", target):
            continue
        file, _, anchor = target.partition("#")
        path = (page(name).path.parent / file).resolve() if file else page(name).path
        if not path.exists() or not path.is_relative_to(ROOT):
            broken.append(f"{name}:{line}: {target}: no such file")
        elif anchor and anchor not in page(path.relative_to(ROOT).as_posix()).anchors():
            broken.append(f"{name}:{line}: {target}: no such heading")
    assert broken == []


def test_no_page_is_unreachable() -> None:
    """Every page of docs/ can be reached from its map."""
    reached, waiting = set(), ["docs/README.md"]
    while waiting:
        name = waiting.pop()
        if name in reached:
            continue
        reached.add(name)
        for _, target in page(name).links():
            path = (page(name).path.parent / target.split("#")[0]).resolve()
            if path.suffix == ".md" and path.is_file() and path.is_relative_to(ROOT):
                waiting.append(path.relative_to(ROOT).as_posix())
    assert [name for name in pages() if name.startswith("docs/") and name not in reached] == []

"""The pages of commands over a server have every command and every option."""

from __future__ import annotations

import re

from tests.docs.pages import page
from tests.docs.test_docs import every_command

from sycee.cli import remote

PAGES = (
    *("docs/reference/cli-remote.md", "docs/reference/cli-remote-office.md", "docs/reference/cli-bulk.md"),
    *("docs/reference/cli-remote-drop.md", "docs/reference/cli-remote-people.md"),
    *("docs/reference/cli-remote-registration.md", "docs/reference/cli-remote-vouchers.md"),
    "docs/reference/cli-clearing.md",
)


def test_the_page_has_every_command_and_option() -> None:
    texts = [page(each).text for each in PAGES]
    text, common = "\n".join(texts), texts[0].partition("\n## ")[0]
    missing = []
    for words, command in every_command(remote.app):
        if not command.default_command:
            continue
        name = " ".join(words)
        heading = f"\n## sycee {name} --server\n"
        own = next((each for each in texts if heading in each), "")
        section, head = own.partition(heading)[2].partition("\n## ")[0], own.partition("\n## ")[0]
        if not command.help.partition(".")[0] or command.help.partition(".")[0] not in section:
            missing.append(name)
        with remote.app.app_stack(words):
            for argument in command.assemble_argument_collection():
                option = argument.names[0]
                if option.startswith("--") and f"| `{option}" not in common + head + section:
                    missing.append(f"{name} {option}")
    assert missing == []
    listed = re.findall(r"^\| \[`(sycee [^`]* --server)`\]", text, re.MULTILINE)
    assert len(listed) == len(set(listed)), "a table of commands has a row twice"

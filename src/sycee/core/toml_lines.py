"""Line numbers of keys and syntax errors in a TOML text, by tree-sitter: `tomllib` gives values only."""

from __future__ import annotations

import tomllib
from typing import Any

Key = str | int  # the name of a key, or an index (from 0) in an array
Keys = tuple[Key, ...]


class KeyLines:
    """Line of every key and table of a valid document, by its path.

    Headings are read at the first lookup, and the keys under a heading at the first lookup below it. So a valid
    document of 100,000 lines, for which no line is looked up, costs little more than its values.
    """

    def __init__(self, raw: bytes) -> None:
        self._raw = raw
        self._lines: dict[Keys, int] = {}
        self._unread: dict[Keys, Any] | None = None  # tables whose keys were not read yet; None before the first lookup

    def line(self, keys: Keys) -> int:
        """Return the line of this path, from 1; 0 where the document has no such path."""
        if self._unread is None:
            self._unread = {}
            self._read_headings(_root(self._raw), self._unread)
        line = self._lines.get(keys)
        if line is None:
            for length in range(1, len(keys)):
                table = self._unread.pop(keys[:length], None)
                if table is not None:
                    self._read_pairs(keys[:length], table)
            line = self._lines.get(keys, 0)
        return line

    def _read_headings(self, root: Any, unread: dict[Keys, Any]) -> None:
        counts: dict[Keys, int] = {}  # number of tables in each array of tables so far
        self._read_pairs((), root)
        for table in root.children:
            if table.type not in ("table", "table_array_element"):
                continue
            names = _names(table.children[1])
            if table.type == "table":
                path = _with_indexes(names, counts)
            else:
                array = (*_with_indexes(names[:-1], counts), names[-1])
                counts[array] = counts.get(array, 0) + 1
                path = (*array, counts[array] - 1)
            for length in range(1, len(path) + 1):
                self._note(path[:length], table)
            unread[path] = table

    def _read_pairs(self, path: Keys, node: Any) -> None:
        for pair in node.children:
            if pair.type != "pair":
                continue
            names = _names(pair.children[0])
            for length in range(1, len(names) + 1):
                self._note((*path, *names[:length]), pair)
            self._read_value((*path, *names), pair.children[-1])

    def _read_value(self, path: Keys, node: Any) -> None:
        if node.type == "inline_table":
            self._read_pairs(path, node)
        elif node.type == "array":
            items = [child for child in node.children if child.type not in ("[", "]", ",", "comment")]
            for index, item in enumerate(items):
                self._note((*path, index), item)
                self._read_value((*path, index), item)

    def _note(self, path: Keys, node: Any) -> None:
        """Store the line of a path: the first of its lines, in whichever order they are found."""
        line = node.start_point[0] + 1
        if line < self._lines.get(path, line + 1):
            self._lines[path] = line


def syntax_error_line(raw: bytes) -> int:
    """Return the line, from 1, of the first syntax error; the last line where the tree has none."""
    nodes = [_root(raw)]
    line = raw.count(b"\n") + 1
    while nodes:
        node = nodes.pop()
        if node.is_error or node.is_missing:
            line = min(line, node.start_point[0] + 1)
        elif node.has_error:
            nodes.extend(node.children)
    return line


def _root(raw: bytes) -> Any:
    import tree_sitter  # not at the top of the module: most commands need no line numbers
    import tree_sitter_toml

    language = tree_sitter.Language(tree_sitter_toml.language())
    return tree_sitter.Parser(language).parse(raw).root_node


def _with_indexes(names: tuple[str, ...], counts: dict[Keys, int]) -> Keys:
    """Return the path of a heading, with the index of the newest table in every array of tables on the path."""
    path: Keys = ()
    for name in names:
        path = (*path, name)
        if path in counts:
            path = (*path, counts[path] - 1)
    return path


def _names(node: Any) -> tuple[str, ...]:
    """Return the names in a key: `a."b c".d` has three."""
    if node.type == "dotted_key":
        return tuple(name for child in node.children if child.type != "." for name in _names(child))
    text = node.text.decode()
    if node.type == "quoted_key":
        (name,) = tomllib.loads(f"{text} = 0")
        return (name,)
    return (text,)

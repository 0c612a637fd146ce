"""Seeded changes of messages, most of which make them wrong."""

from __future__ import annotations

import random


def bytes_changed(text: bytes, chance: random.Random) -> bytes:
    """Return a text with a part removed, doubled, moved, or replaced by bytes that matter in XML."""
    begin = chance.randrange(len(text))
    end = min(len(text), begin + chance.choice((1, 1, 2, 8, 40)))
    part = text[begin:end]
    new = chance.choice(
        (b"", part * 2, b"<", b">", b"&", b"&lt;", b"<!--x-->", b"\0", b"\xff", b" ", b"0", b"9", b"Z", "é".encode())
    )
    if chance.random() < 0.3:  # elements as a whole
        tags = [b"<" + each.split(b">")[0] + b">" for each in text.split(b"<")[1:]]
        return text.replace(chance.choice(tags), chance.choice(tags), 1)
    return text[:begin] + new + text[end:]


def element_changed(content: bytes, chance: random.Random) -> bytes:
    """Return a message with an element doubled, removed, renamed, moved, or with another text or attributes."""
    text = content.decode()
    tags = [each for each in text.split("<")[3:-2] if not each.startswith("/")]
    one = chance.choice(tags)
    name = one.split(">")[0].split(" ")[0]
    begin = text.index(f"<{one}")
    end = text.index(f"</{name}>", begin) + len(name) + 3
    before, part, after = text[:begin], text[begin:end], text[end:]
    other = chance.choice(tags)
    other_name = other.split(">")[0].split(" ")[0]
    at = text.index(f"<{other}")
    changed = (
        before + after,
        before + part + part + after,
        before + part.replace(f"<{name}", f"<{other_name}", 1).replace(f"</{name}>", f"</{other_name}>") + after,
        f"{before}<{name}>{chance.choice(('', ' ', 'x', '0', '-1', '2026-02-30', 'A' * 200))}</{name}>{after}",
        text[:at] + part + text[at:],
        before + part.replace(f"<{name}>", f'<{name} Ccy="EUR" other="1">', 1) + after,
    )
    return chance.choice(changed).encode()

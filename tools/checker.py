"""An independent checker: reads a ledger's journal and works out again everything that it says.

It imports nothing of the ledger, and was written from docs/reference/ledger.md and docs/reference/journal.md. It keeps
dictionaries and plain integers and is slow and short, so that whoever mistrusts the ledger can read it in an evening:
here what the bytes must be, in `checker_ledger` how a ledger works, in `checker_operations` what each operation does.
It checks every checksum, the chain of frames and the movement digest in every header, and at the end that no money
came from nowhere. Signatures are not its business. It needs blake3 and xxhash.

    python tools/checker.py FOLDER [--per-frame]

It changes nothing. Exit code 0: all is as claimed; 3: it is not, and a sentence names the frame that is wrong.
"""
# Set by hand, with short bodies on the line of their condition, as the two beside it.
# fmt: off
# ruff: noqa: E701

from __future__ import annotations

import argparse
import re
import struct
import sys
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path

from blake3 import blake3
from checker_ledger import whole
from checker_operations import Ledger
from xxhash import xxh3_64_digest, xxh3_128_digest


class Wrong(Exception):
    """The journal is not what it claims to be; the text names the frame."""

# The bytes, as docs/reference/journal.md has them.
Frame = namedtuple("Frame", "sequence now calendar records movement_digest")

def sealed(raw: bytes, letters: bytes) -> bool:
    """Is it a header or trailer that begins with these letters and ends in its own checksum?"""
    return raw[:8] == letters and raw[-8:] == xxh3_64_digest(raw[:-8] + bytes(8))

def segments(folder: Path) -> Iterator[tuple[Path, bytes, bool]]:
    """The segments of a ledger's folder in order: path, bytes, whether it is the last."""
    paths = sorted(p for p in folder.glob("journal/*.segment") if re.fullmatch(r"\d{12}\.segment", p.name))
    if not paths: raise Wrong(f"{folder} holds no journal: name the folder of a ledger.")
    for number, path in enumerate(paths, 1):
        if path.name != f"{number:012}.segment": raise Wrong(f"Segment {number} is missing; {path.name} is there.")
        yield path, path.read_bytes(), number == len(paths)

def followed(raw: memoryview, sequence: int) -> bool:
    """Does any block show a later frame than this one?"""
    for at in range(0, len(raw), 4096):
        header, trailer = bytes(raw[at : at + 512]), bytes(raw[at + 4032 : at + 4096])
        if sealed(header, b"SYCEEFRM") and int.from_bytes(header[16:24], "little") > sequence: return True
        if sealed(trailer, b"SYCEEEND") and int.from_bytes(trailer[8:16], "little") > sequence: return True
    return False

def frames(folder: Path, findings: list[str]) -> Iterator[Frame]:
    """Every frame of a ledger's journal, checked; what a start would mend is left alone, and told in findings."""
    sequence, now, epoch, before, ledger = 1, 0, 1, b"", b""
    for number, (path, raw, last) in enumerate(segments(folder), 1):
        where = f"Frame {sequence} ({path.name}, its segment's header) is wrong: "
        if not sealed(raw[:4096], b"SYCEESEG"):
            if not last or number == 1 or any(raw[4096:]): raise Wrong(f"{where}the header is damaged.")
            findings.append(f"{path.name} has neither a sound header nor a frame; a start asks what to do.")
            return
        form, size, owner, numbered, era, first, digest = struct.unpack("<8xH2xI16sQI4xQ32s", raw[:88])
        before, ledger = before or blake3(owner).digest(), ledger or owner
        if form > 1: raise Wrong(f"{where}a newer release wrote it; use that release's checker.")
        found = (form, size, size % 4096, owner, numbered, first, digest)
        if found != (1, len(raw), 0, ledger, number, sequence, before) or era < epoch:
            raise Wrong(f"{where}the header does not continue the segment before.")
        epoch, at = era, 4096
        while at < size and (any(raw[at : at + 4096]) or raw.count(0, at) < size - at):
            where = f"Frame {sequence} ({path.name}, byte {at}) is wrong: "
            frame = read_frame(memoryview(raw)[at:], (sequence, before, epoch), now, last, where, findings)
            if frame is None: return
            yield frame[0]
            before = blake3(raw[at : at + frame[1]]).digest()
            sequence, now, at = sequence + 1, frame[0].now, at + frame[1]

def read_frame(
        raw: memoryview, expected: tuple[int, bytes, int], now: int, last: bool, where: str, findings: list[str],
) -> tuple[Frame, int] | None:
    """The frame at the start of these bytes, and its length; None if it was never finished."""
    header, sequence = bytes(raw[:512]), expected[0]
    sound = sealed(header, b"SYCEEFRM")
    form, kind, length, number, time, acked, records, envelopes, epoch, entries, before, movement_digest, body = (
        struct.unpack("<8xHHIQqQIIIH2x32s32s16s", header[:136]))
    if sound:
        if form > 1 or not 1 <= kind <= 3: raise Wrong(f"{where}a newer release wrote it; use that release's checker.")
        end = 512 + 128 * records + envelopes
        if (number, before, epoch) != expected or time <= now or acked >= number:
            raise Wrong(f"{where}its header does not continue the frame before.")
        possible = (records > 0) == (kind == 1) and records <= 8064 and entries <= 16 and envelopes % 104 == 0
        fits = length == -(-(end + 64) // 4096) * 4096 and length <= min(len(raw), 1 << 20)
        if not possible or not fits or (envelopes and not records): raise Wrong(f"{where}its counts cannot be.")
        trailer = b"SYCEEEND" + struct.pack("<QI4x16s16x", number, length, body)
        trailer += xxh3_64_digest(trailer + bytes(8))
        whole_body = xxh3_128_digest(raw[512 : length - 64]) == body
        whole_trailer = raw[length - 64 : length] == trailer
        if whole_body and any(raw[end : length - 64]): raise Wrong(f"{where}its padding is not zero.")
        if whole_body and (whole_trailer or (last and not followed(raw, sequence))):
            if not whole_trailer: findings.append(f"Frame {sequence} is whole, its trailer is not; a start mends it.")
            calendar = {code: days for code, *days in struct.iter_unpack("<H2xiii", header[136 : 136 + 16 * entries])}
            pieces = [bytes(raw[at : at + 128]) for at in range(512, 512 + 128 * records, 128)]
            return Frame(sequence, time, calendar, pieces, movement_digest), length
        torn = not any(raw[length - 64 : length])
    else:
        ends = [bytes(raw[at - 64 : at]) for at in range(4096, min(len(raw), 1 << 20) + 1, 4096)]
        ends = [end for end in ends if end[:8] == b"SYCEEEND"]
        torn = all(sealed(end, b"SYCEEEND") and whole(end[8:16]) != sequence for end in ends)
    follower = not last or followed(raw, sequence)
    if follower or not torn:
        ending = "and later ones follow it" if follower else "but it may have been acknowledged"
        raise Wrong(f"{where}its {'body or trailer' if sound else 'header'} is damaged, {ending}.")
    findings.append(f"Frame {sequence} was never finished, so nobody was told of it; a start cuts it.")
    return None

Checked = namedtuple("Checked", "frames operations accounts movements supply state_digest movement_digest findings")

def check(folder: Path | str, per_frame: Callable[[int, bytes, bytes], object] | None = None) -> Checked:
    """Read and recompute a ledger's journal; `per_frame` gets each frame's sequence, movement and state digest.

    Supply is in minor units, by currency number. Raises Wrong, with a sentence that names the frame.
    """
    ledger, count = Ledger(), 0
    findings: list[str] = []
    for frame in frames(Path(folder), findings):
        count = frame.sequence
        if frame.movement_digest != ledger.movement_digest:
            raise Wrong(f"Frame {count} is wrong, or one before it: by its header the movements so far have the digest "
                        f"{frame.movement_digest.hex()}, and they come to {ledger.movement_digest.hex()}.")
        try: ledger.frame(*frame[:4])
        except struct.error as error: raise Wrong(f"Frame {count} is wrong: amounts do not fit: {error}.") from None
        if per_frame: per_frame(count, ledger.movement_digest, ledger.digest())
    for fault in ledger.faults(): raise Wrong(f"After frame {count}, {fault}.")
    return Checked(count, ledger.operations, len(ledger.accounts), ledger.moved, ledger.supply(), ledger.digest(),
                   ledger.movement_digest, findings)

def main(arguments: list[str] | None = None) -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(description="Work out again everything that a ledger's journal says.")
    parser.add_argument("folder", metavar="FOLDER", help="the ledger's folder, the one that holds `journal`")
    parser.add_argument("--per-frame", action="store_true", help="a line per frame: sequence, both digests")
    options = parser.parse_args(arguments)
    def line(sequence: int, movements: bytes, state: bytes) -> None:
        sys.stdout.write(f"{sequence} {movements.hex()} {state.hex()}\n")
    try: checked = check(options.folder, line if options.per_frame else None)
    except (Wrong, OSError) as wrong:
        sys.stdout.write(f"{wrong}\n")
        return 3
    rows = [(name, getattr(checked, name)) for name in ("frames", "operations", "accounts", "movements")]
    rows += [(f"supply of currency {number:03}", amount) for number, amount in checked.supply.items()]
    rows += [("movement digest", checked.movement_digest.hex()), ("state digest", checked.state_digest.hex())]
    lines = [f"{name:<24}{value}" for name, value in rows] + checked.findings
    sys.stdout.write("\n".join(lines) + "\n")
    return 0

if __name__ == "__main__": sys.exit(main())

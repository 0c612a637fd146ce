"""Options of commands that write QR codes of merchants and requests as pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from cyclopts import Parameter

from sycee.core.output_files import write_file

PngFile: TypeAlias = Annotated[Path | None, Parameter(help="Write the QR code to this PNG file.")]
SvgFile: TypeAlias = Annotated[Path | None, Parameter(help="Write the QR code to this SVG file.")]


def write_code(text: str, png: Path | None, svg: Path | None) -> None:
    """Write the pictures of a text that were asked for."""
    from sycee.wallets import emv_qr

    if png is not None:
        write_file(png, emv_qr.png(text))
    if svg is not None:
        write_file(svg, emv_qr.svg(text))

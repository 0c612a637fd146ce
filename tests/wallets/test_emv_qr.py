"""QR codes: the text is that of EMVCo, every text comes back as it was, and a scanner reads the pictures."""

from __future__ import annotations

import io

import pytest
import zxingcpp
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from sycee.core.errors import UsageError
from sycee.wallets import emv_qr
from sycee.wallets.emv_qr import Payload

pytestmark = pytest.mark.fast

SHOP = Payload("org.sycee", 0x0193AB, "CNY", "CN", name="Tea house", city="Suzhou")
LABELS = st.text("ABCxyz019._/-", max_size=25)
NAMES = st.text(st.characters(codec="utf-8", categories=["L", "Nd"]), min_size=1, max_size=15)
QR_CODE = zxingcpp.BarcodeFormat.QRCode  # a picture may happen to have another kind of code as well


def test_the_crc_is_that_of_the_standard() -> None:
    assert emv_qr.crc("123456789") == "29B1"


def test_a_static_code_names_the_account_and_no_amount() -> None:
    text = emv_qr.encode(SHOP)
    assert text.startswith("000201" + "010211" + "2649" + "0009org.sycee" + "0132" + f"{0x0193AB:032x}")
    assert "5303156" in text
    assert text[-8:-4] == "6304"
    assert emv_qr.parse(text) == SHOP


def test_a_dynamic_code_has_request_amount_order_and_till() -> None:
    payload = Payload("org.sycee", 7, "CNY", "CN", "Tea house", "Suzhou", 9, 12_50, "17", "MAIN/T1", "5814")
    text = emv_qr.encode(payload)
    assert "010212" in text
    assert "540512.50" in text
    assert "6217" + "050217" + "0707MAIN/T1" in text
    assert emv_qr.parse(text) == payload


@given(
    st.builds(
        Payload,
        domain=st.sampled_from(["org.sycee", "cn.example.pay"]),
        account=st.integers(1, 2**128 - 1),
        currency=st.sampled_from(["CNY", "JPY", "KWD", "EUR"]),
        country=st.sampled_from(["CN", "DE"]),
        name=NAMES,
        city=NAMES,
        request=st.integers(0, 2**128 - 1),
        minor=st.integers(0, 10**12),
        order=LABELS,
        till=LABELS,
        category=st.from_regex(r"[0-9]{4}", fullmatch=True),
    )
)
def test_what_is_encoded_is_parsed(payload: Payload) -> None:
    assert emv_qr.parse(emv_qr.encode(payload)) == payload


@given(st.integers(0, 200), st.sampled_from("0A9~"))
def test_a_changed_character_is_found(at: int, other: str) -> None:
    text = emv_qr.encode(SHOP)
    at %= len(text)
    changed = text[:at] + other + text[at + 1 :]
    if changed != text:
        with pytest.raises(UsageError):
            emv_qr.parse(changed)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"domain": "nodots"}, "domain"),
        ({"country": "cn"}, "country"),
        ({"name": "a name that is far too long"}, "name"),
        ({"order": "17 and more"}, "order"),
        ({"category": "58"}, "category"),
        ({"minor": -1}, "amount"),
    ],
)
def test_wrong_values_are_refused_by_name(change: dict[str, object], problem: str) -> None:
    values = {name: getattr(SHOP, name) for name in Payload.__slots__} | change
    with pytest.raises(UsageError, match=f"the {problem} of the QR code"):
        emv_qr.encode(Payload(**values))


def test_a_scanner_reads_the_png() -> None:
    text = emv_qr.encode(SHOP)
    (found,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(emv_qr.png(text))).convert("L"), formats=QR_CODE)
    assert found.text == text
    assert emv_qr.parse(found.text) == SHOP


def test_a_scanner_reads_the_svg() -> None:
    """The SVG is drawn here: each `h` of its one path is a run of dark modules."""
    text = emv_qr.encode(SHOP)
    (found,) = zxingcpp.read_barcodes(drawn(emv_qr.svg(text).decode()), formats=QR_CODE)
    assert found.text == text


def drawn(svg: str) -> Image.Image:
    import re

    width = int(re.search(r'width="(\d+)"', svg)[1])
    scale = int(re.search(r"scale\((\d+)\)", svg)[1])
    image = Image.new("L", (width, width), 255)
    pixels = image.load()
    x = y = 0.0
    (path,) = re.findall(r' d="([^"]+)"', svg)
    for command, numbers in re.findall(r"([MmhHvV])([^MmhHvV]*)", path):
        values = [float(each) for each in re.findall(r"-?\d*\.?\d+", numbers)]
        if command in "Mm":
            x, y = (values[0], values[1]) if command == "M" else (x + values[0], y + values[1])
            continue
        for step in range(int(values[0] * scale)):
            for row in range(scale):
                pixels[int(x * scale) + step, int((y - 0.5) * scale) + row] = 0
        x += values[0]
    return image

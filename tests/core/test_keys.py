from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from sycee.core import keys
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.keys import PublicKey, SigningKey
from sycee.core.records.layout import KeyFlag

pytestmark = pytest.mark.fast

# RFC 8032, section 7.1, test 2.
RFC_8032_KEY = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
RFC_8032_SIGNATURE = bytes.fromhex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
    "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
)
# RFC 6979, appendix A.2.5: P-256, SHA-256, "sample"; the point's y is odd.
RFC_6979_SCALAR = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
RFC_6979_X = "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6"
RFC_6979_SIGNATURE = (
    "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
    "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
)


def some_key(algorithm: str, seed: int = 1) -> SigningKey:
    return SigningKey.derive(bytes([seed]) * 32, algorithm)


def test_the_flags_equal_those_of_the_ledger() -> None:
    assert (keys.ED25519, keys.P256, keys.Y_ODD) == (KeyFlag.ED25519, KeyFlag.P256, KeyFlag.Y_ODD)


def test_ed25519_agrees_with_rfc_8032() -> None:
    public = PublicKey(keys.ED25519, RFC_8032_KEY)
    assert public.verifies(RFC_8032_SIGNATURE, b"\x72")
    assert not public.verifies(RFC_8032_SIGNATURE, b"\x73")


def test_p256_agrees_with_rfc_6979() -> None:
    key = SigningKey(ec.derive_private_key(RFC_6979_SCALAR, ec.SECP256R1()))
    assert key.public == PublicKey(keys.P256 | keys.Y_ODD, bytes.fromhex(RFC_6979_X))
    assert key.sign(b"sample").hex() == RFC_6979_SIGNATURE
    assert key.public.verifies(bytes.fromhex(RFC_6979_SIGNATURE), b"sample")


def test_a_signature_with_a_high_s_is_valid() -> None:
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    key = some_key("p256")
    signature = key.sign(b"m")
    other_s = (order - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    assert key.public.verifies(signature[:32] + other_s, b"m")


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_signatures_are_64_bytes_and_valid_for_one_message_and_one_key(algorithm: str) -> None:
    key, other = SigningKey.generate(algorithm), SigningKey.generate(algorithm)
    signature = key.sign(b"message")
    assert len(signature) == keys.SIGNATURE_BYTES
    assert len(key.public.key) == 32
    assert key.public.verifies(signature, b"message")
    assert not key.public.verifies(signature, b"messagf")
    assert not other.public.verifies(signature, b"message")
    for place in (0, 31, 32, 63):
        damaged = bytearray(signature)
        damaged[place] ^= 1
        assert not key.public.verifies(bytes(damaged), b"message")
    assert not key.public.verifies(signature[:-1], b"message")
    assert not key.public.verifies(bytes(64), b"message")
    assert not key.public.verifies(b"\xff" * 64, b"message")


@pytest.mark.parametrize(
    "point",
    [  # of order 1, 2, 4 and 8, as RFC 8032 encodes them
        "01" + 31 * "00",
        "ec" + 30 * "ff" + "7f",
        32 * "00",
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    ],
)
def test_a_key_of_small_order_verifies_no_message(point: str) -> None:
    """Such keys verify signatures that nobody made, because the message counts modulo their order."""
    messages = [number.to_bytes(8, "big") for number in range(64)]
    library = ed25519.Ed25519PublicKey.from_public_bytes(bytes.fromhex(point))
    signature = bytes.fromhex("01" + 31 * "00") + bytes(32)  # the neutral point and zero
    forged = [message for message in messages if _accepts(library, signature, message)]
    assert forged, "OpenSSL accepts the signature for some messages, so the test can fail"
    public = PublicKey(keys.ED25519, bytes.fromhex(point))
    assert not any(public.verifies(signature, message) for message in messages)


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511), st.booleans())
def test_two_libraries_agree_on_valid_and_on_damaged_signatures(
    seed: bytes, message: bytes, bit: int, damaged: bool
) -> None:
    key = SigningKey.derive(seed)
    signature = bytearray(key.sign(message))
    signature[bit // 8] ^= damaged << bit % 8
    library = ed25519.Ed25519PublicKey.from_public_bytes(key.public.key)
    assert key.public.verifies(bytes(signature), message) is _accepts(library, bytes(signature), message)
    assert _accepts(library, bytes(signature), message) is not damaged


def _accepts(library: ed25519.Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    try:
        library.verify(signature, message)
    except InvalidSignature:
        return False
    return True


@pytest.mark.parametrize("flags", [0, 3, 4, 5, 7, 8, keys.P256, keys.P256 | keys.Y_ODD])
def test_an_invalid_key_verifies_nothing(flags: int) -> None:
    # 32 bytes of 0xff exceed the field of P-256, so they are not a point; only three values of the flags are valid.
    assert not PublicKey(flags, b"\xff" * 32).verifies(bytes(64), b"message")
    assert not PublicKey(flags, b"short").verifies(bytes(64), b"message")


def test_p256_keys_with_even_and_odd_y_are_distinguished() -> None:
    seen = set()
    for seed in range(1, 9):
        key = some_key("p256", seed)
        seen.add(key.public.flags)
        wrong = PublicKey(key.public.flags ^ keys.Y_ODD, key.public.key)
        assert not wrong.verifies(key.sign(b"m"), b"m")
    assert seen == {keys.P256, keys.P256 | keys.Y_ODD}


@pytest.mark.parametrize(
    ("algorithm", "public"),
    [
        ("ed25519", "ed25519:3920d3265e53609e49c813e87d2cb363fc3c1e57a4bb6d539e30e79ad2078ae3"),
        ("p256", "p256-odd:12406eb1dcd06a24863027d2d90f17492ded44d980f87ac224e52bcb9754265f"),
    ],
)
def test_derived_keys_have_the_recorded_values_and_are_marked_synthetic(algorithm: str, public: str) -> None:
    key = some_key(algorithm)
    assert str(key.public) == public
    assert key.synthetic
    assert "synthetic" in repr(key)
    assert key.sign(b"m") == some_key(algorithm).sign(b"m")
    assert key.public != some_key(algorithm, 2).public
    assert not SigningKey.generate(algorithm).synthetic


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
@pytest.mark.parametrize("synthetic", [False, True])
def test_a_saved_key_is_readable_by_its_owner_only_and_loads_again(
    tmp_path: Path, algorithm: str, synthetic: bool
) -> None:
    key = some_key(algorithm) if synthetic else SigningKey.generate(algorithm)
    path = tmp_path / "key.pem"
    before = os.umask(0)
    try:
        key.save(path)
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    again = SigningKey.load(path)
    assert again.public == key.public
    assert again.synthetic is synthetic
    assert key.public.verifies(again.sign(b"m"), b"m")
    assert (b"Synthetic" in path.read_bytes()) is synthetic


def test_a_key_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    some_key("ed25519").save(path)
    content = path.read_bytes()
    with pytest.raises(UsageError, match="already exists"):
        some_key("ed25519", 2).save(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_key_file_that_others_can_use_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "key.pem"
    some_key("p256").save(path)
    path.chmod(mode)
    with pytest.raises(UsageError, match=f"mode {mode:o}") as caught:
        SigningKey.load(path)
    assert "chmod 600" in (caught.value.hint or "")


def pem(
    private: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes = b""
) -> bytes:
    lock = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "contains no usable private key"),
        (b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "contains no usable private key"),
        (pem(ed25519.Ed25519PrivateKey.generate(), b"secret"), "contains no usable private key"),
        (pem(ec.generate_private_key(ec.SECP384R1())), "of another kind"),
        (pem(rsa.generate_private_key(65537, 2048)), "of another kind"),
    ],
    ids=["empty", "broken", "locked", "other curve", "other algorithm"],
)
def test_a_file_without_a_usable_key_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(UsageError, match=says) as caught:
        SigningKey.load(path)
    assert str(path) in caught.value.message
    assert caught.value.hint


def test_missing_and_unwritable_key_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        SigningKey.load(tmp_path / "none.pem")
    with pytest.raises(UsageError, match="is not a regular file"):
        SigningKey.load(tmp_path)
    with pytest.raises(UsageError, match="its folder does not exist") as caught:
        some_key("ed25519").save(tmp_path / "no folder" / "key.pem")
    assert "mkdir -p" in (caught.value.hint or "")
    with pytest.raises(UnavailableError, match="cannot be written") as unavailable:
        some_key("ed25519").save(Path("/proc/key.pem"))
    assert unavailable.value.hint


def test_a_key_file_that_this_user_may_not_read_is_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    some_key("ed25519").save(path)
    path.chmod(0)
    user = os.geteuid()
    if user == 0:  # permissions do not bind root
        os.seteuid(65_534)
    try:
        with pytest.raises(UnavailableError, match="permission denied") as caught:
            SigningKey.load(path)
    finally:
        os.seteuid(user)
    assert "owner" in (caught.value.hint or "")


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_public_key_is_read_back_from_its_text(algorithm: str) -> None:
    public = some_key(algorithm).public
    assert PublicKey.parse(f" {public}\n") == public


@pytest.mark.parametrize(
    "text", ["", "ed25519", "ed25519:00", "rsa:" + "00" * 32, "ed25519:" + "zz" * 32, "p256-odd:" + "ff" * 32]
)
def test_an_invalid_text_of_a_public_key_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a public key") as caught:
        PublicKey.parse(text)
    assert "looks like" in (caught.value.hint or "")


@pytest.mark.parametrize("algorithm", keys.ALGORITHMS)
def test_a_private_key_given_as_a_public_key_is_not_shown(tmp_path: Path, algorithm: str) -> None:
    path = tmp_path / "key.pem"
    some_key(algorithm).save(path)
    content = path.read_text()
    secret = max(content.splitlines(), key=len)
    for text in (content, secret, f"ed25519:{secret}", f"ed25519:{secret[:64].ljust(64, 'z')}"):
        with pytest.raises(UsageError) as caught:
            PublicKey.parse(text)
        assert secret[:12] not in caught.value.message + (caught.value.hint or "")
    with pytest.raises(UsageError, match="this is the private key"):
        PublicKey.parse(content)


def test_algorithms_and_seeds_are_checked() -> None:
    with pytest.raises(UsageError, match="is no algorithm"):
        SigningKey.generate("rsa")
    with pytest.raises(UsageError, match="is no algorithm"):
        SigningKey.derive(bytes(32), "rsa")
    with pytest.raises(UsageError, match="not 31"):
        SigningKey.derive(bytes(31))

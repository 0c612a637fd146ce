"""Message, hint and traceback of an uncaught error."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import traceback

import pytest

from sycee.core.errors import IntegrityError, Refused, UsageError, require
from sycee.core.result_codes import Result

pytestmark = pytest.mark.fast


def test_an_uncaught_error_shows_its_hint_once() -> None:
    code = "from sycee.core.errors import UsageError; raise UsageError('no such day', hint='name a day')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.endswith("sycee.core.errors.UsageError: no such day\nhint: name a day\n")


def test_an_error_without_a_hint_shows_none() -> None:
    shown = "".join(traceback.format_exception(UsageError("no such day")))
    assert shown.endswith("UsageError: no such day\n")


def test_message_and_hint_stay_apart_and_survive_a_copy() -> None:
    error = UsageError("no such day", hint="name a day")
    for each in (error, copy.copy(error), pickle.loads(pickle.dumps(error))):  # noqa: S301 - our own bytes
        assert (str(each), each.message, each.hint) == ("no such day", "no such day", "name a day")
        assert each.__notes__ == ["hint: name a day"]
    assert str(Refused("not opened", Result.ACCOUNT_EXISTS)) == "not opened: ACCOUNT_EXISTS"


def test_require_raises_unless_the_condition_is_true() -> None:
    require(1, "not raised")
    with pytest.raises(IntegrityError, match="the digests differ"):
        require((), "the digests differ")

"""Settings of a bank, each from the first source that has it: an option, the environment, `sycee.toml`, a default.

No setting is a secret: keys and passwords are files, and their paths are settings. Loading fails if another user can
write the settings or a file that they name, or can read the file of a secret. A relative path in `sycee.toml` counts
from the data folder; a path in an option or in the environment counts from the folder in which the command runs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sycee.bank.folder import DataFolder
from sycee.core import documents, money, typos
from sycee.core.errors import UnavailableError, UsageError
from sycee.core.marks import INVENTED_PEOPLE, MARK
from sycee.core.money import Currency
from sycee.core.output_files import write_file
from sycee.core.secret_files import require_own
from sycee.core.time_zones import zone_info
from sycee.database.engines import require_no_password

DEFAULT: Final = "default"
OPTION: Final = "option"
PREFIX: Final = "SYCEE_"  # of environment variables

_TIME: Final = re.compile(r"([01]\d|2[0-4]):[0-5]\d")
_PROPOSAL_HOURS: Final = re.compile(r"[1-9]|[1-6]\d|7[0-2]")
_PHONE_PREFIX: Final = re.compile(r"(\+[1-9]\d{0,3})?")
_COUNTRY: Final = re.compile(r"([A-Z]{2})?")
_AMOUNT: Final = re.compile(r"(\d{1,15}(\.\d{1,4})?)?")
_BOOLEAN: Final = re.compile(r"true|false")
_ANY: Final = re.compile(r".*")
_ADDRESS: Final = re.compile(r"(\[[0-9a-fA-F:]+\]|[^:/]+):\d{1,5}|unix:.+")
_ORIGIN: Final = re.compile(r"https?://[^/]+")
_GATEWAY: Final = re.compile(r"(https?://[^\s/?#@]+([/?][^\s#]*)?)?")
_NUMBER: Final = re.compile(r"\d{1,12}")
_HOURS: Final = re.compile(r"\d|[1-9]\d|[1-6]\d\d|7[01]\d|720")
_SOMETHING: Final = re.compile(r".+")


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. `default` None: required. `form`: of its text; `right` describes it.

    `file`: what the file that the setting names is called in errors, "" for none. `is_secret`: no other user may read
    that file; the others are settings themselves, and no other user may write them.
    """

    default: str | None
    meaning: str
    form: re.Pattern[str] = _ANY
    right: str = "a text"
    file: str = ""
    is_secret: bool = False


SETTINGS: Final[dict[str, Setting]] = {
    "currency": Setting(None, "the currency of all money, by its ISO 4217 code", _SOMETHING, "a code such as CNY"),
    "zone": Setting(None, "the time zone whose midnight ends a day", _SOMETHING, "a name such as Asia/Shanghai"),
    "preset": Setting(
        None,
        "the wallet classes and their limits",
        _SOMETHING,
        "a name such as ecny-2021",
        file="file of wallet classes",
    ),
    "database": Setting("", "the SQL database: a file or a PostgreSQL URL; empty for `sycee.db` in the data folder"),
    "database_password_file": Setting(
        "",
        "the file with the password of the PostgreSQL user; empty: by PostgreSQL's own means",
        file="password file",
        is_secret=True,
    ),
    "master_key": Setting(
        None, "the file of the master key of personal data", _SOMETHING, "a path", file="master key", is_secret=True
    ),
    "key_store": Setting(
        "people.keys",
        "the file of the per-person secrets",
        _SOMETHING,
        "a path",
        file="key file of persons",
        is_secret=True,
    ),
    "key_backup": Setting(None, "the folder with the backup of the per-person secrets", _SOMETHING, "a path"),
    "retention": Setting(
        None,
        "the rules for how long personal data is kept",
        _SOMETHING,
        "a name such as eu-2015",
        file="file of retention rules",
    ),
    "case_rules": Setting(
        "eu-2015",
        "the kinds of cases, their steps and deadlines",
        _SOMETHING,
        "a name such as eu-2015",
        file="file of case rules",
    ),
    "calendar": Setting(
        "weekends", "the calendar of business days", _SOMETHING, "a name such as weekends", file="calendar"
    ),
    "cutoff": Setting("23:00", "the local time at which the business day ends", _TIME, "a time such as 23:00"),
    "compliance": Setting(
        "true",
        "whether wallets need an operator that compliance admitted, and payments of the clearing house across a border "
        "its permit",
        _BOOLEAN,
        "true or false",
    ),
    "proposal_hours": Setting("8", "hours in which a proposal must be signed", _PROPOSAL_HOURS, "1 to 72"),
    "exposure_max": Setting(
        "", "the largest sum of unspent packets and vouchers; empty: no maximum", _AMOUNT, "an amount or nothing"
    ),
    "phone_prefix": Setting("", "country prefix of phones without one", _PHONE_PREFIX, "a prefix such as +86"),
    "qr_domain": Setting("org.sycee", "reverse domain in QR codes", _SOMETHING, "a reverse domain such as org.sycee"),
    "country": Setting("", "ISO 3166 code of the country in QR codes", _COUNTRY, "two capital letters"),
    "city": Setting("", "city of merchants in QR codes"),
    "rehearsal": Setting("false", "whether the bank has its own clock", _BOOLEAN, "true or false"),
    INVENTED_PEOPLE: Setting(
        "false", "whether all people are invented, which every page, table and export says", _BOOLEAN, "true or false"
    ),
    "http_address": Setting("127.0.0.1:8420", "where `sycee serve` listens", _ADDRESS, "HOST:PORT, or unix:PATH"),
    "http_origin": Setting(
        "http://localhost:8420", "the address that callers use, as tokens and passkeys name it", _ORIGIN, "https://HOST"
    ),
    "http_metrics": Setting("127.0.0.0/8, ::1/128", "networks whose machines may read /metrics; empty: none"),
    "http_traces": Setting(
        "",
        "the OTLP collector to which traces are sent; empty: none",
        re.compile(r"(https?://.+)?"),
        "an address such as http://localhost:4318/v1/traces",
    ),
    "http_log": Setting(
        "requests",
        "what `sycee serve` logs: all requests but signed payments, or failures only",
        re.compile("requests|failures"),
        "requests or failures",
    ),
    "http_notice": Setting("", "a sentence at the top of every page, such as: this is a pilot; empty: none"),
    "http_drain_seconds": Setting(
        "0",
        "seconds in which /readyz is answered 503 before a stopping server accepts no connection",
        _NUMBER,
        "seconds",
    ),
    "http_passkey_domain": Setting(
        "", "the domain for which passkeys are valid: the host of http_origin or a parent of it; empty: the host"
    ),
    "http_openid": Setting(
        "", "the TOML file with the OpenID providers for logins; empty: none", file="file of OpenID providers"
    ),
    "http_key": Setting(
        "keys/server.key", "the key that signs webhooks", _SOMETHING, "a path", file="key of webhooks", is_secret=True
    ),
    "http_certificate": Setting("", "the file with the TLS certificate chain; empty: no TLS", file="TLS certificate"),
    "http_certificate_key": Setting(
        "", "the file with the private key of the certificate", file="TLS key", is_secret=True
    ),
    "http_body_bytes": Setting("1048576", "the largest body of a request", _NUMBER, "bytes"),
    "http_requests_per_minute": Setting("6000", "requests of one sender in a minute", _NUMBER, "a number"),
    "http_payments_per_minute": Setting("600000", "signed payments of one address in a minute", _NUMBER, "a number"),
    "http_failures_per_minute": Setting(
        "60", "invalid signatures, tokens and logins of one sender in a minute", _NUMBER, "a number"
    ),
    "login_masked_hours": Setting(
        "24", "hours in which a new login that staff invited shows personal data masked only", _HOURS, "0 to 720"
    ),
    "login_recovery_hours": Setting(
        "24", "hours from the approval of a recovery until its code for a login works", _HOURS, "0 to 720"
    ),
    "http_webhook_networks": Setting(
        "", "networks besides the public internet to which webhooks may be sent, such as 10.1.0.0/16; empty: none"
    ),
    "backup_folder": Setting(
        "", "the folder to which `POST /v1/backups` writes, outside of the data folder; empty: no backups over HTTP"
    ),
    "backup_key": Setting("", "the file of the key that encrypts backups over HTTP", file="backup key", is_secret=True),
    "message_program": Setting(
        "", "the program to which `sycee serve` passes codes and notices; empty: none", file="message program"
    ),
    "message_gateway": Setting(
        "",
        "the address to which `sycee serve` posts codes and notices, signed; empty: none",
        _GATEWAY,
        "an address such as https://HOST/PATH, without user and fragment",
    ),
    "message_folder": Setting(
        "", "the folder in which a rehearsal or a demo leaves codes and notices, one file each; empty: none"
    ),
    "bulk_approval_minor": Setting(
        "10000000",
        "the sum of a bulk file, in minor units, above which two persons approve it before its first row is paid",
        _NUMBER,
        "minor units",
    ),
    "signature_workers": Setting("1", "processes that verify signatures; 0: the server's own", _NUMBER, "0 or more"),
}
# Never changed after the founding.
FIXED: Final = frozenset({"currency", "zone", "preset", "rehearsal", INVENTED_PEOPLE})
# Ways in which messages reach phones: at most one.
DELIVERIES: Final = ("message_program", "message_gateway", "message_folder")


@dataclass(frozen=True, slots=True)
class Value:
    """The text of a setting, and its source: "option", "SYCEE_…", the path of the file, or "default"."""

    text: str
    source: str


class Config:
    """The settings of one data folder."""

    def __init__(self, folder: DataFolder, values: Mapping[str, Value]) -> None:
        self.folder = folder
        self.values = dict(values)

    @classmethod
    def planned(cls, folder: DataFolder, texts: Mapping[str, str]) -> Config:
        """Return the settings that `write` will store. Raises UsageError for a wrong name, value or mode of a file."""
        _check_names(texts, "there is no setting")
        values = {name: Value(each.default, DEFAULT) for name, each in SETTINGS.items() if each.default is not None}
        for name, text in texts.items():
            check(name, text, name)
            values[name] = Value(text, str(folder.settings))
        _check_delivery(values)
        planned = cls(folder, values)
        planned._require_own_files()
        return planned

    @classmethod
    def load(
        cls,
        folder: DataFolder,
        options: Mapping[str, str] | None = None,
        environment: Mapping[str, str] = os.environ,
        *,
        without: Container[str] = (),
    ) -> Config:
        """Return the settings of a bank. `without`: optional settings whose value in the file does not count.

        Raises UsageError for a folder without a bank, an unknown setting, a value that a setting cannot have, and files
        that another user can write, or read if they are secret; an error in the file names its line.
        """
        folder.require_bank()
        require_own(folder.settings, what="settings file", is_secret=False)
        options = options or {}
        _check_names(options, "there is no setting")
        named = {each: each.removeprefix(PREFIX).lower() for each in environment if each.startswith(PREFIX)}
        _check_names(named.values(), f"the environment variable {PREFIX}… names no setting:")
        table = documents.read(folder.settings)
        values: dict[str, Value] = {}
        for name, setting in SETTINGS.items():
            variable = PREFIX + name.upper()
            stored = _stored(table, name, setting)
            if name in without:
                stored = setting.default
            elif stored is not None:
                require_no_password(stored, f"{name} from {folder.settings}")
            if name in options and name not in FIXED:
                values[name] = Value(options[name], OPTION)
            elif variable in environment and name not in FIXED:
                values[name] = Value(environment[variable], variable)
            elif stored is not None:
                values[name] = Value(stored, str(folder.settings))
            elif setting.default is not None:
                values[name] = Value(setting.default, DEFAULT)
            else:
                raise table.error(None, f"the setting {name} is missing", right=f'add {name} = "…": {setting.right}')
            check(name, values[name].text, f"{name} from {values[name].source}")
        table.finish()
        _check_delivery(values)
        loaded = cls(folder, values)
        loaded._require_own_files()
        return loaded

    def text(self, name: str) -> str:
        """Return the text of a setting."""
        return self.values[name].text

    def flag(self, name: str) -> bool:
        """Return whether a setting is true."""
        return self.text(name) == "true"

    @property
    def mark(self) -> str:
        """The first line of every page, table and export; "" for a bank whose people are not invented."""
        return MARK if self.flag(INVENTED_PEOPLE) else ""

    @property
    def notice(self) -> str:
        """The sentence at the top of every page of the server: the mark and `http_notice`."""
        return ": ".join(each for each in (self.mark, self.text("http_notice")) if each)

    def minor(self, name: str) -> int:
        """Return the amount of a setting in minor units of the currency; 0 for an empty one."""
        return money.parse(self.text(name), self.currency) if self.text(name) else 0

    def path(self, name: str) -> Path:
        """Return the path that a setting names."""
        value = self.values[name]
        from_folder = value.source == DEFAULT or value.source == str(self.folder.settings)
        return Path(os.path.normpath(self.folder.path / value.text)) if from_folder else Path(value.text)

    def shown(self, name: str) -> str:
        """Return a setting for display: its text, or the location of the database."""
        return self.database if name == "database" else self.text(name)

    def _require_own_files(self) -> None:
        """Raise UsageError if another user can write a file that the settings name, or read a secret."""
        for name, setting in SETTINGS.items():
            if setting.file and self.text(name):  # no file has the name of a shipped definition
                require_own(self.path(name), what=setting.file, is_secret=setting.is_secret)
        for path in sorted(self.folder.keys.glob("*.pem")):
            require_own(path, what="key file", is_secret=True)
        with suppress(UnavailableError):  # its disk need not be reachable
            backup = self.path("key_backup") / self.folder.people_keys.name
            require_own(backup, what="backup of the key file", is_secret=True)

    def definition(self, name: str) -> Path | str:
        """Return the path of a TOML file that a setting names, or the name of a shipped definition."""
        return self.path(name) if is_path(self.text(name)) else self.text(name)

    @property
    def currency(self) -> Currency:
        """The currency of all money."""
        return money.currency(self.text("currency"))

    @property
    def database(self) -> str:
        """The location of the database, for `sycee.database.engines.engine`."""
        text = self.text("database")
        if not text:
            return str(self.folder.database)
        return text if "://" in text else str(self.path("database"))

    @property
    def delivery(self) -> str | None:
        """The name of the setting that says how messages reach phones; None: they wait."""
        return next((name for name in DELIVERIES if self.text(name)), None)

    @property
    def password_file(self) -> Path | None:
        """The file of the database's password, None for PostgreSQL's own means."""
        return self.path("database_password_file") if self.text("database_password_file") else None

    @property
    def proposal_hours(self) -> int:
        """Hours in which a proposal must be signed."""
        return int(self.text("proposal_hours"))


def is_path(text: str) -> bool:
    """Return whether a text names a file, as `sycee.data.file` decides, rather than a shipped definition."""
    return "/" in text or text.endswith(".toml")


def check(name: str, text: str, what: str) -> None:
    """Raise UsageError unless a setting can have this text."""
    setting = SETTINGS[name]
    require_no_password(text, what)
    if not setting.form.fullmatch(text) or (name == "cutoff" and text > "24:00"):
        raise UsageError(f"{what}: {text!r} is not {setting.right}", hint=f"{name}: {setting.meaning}")
    if name == "currency":
        money.currency(text)
    if name == "zone":
        zone_info(text)


def write(folder: DataFolder, values: Mapping[str, str]) -> None:
    """Write `sycee.toml` with these settings, of `Config.planned`, durably, without delay."""
    lines = ["# Settings of this bank: docs/reference/data-folder.md. No secret belongs in this file.\n"]
    for name, setting in SETTINGS.items():
        if name not in values:
            continue
        text = values[name]
        bare = setting.form in (_BOOLEAN, _PROPOSAL_HOURS)
        lines.append(f"{name} = {text if bare else _quoted(text)}\n")
    write_file(folder.settings, "".join(lines).encode(), mode=0o600)


def _stored(table: documents.Table, name: str, setting: Setting) -> str | None:
    table.offer(name)
    if name not in table:
        return None
    if setting.form is _BOOLEAN:
        return "true" if table.boolean(name) else "false"
    if setting.form is _PROPOSAL_HOURS:
        return str(table.integer(name, least=1, most=72))
    return table.text(name)


def _check_delivery(values: Mapping[str, Value]) -> None:
    """Raise UsageError for two ways to deliver messages, and for a folder of them in a bank of real people."""
    named = [name for name in DELIVERIES if name in values and values[name].text]
    if len(named) > 1:
        raise UsageError(
            f"{' and '.join(named)} are set: messages to phones are delivered in one way",
            hint=f"set one of {', '.join(DELIVERIES)}, and leave the others empty",
        )
    if named == ["message_folder"] and all(values[name].text != "true" for name in ("rehearsal", INVENTED_PEOPLE)):
        raise UsageError(
            f"message_folder from {values['message_folder'].source}: only a rehearsal or a demo has such a folder, for "
            "whoever reads it could log in as others",
            hint="set message_gateway or message_program; `sycee init --rehearsal-from` founds a rehearsal",
        )


def _check_names(names: Iterable[str], problem: str) -> None:
    for name in names:
        if name not in SETTINGS:
            hint = typos.hint(name, SETTINGS, f"settings are {', '.join(SETTINGS)}")
            raise UsageError(f"{problem} {name}", hint=hint)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'

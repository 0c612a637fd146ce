"""Each setting comes from the first source that has it."""

from __future__ import annotations

import stat
from functools import partial
from pathlib import Path

import pytest

from sycee.bank import config
from sycee.bank.config import SETTINGS, Config
from sycee.bank.folder import DataFolder
from sycee.core.documents import DocumentError
from sycee.core.errors import UsageError

pytestmark = pytest.mark.fast

TEXT = """currency = "CNY"
zone = "Asia/Shanghai"
preset = "ecny-2021"
retention = "eu-2015"
master_key = "../master.key"
key_backup = "../backup"
proposal_hours = 12
compliance = false
"""


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "bank")
    made.path.mkdir()
    made.settings.write_text(TEXT)
    return made


def test_an_option_wins_over_the_environment_over_the_file_over_the_default(folder: DataFolder) -> None:
    def cutoff(options: dict[str, str], environment: dict[str, str]) -> tuple[str, str]:
        value = Config.load(folder, options, environment).values["cutoff"]
        return value.text, value.source

    assert cutoff({}, {}) == ("23:00", "default")
    folder.settings.write_text(TEXT + 'cutoff = "22:00"\n')
    assert cutoff({}, {}) == ("22:00", str(folder.settings))
    assert cutoff({}, {"SYCEE_CUTOFF": "21:00"}) == ("21:00", "SYCEE_CUTOFF")
    assert cutoff({"cutoff": "20:00"}, {"SYCEE_CUTOFF": "21:00"}) == ("20:00", "option")


def test_types_and_paths(folder: DataFolder) -> None:
    loaded = Config.load(folder, {}, {"SYCEE_KEY_BACKUP": "elsewhere"})
    assert (loaded.currency.code, loaded.proposal_hours, loaded.flag("compliance")) == ("CNY", 12, False)
    assert loaded.path("master_key") == folder.path.parent / "master.key"
    assert loaded.path("key_store") == folder.people_keys
    assert loaded.path("key_backup") == Path("elsewhere")
    assert loaded.database == str(folder.database)
    assert loaded.definition("preset") == "ecny-2021"
    folder.settings.write_text(TEXT.replace('"ecny-2021"', '"../own.toml"'))
    assert Config.load(folder, {}, {}).definition("preset") == folder.path.parent / "own.toml"


def test_what_was_founded_is_never_changed(folder: DataFolder) -> None:
    loaded = Config.load(folder, {"currency": "EUR"}, {"SYCEE_ZONE": "Europe/Berlin"})
    assert (loaded.text("currency"), loaded.text("zone")) == ("CNY", "Asia/Shanghai")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ("cutof = 1\n", "cutof: unknown key, found 1"),
        ("cutoff = 22\n", "cutoff: found 22"),
        ('cutoff = "25:00"\n', "'25:00' is not a time such as 23:00"),
        ('cutoff = "24:30"\n', "'24:30' is not a time"),
        ('country = "china"\n', "'china' is not two capital letters"),
        ('phone_prefix = "86"\n', "'86' is not a prefix"),
        ("rehearsal = 1\n", "rehearsal: found 1"),
    ],
)
def test_an_error_names_the_setting(folder: DataFolder, changed: str, message: str) -> None:
    folder.settings.write_text(TEXT + changed)
    with pytest.raises(UsageError) as caught:
        Config.load(folder, {}, {})
    assert message in caught.value.message
    assert str(folder.settings) in caught.value.message


def test_a_missing_setting_is_named(folder: DataFolder) -> None:
    folder.settings.write_text(TEXT.replace('zone = "Asia/Shanghai"\n', ""))
    with pytest.raises(DocumentError, match="the setting zone is missing"):
        Config.load(folder, {}, {})


def test_unknown_names_are_refused(folder: DataFolder) -> None:
    with pytest.raises(UsageError, match="there is no setting cutof") as caught:
        Config.load(folder, {"cutof": "22:00"}, {})
    assert caught.value.hint == 'did you mean "cutoff"?'
    with pytest.raises(UsageError, match=r"the environment variable SYCEE_… names no setting: cutof"):
        Config.load(folder, {}, {"SYCEE_CUTOF": "22:00"})


def test_what_is_written_is_read(folder: DataFolder) -> None:
    texts = {name: value.text for name, value in Config.load(folder, {}, {}).values.items()}
    texts |= {"city": 'a "quoted" \\ city', "rehearsal": "true"}
    config.write(folder, {name: text for name, text in texts.items() if text})
    assert {name: value.text for name, value in Config.load(folder, {}, {}).values.items()} == texts
    assert set(texts) == set(SETTINGS)


def test_settings_are_written_for_their_owner_alone(folder: DataFolder) -> None:
    folder.settings.unlink()
    config.write(folder, {"currency": "CNY"})
    assert stat.S_IMODE(folder.settings.stat().st_mode) == 0o600


PASSWORD = "hunter2"  # noqa: S105 - of nothing
WITH_PASSWORD = f"postgresql://sycee:{PASSWORD}@host/bank"
OPTIONS = {"option": {"database": WITH_PASSWORD}, "overridden": {"database": "postgresql://sycee@host/bank"}}
ENVIRONMENT = {"environment": {"SYCEE_DATABASE": WITH_PASSWORD}}


@pytest.mark.parametrize("source", ["option", "environment", "file", "founding", "overridden"])
def test_a_url_with_a_password_is_refused_from_every_source(folder: DataFolder, source: str) -> None:
    if source in ("file", "overridden"):
        folder.settings.write_text(f'{TEXT}database = "{WITH_PASSWORD}"\n')
    load = partial(Config.load, folder, OPTIONS.get(source, {}), ENVIRONMENT.get(source, {}))
    if source == "founding":
        load = partial(Config.planned, folder, {"database": WITH_PASSWORD})
    with pytest.raises(UsageError, match=r"database .*contains a password") as caught:
        load()
    assert PASSWORD not in f"{caught.value} {caught.value.hint}"
    assert "PGPASSFILE" in (caught.value.hint or "")
    assert "database_password_file" in (caught.value.hint or "")


def test_no_other_setting_has_a_password(folder: DataFolder) -> None:
    with pytest.raises(UsageError, match="http_traces from SYCEE_HTTP_TRACES contains a password"):
        Config.load(folder, {}, {"SYCEE_HTTP_TRACES": f"https://sycee:{PASSWORD}@collector/v1/traces"})


def test_the_file_of_a_password_counts_like_other_paths(folder: DataFolder) -> None:
    folder.settings.write_text(f'{TEXT}database_password_file = "../password"\n')
    assert Config.load(folder, {}, {}).password_file == folder.path.parent / "password"
    assert Config.load(folder, {"database_password_file": ""}, {}).password_file is None


# --- modes ---


@pytest.mark.parametrize(("mode", "refused"), [(0o600, False), (0o644, False), (0o664, True), (0o646, True)])
def test_settings_that_others_can_write_are_refused(folder: DataFolder, mode: int, refused: bool) -> None:
    folder.settings.chmod(mode)
    if not refused:
        Config.load(folder, {}, {})
        return
    with pytest.raises(UsageError, match=rf"the settings file .*sycee.toml can be changed .*mode {mode:o}") as caught:
        Config.load(folder, {}, {})
    assert caught.value.hint == f"chmod go-w {folder.settings}"


def test_a_data_folder_that_others_can_write_is_refused(folder: DataFolder) -> None:
    folder.path.chmod(0o777)
    with pytest.raises(UsageError, match="can be changed by other users") as caught:
        Config.load(folder, {}, {})
    assert caught.value.hint == f"chmod go-w {folder.path}"


@pytest.mark.parametrize("name", [name for name, each in SETTINGS.items() if each.file and name not in config.FIXED])
def test_files_that_settings_name_are_checked(folder: DataFolder, tmp_path: Path, name: str) -> None:
    file = tmp_path / "named.toml"
    file.touch()
    for mode, refused in ((0o600, False), (0o644, SETTINGS[name].is_secret), (0o666, True)):
        file.chmod(mode)
        if not refused:
            Config.load(folder, {name: str(file)}, {})
            continue
        with pytest.raises(UsageError, match=f"the {SETTINGS[name].file} .*other users .*mode {mode:o}") as caught:
            Config.load(folder, {name: str(file)}, {})
        assert (caught.value.hint or "").startswith("chmod ")


def test_keys_of_the_machine_and_the_backup_of_secrets_are_checked(folder: DataFolder) -> None:
    backup = folder.path.parent / "backup"
    for secret in (folder.keys / "a.pem", backup / "people.keys"):
        secret.parent.mkdir()
        secret.touch(0o600)
        Config.load(folder, {}, {})
        secret.chmod(0o644)
        with pytest.raises(UsageError, match=f"{secret} is accessible to other users"):
            Config.load(folder, {}, {})
        secret.chmod(0o600)


def test_each_setting_that_names_a_file_says_whether_it_is_a_secret() -> None:
    """A new setting of a file is found by its words."""
    words = ("the file ", "the TOML file ", "the program ", "the key ")
    assert [name for name, each in SETTINGS.items() if each.meaning.startswith(words) and not each.file] == []


def test_a_folder_without_a_bank(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no bank"):
        Config.load(DataFolder(tmp_path), {}, {})
    (tmp_path / "founding.json").write_text("{}")
    with pytest.raises(UsageError, match=r"the founding of the bank in .* is not finished"):
        Config.load(DataFolder(tmp_path), {}, {})


def test_every_setting_is_documented() -> None:
    root = Path(__file__).resolve().parents[2]
    text = (root / "docs" / "reference" / "data-folder.md").read_text(encoding="utf-8")
    table = text.partition("## Settings")[2].partition("## Secrets")[0]
    rows = [line.split("|")[1].strip().strip("`") for line in table.splitlines() if line.startswith("| `")]
    assert rows == list(SETTINGS)


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            'message_program = "a"\nmessage_gateway = "https://b.example/c"',
            "message_program and message_gateway are set",
        ),
        ('rehearsal = true\nmessage_program = "a"\nmessage_folder = "b"', "message_program and message_folder are set"),
        ('message_folder = "out"', "only a rehearsal or a demo"),
        ('message_gateway = "ftp://a.example"', "is not an address such as"),
        ('message_gateway = "https://user:secret@a.example/"', "contains a password"),
        ('message_gateway = "https://a.example/#x"', "is not an address such as"),
    ],
)
def test_messages_are_delivered_in_one_way_and_into_a_folder_only_for_invented_people(
    folder: DataFolder, lines: str, problem: str
) -> None:
    folder.settings.write_text(f"{TEXT}{lines}\n")
    with pytest.raises(UsageError, match=problem):
        Config.load(folder, {}, {})


@pytest.mark.parametrize(
    ("lines", "delivery"),
    [
        ("", None),
        ('message_program = "a"', "message_program"),
        ('message_gateway = "http://127.0.0.1:9/x?y=1"', "message_gateway"),
        ('rehearsal = true\nmessage_folder = "out"', "message_folder"),
        ('invented_people = true\nmessage_folder = "out"', "message_folder"),
    ],
)
def test_the_setting_of_the_delivery_is_named(folder: DataFolder, lines: str, delivery: str | None) -> None:
    folder.settings.write_text(f"{TEXT}{lines}\n")
    assert Config.load(folder, {}, {}).delivery == delivery


def test_an_option_makes_no_bank_a_demo(folder: DataFolder) -> None:
    with pytest.raises(UsageError, match="only a rehearsal or a demo"):
        Config.load(folder, {"invented_people": "true", "message_folder": "out"}, {"SYCEE_INVENTED_PEOPLE": "true"})

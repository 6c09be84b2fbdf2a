import pytest

from tidemill.errors import ConfigurationError
from tidemill.settings import AdmitUploadSettings, Settings, Tables

ENVIRONMENT = {
    "STATE_TABLE": "state",
    "LEDGER_TABLE": "ledger",
    "LEDGER_RETENTION_DAYS": "0",
    "DELIVERY_QUEUE_URL": "https://sqs/delivery",
    "BUS_NAME": "tidemill",
    "PATH": "/bin",
}


def test_each_field_reads_the_variable_of_its_name():
    found = AdmitUploadSettings.from_env(ENVIRONMENT)
    assert (found.state_table, found.bus_name) == ("state", "tidemill")


@pytest.mark.parametrize("broken", [{"STATE_TABLE": ""}, {"STATE_TABLE": None}])
def test_every_missing_variable_is_named_and_no_value_is(broken):
    environment = {**ENVIRONMENT, **broken}
    del environment["BUS_NAME"]
    with pytest.raises(ConfigurationError) as failure:
        AdmitUploadSettings.from_env(environment)
    assert str(failure.value) == "missing environment variables: BUS_NAME, STATE_TABLE"
    assert "ledger" not in str(failure.value)


def test_the_process_s_environment_is_read_as_it_is_then(monkeypatch):
    monkeypatch.setenv("STATE_TABLE", "now")
    monkeypatch.setenv("LEDGER_TABLE", "too")
    monkeypatch.setenv("LEDGER_RETENTION_DAYS", "0")
    assert Tables.from_env() == Tables("now", "too", "0")


def test_a_function_without_settings_needs_none():
    assert Settings.from_env({}) == Settings()
